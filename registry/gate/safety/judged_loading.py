"""How a stored model is loaded, wherever it is: what was judged to run no code is held to that while it is loaded.

The gate and the engine load by MLflow, which reads `MLmodel` by itself. Whoever opens a model that is judged safe does
so with unpickling refused by the interpreter: should a loader take another way than the judgement knows, it is stopped
there, instead of running what lies in the file.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.risky_parts import RiskyPart, risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.registry.policy.policy import Policy
from slipway.registry.version import Version

NAMED_AT_MOST = 5

_refused: ContextVar[str] = ContextVar("what is loaded with unpickling refused", default="")


@contextmanager
def held_to_its_format(folder: Path) -> Iterator[tuple[RiskyPart, ...]]:
    """Judge the model in a folder, and refuse to unpickle anything within the block where it is judged to need none.

    Yields what may run code; those who load decide whether that is allowed.

    Raises
    ------
    NotApproved
        Within the block, something safe was to be unpickled all the same.
    """
    risky = risky_parts(folder, untrusted_types)
    if risky:
        yield risky
        return
    _watch()
    before = _refused.set(str(folder))
    try:
        yield risky
    finally:
        _refused.reset(before)


def require_allowed(version: Version, folder: Path, policy: Policy) -> None:
    """Refuse to load a model that may run code where no stage of its policy would let it in.

    A policy whose stages do not ask for the check artifact has no rule on formats.

    Raises
    ------
    NotApproved
        It may run code, and the policy does not allow that.
    """
    rules = [stage.checks.artifact for stage in policy.stages.values() if stage.checks.artifact]
    risky = risky_parts(folder, untrusted_types) if rules else ()
    formats = sorted({part.format for part in risky})
    if risky and not any(set(formats) <= set(rule.allow) for rule in rules):
        what, named = "; ".join(part.what for part in risky[:NAMED_AT_MOST]), ", ".join(formats)
        raise NotApproved(
            f"{version} is not loaded, since it could run code: {what}",
            code="format-not-allowed",
            hint=f"where that is wanted, the policy of {version.model} allows it: artifact: {{allow: [{named}]}}",
        )


@cache
def _watch() -> None:
    """Have the interpreter tell of unpickling, once in a process: such a hook cannot be taken away again."""
    sys.addaudithook(_refuse_unpickling)


def _refuse_unpickling(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class" and (folder := _refused.get()):
        raise NotApproved(
            f"the model in {folder} is stored in a format that runs no code, and its loader was about to unpickle "
            f"{'.'.join(map(str, arguments))}",
            code="unpickling-refused",
            hint="gate the version again, and look into its MLmodel",
        )
