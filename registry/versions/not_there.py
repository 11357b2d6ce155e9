"""What is said where the registry has no such model, version or alias: the same, whichever door was asked."""

from collections.abc import Iterable, Mapping

from slipway.registry.errors import Conflict, NotFound
from slipway.registry.nearest import did_you_mean
from slipway.registry.version import VersionRef

SHOWN_MODELS = 20


def no_model(name: str, known: Iterable[str]) -> NotFound:
    """Return the error for a name that no model has; `known` are the names that there are."""
    there = list(known)
    shown = ", ".join(there[:SHOWN_MODELS]) or "none"
    return NotFound(
        f"no model '{name}'{did_you_mean(name, there)}; there are: {shown}", code="unknown-model", hint=None
    )


def no_model_to_see(name: str) -> NotFound:
    """Return the same for somebody who may see some models and not others."""
    return NotFound(f"no model '{name}', or none that you may see", code="unknown-model", hint=None)


def is_a_prompt(name: str) -> Conflict:
    """Return the error for a name that a prompt has: MLflow keeps both in the same tables."""
    return Conflict(
        f"'{name}' is a prompt in MLflow's registry, not a model", code="is-a-prompt", hint="choose another name"
    )


def no_version(model: str, number: int, latest: int | None) -> NotFound:
    """Return the error for a number that no version has; `latest` is the newest one's, if there is any."""
    found = "it has none" if latest is None else f"the latest is {latest}"
    return NotFound(
        f"model '{model}' has no version {number}; {found}", code="unknown-version", hint=f"slipway versions {model}"
    )


def aliased(ref: VersionRef, aliases: Mapping[str, int]) -> int:
    """Return the version that has the alias of a reference, by what its model's aliases are.

    Raises
    ------
    NotFound
        None has it.
    """
    alias = str(ref.alias)
    if alias not in aliases:
        raise NotFound(
            f"model '{ref.model}' has no alias '{alias}'{did_you_mean(alias, aliases)}; "
            f"it has: {', '.join(sorted(aliases)) or 'none'}",
            code="unknown-alias",
            hint=f"slipway versions {ref.model}",
        )
    return int(aliases[alias])
