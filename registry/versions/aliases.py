"""The port that serving follows: which version has an alias, asked each second and so asked cheaply."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from slipway.registry.errors import NotFound
from slipway.registry.registered_model import RegisteredModel

Wanted = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasHolder:
    """The version that has an alias; `identity` is what `identity_of` makes of it."""

    number: int
    identity: str


def identity_of(workspace: str, created_ms: int, model: str, source: str | None) -> str:
    """Return what tells a version from every other of its number: when it was made, under which name and of what.

    A deleted and re-created model counts its versions from 1 again; and two models have versions of one number that
    were made in the same millisecond.
    """
    return f"{workspace}/{created_ms}/{model}/{source or ''}"


class Aliases(Protocol):
    """Reads the registry; every reading sees what was written before it."""

    def holders(self, wanted: Collection[Wanted]) -> Mapping[Wanted, AliasHolder]:
        """Return the holder of each (model, alias) that has one; raises Unavailable when the registry is not there."""

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version with the alias, ordered by name; prompts are none."""

    def model_names(self) -> tuple[str, ...]:
        """Return the names of all models, in their order; prompts are none."""

    def models(self, names: Collection[str]) -> Mapping[str, RegisteredModel]:
        """Return the models that have these names, without their aliases; a prompt is none."""

    def numbered(self, model: str, number: int) -> AliasHolder | None:
        """Return a version by its number; `None` where it is gone."""


def model_named(name: str, aliases: Aliases) -> RegisteredModel:
    """Return the model that has a name now, without its aliases.

    Raises
    ------
    NotFound
        There is none.
    """
    found = aliases.models([name])
    if name not in found:
        raise NotFound(f"there is no model '{name}'", code="unknown-model", hint=None)
    return found[name]
