"""What a loaded model gives to native code: numbers that are used as places in memory, which nobody looks at there.

scikit-learn's compiled code follows a tree's node to the child that the node names, and asks no bounds. A file of
numbers alone, which runs no code when it is loaded, can so crash a process, or read what is beside the model. Whoever
loads a model looks through it here before it predicts: everything that scikit-learn and NumPy would trust is within
the arrays that it belongs to, as fitting leaves it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from types import MethodType
from typing import Any

import numpy as np
from sklearn.utils._param_validation import validate_parameter_constraints

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.native_chance import CHANCE, draws_on
from slipway.registry.gate.safety.native_kernels import KERNELS
from slipway.registry.gate.safety.native_matrices import MATRICES
from slipway.registry.gate.safety.native_neighbors import NEIGHBORS
from slipway.registry.gate.safety.native_random import RANDOM
from slipway.registry.gate.safety.native_trees import STARTS, TREES

SCALARS = (str, bytes, int, float, complex, type(None), np.generic)

Check = Callable[[Any], Iterator[str]]

# What is looked at is known by its full name, so that no part of scikit-learn is imported that the model does not have.
CHECKS: Mapping[str, Check] = {**TREES, **NEIGHBORS, **KERNELS, **MATRICES, **RANDOM}


def require_sound(model: Any, *, called: str = "the model") -> None:
    """Refuse a loaded model, or its example, that would lead native code out of its arrays.

    Raises
    ------
    NotApproved
        It would; the message names the part.
    """
    parts = list(_parts(model, called))
    for checks_of in (_checks_of, _last_checks_of):
        for part, name in parts:
            wrong = _wrong(part, checks_of(type(part)))  # type: ignore[arg-type]
            if wrong:
                raise NotApproved(
                    f"{name} {wrong}, and compiled code would follow it without looking",
                    code="content-unsound",
                    hint="fitting leaves no such thing: find out who wrote the file, and log a newly fitted model",
                )


def require_steady(model: Any) -> None:
    """Refuse a loaded model of which a part draws random numbers when it is asked.

    Raises
    ------
    NotApproved
        It does; the message names the part.
    """
    for part, name in _parts(model):
        if chance := _wrong(part, (draws_on, *_named(type(part), CHANCE))):
            raise NotApproved(
                f"{name} {chance}: what is measured of it is not what callers get",
                code="answers-by-chance",
                hint="log a model without it (random_state takes a number); or override, where the policy allows it",
            )


def _wrong(part: Any, checks: Sequence[Check]) -> str | None:
    """Return in words what is wrong with a part; whatever cannot even be looked at is not as fitting leaves it."""
    try:
        return next((found for check in checks for found in check(part)), None)
    except Exception as error:  # whatever comes of numbers that no fit has left
        return f"is not as fitting leaves it ({type(error).__name__}: {error})"


@cache
def _checks_of(kind: type) -> Sequence[Check]:
    own = (_shadowing, _settings) if kind.__module__.startswith("sklearn.") else ()
    return (*own, *_named(kind, CHECKS))


@cache
def _last_checks_of(kind: type) -> Sequence[Check]:
    return _named(kind, STARTS)


def _named(kind: type, checks: Mapping[str, Check]) -> Sequence[Check]:
    names = {f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__}
    return tuple(check for name, check in checks.items() if name in names)


@cache
def _is_sklearn(kind: type) -> bool:
    return any(each.__module__.partition(".")[0] == "sklearn" for each in kind.__mro__)


def _shadowing(part: Any) -> Iterator[str]:
    """Say what of a part's class its state replaces, such as the method that counts a request's columns."""
    kind = type(part)
    settings = kind._get_param_names() if hasattr(kind, "_parameter_constraints") else ()
    for name in getattr(part, "__dict__", ()):
        if hasattr(kind, name) and name not in settings:
            yield f"has something of its own in the place of its class's {name}"


def _settings(part: Any) -> Iterator[str]:
    """Hold an estimator to the settings that scikit-learn lets in: it asks when it fits, and not when it predicts."""
    if hasattr(type(part), "_parameter_constraints"):
        # What an older release did not have is not in its files, and Python says so where it is read.
        known = {name: vars(part)[name] for name in type(part)._get_param_names() if name in vars(part)}
        try:
            validate_parameter_constraints(part._parameter_constraints, known, caller_name=type(part).__name__)
        except ValueError as error:
            yield f"has a setting that no fit takes ({error})"


def _parts(model: Any, called: str = "the model") -> Iterator[tuple[Any, str]]:
    """Yield everything in a model that is not a plain value, with the way to it, each once."""
    seen: set[int] = set()
    waiting = [(model, called)]
    while waiting:
        part, name = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part, name
            waiting.extend(_inside(part, name))


def _inside(part: Any, name: str) -> Iterator[tuple[Any, str]]:
    if isinstance(part, dict):
        yield from ((value, f"{name}[{key!r}]") for key, value in part.items() if not isinstance(value, SCALARS))
    elif isinstance(part, list | tuple | set | frozenset):
        yield from ((value, f"{name}[{place}]") for place, value in enumerate(part) if not isinstance(value, SCALARS))
    elif isinstance(part, np.ndarray):
        yield from _inside(part.ravel().tolist(), name) if part.dtype.hasobject else ()
    elif isinstance(part, MethodType):
        yield part.__self__, f"{name}.__self__"
    elif isinstance(part, partial):
        yield from (
            (value, f"{name}.{what}") for what in ("func", "args", "keywords") for value in [getattr(part, what)]
        )
    if not isinstance(part, type) and _is_sklearn(type(part)):  # type: ignore[arg-type]
        state = getattr(part, "__dict__", {})
        yield from ((value, f"{name}.{key}") for key, value in state.items() if not isinstance(value, SCALARS))
