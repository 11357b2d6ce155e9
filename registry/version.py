"""Versions and how people name them: `churn/5` by number, `churn@production` by alias."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from registry.errors import InvalidInput


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRef:
    """A version as somebody named it: by number, or by an alias that may move."""

    model: str
    number: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{self.model}/{self.number}" if self.alias is None else f"{self.model}@{self.alias}"

    @property
    def uri(self) -> str:
        """Return MLflow's URI of the version."""
        return f"models:/{self}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A registered version as the registry shows it; `stage` is MLflow's own label, `None` where it has none."""

    model: str
    number: int
    run_id: str | None
    source: str
    created_at: datetime
    stage: str | None
    aliases: frozenset[str]
    tags: Mapping[str, str]
    description: str = ""

    def __str__(self) -> str:
        return f"{self.model}/{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedModel:
    """A stored model that no registry knows yet, with what its version will be tagged with.

    `headline` is metric name → value, for the version's description.
    """

    run_id: str
    model_id: str
    model_uri: str
    task: str
    tags: Mapping[str, str]
    headline: Mapping[str, float]


def parse_ref(text: str) -> VersionRef:
    """Return the version that a text names.

    >>> str(parse_ref("churn/5")), str(parse_ref("models:/churn@production"))
    ('churn/5', 'churn@production')

    Raises
    ------
    InvalidInput
        The text names no version.
    """
    match = re.fullmatch(r"(?:models:/)?(?P<model>[^/@]+)(?:/(?P<number>[1-9][0-9]*)|@(?P<alias>[^/@]+))", text)
    if match is None:
        raise InvalidInput(
            f"'{text}' names no version; write churn/5 or churn@production", code="not-a-version", hint=None
        )
    number = match["number"]
    return VersionRef(model=match["model"], number=int(number) if number else None, alias=match["alias"])
