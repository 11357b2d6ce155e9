"""Versions and how people name them: `churn/5` by number, `churn@production` by alias."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from slipway.registry.errors import InvalidInput
from slipway.registry.text import cleaned, require_name

LARGEST_NUMBER = 2**31 - 1  # the columns of MLflow 3.17, and of the ledger, hold no larger
SHOWN_CHARACTERS = 100


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
    """A registered version as the registry shows it; `mlflow_stage` is MLflow's own label, `None` where it has none."""

    model: str
    number: int
    run_id: str | None
    source: str
    created_at: datetime
    mlflow_stage: str | None
    aliases: frozenset[str]
    tags: Mapping[str, str]
    description: str = ""

    def __str__(self) -> str:
        return f"{self.model}/{self.number}"


def deleted_version(model: str, number: int, known_since: datetime) -> Version:
    """Return what is left of a version that was deleted: its number, so that it can be taken out of its stage."""
    return Version(
        model=model,
        number=number,
        run_id=None,
        source="",
        created_at=known_since,
        mlflow_stage=None,
        aliases=frozenset(),
        tags={},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedModel:
    """A stored model that no registry knows yet, with what its version will be tagged with.

    `headline` is metric name → value, for the version's description; `constant` what a constant has of the same, by the
    same names.
    """

    run_id: str
    model_id: str
    model_uri: str
    task: str
    tags: Mapping[str, str]
    headline: Mapping[str, float]
    constant: Mapping[str, float] = field(default_factory=dict)


def parse_ref(text: str) -> VersionRef:
    """Return the version that a text names.

    >>> str(parse_ref("churn/5")), str(parse_ref("models:/churn@production"))
    ('churn/5', 'churn@production')

    Raises
    ------
    InvalidInput
        The text names no version, or one with a number that no database could hold.
    """
    match = re.fullmatch(r"(?:models:/)?(?:([^/]+)/([1-9][0-9]{0,18})|([^/]+)@([^/@]+))", text, re.DOTALL)
    if match is None:
        raise InvalidInput(
            f"'{cleaned(text, SHOWN_CHARACTERS)}' names no version; write churn/5 or churn@production",
            code="not-a-version",
            hint=None,
        )
    numbered, number, aliased, alias = match.groups()
    model = require_name(numbered or aliased, "the model's name")
    if alias is not None:
        return VersionRef(model=model, alias=require_name(alias, "the alias"))
    return VersionRef(model=model, number=require_number(int(number)))


def require_number(number: int) -> int:
    """Return a version's number.

    Raises
    ------
    InvalidInput
        No version can have it.
    """
    if not 1 <= number <= LARGEST_NUMBER:
        raise InvalidInput(
            f"{number} is no version's number; they go from 1 to {LARGEST_NUMBER}", code="not-a-version", hint=None
        )
    return number
