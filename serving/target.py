"""What an engine is asked to serve: the version that is in a stage, whichever that is."""

from dataclasses import dataclass

from slipway.registry.engines.heartbeats import STABLE
from slipway.registry.errors import InvalidInput
from slipway.registry.version import parse_ref

__all__ = ["STABLE", "Sighting", "Target", "Variant", "parse_target"]


@dataclass(frozen=True, order=True, slots=True)
class Target:
    """A stage of a model, written `cancer@production`."""

    model: str
    stage: str

    def __str__(self) -> str:
        return f"{self.model}@{self.stage}"


@dataclass(frozen=True, order=True, slots=True)
class Variant:
    """One of the versions that serve a target: `stable` is what the registry has in the stage."""

    target: Target
    name: str = STABLE

    def __str__(self) -> str:
        return str(self.target) if self.name == STABLE else f"{self.target} ({self.name})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """The version that the registry shows for a target.

    `identity` tells the version from every other of its number (`slipway.registry.versions.aliases.identity_of`), and
    `manifest` is the digest of the files that are to be served, where anybody recorded which.
    """

    identity: str
    number: int
    manifest: str | None = None


def parse_target(text: str) -> Target:
    """Return the target that a text names.

    >>> str(parse_target("cancer@production"))
    'cancer@production'

    Raises
    ------
    InvalidInput
        The text names no stage: an engine follows a stage, and a number never moves.
    """
    ref = parse_ref(text)
    if ref.alias is None:
        raise InvalidInput(
            f"an engine serves a stage, and '{text}' names a number",
            code="not-a-stage",
            hint=f"slipway serve {ref.model}@production",
        )
    return Target(ref.model, ref.alias)
