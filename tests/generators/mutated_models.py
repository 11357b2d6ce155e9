"""Estimators of scikit-learn, fitted, with one thing of their state changed, and asked, unless they are refused before.

A program, since what it looks for ends processes: `python -m tests.generators.mutated_models SEED MOST [CLASS…]`
changes each model of a class in at most MOST ways, which the seed chooses; without a class, of every one. It prints how
many were asked and refused, which classes were fitted, and which change ended a process. A change is one that a file
can hold: a number, an array of another shape or type, a part of another model. Arrays are guarded:
`tests.generators.guarded_arrays`.
"""

import contextlib
import copy
import json
import os
import pickle
import random
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import SKIPPED_ESTIMATORS, _construct_instances

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.native_content import require_sound
from tests.generators.guarded_arrays import guard_arrays, no_room

Path = tuple[tuple[str, Any], ...]
Change = tuple[Path, str, Callable[[Any], Any]]

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "inverse_transform")
# What asks for processes and talk.
LEFT_ALONE = ("n_jobs", "verbose")
FAR = (-1, 0, 1, 2, 1000, 2**31 - 1, -(2**31), 2**40)
TYPES = ("f4", "f8", "i4", "i8", "u1", "O", ">f8")
DELETED = object()
LABELS = ("LabelEncoder", "LabelBinarizer")
TEXTS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
BEFORE_CHANGE, REFUSED, ASKED = range(3)
SECONDS, MORE_MEMORY = 10, 3 << 30


def fitted_models(names: Sequence[str]) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield a name, a model, one of the same class with other sizes, and rows to ask for."""
    for name, kind in all_estimators():
        if kind in SKIPPED_ESTIMATORS or (names and name not in names):
            continue
        for place, estimator in enumerate(_construct_instances(kind)):
            for what, rows, target in _data(estimator, 30, 4, 3):
                with contextlib.suppress(IndexError, NotImplementedError, TypeError, ValueError):
                    model = _fit(estimator, rows, target)
                    _, others, wanted = next(each for each in _data(estimator, 45, 6, 4) if each[0] == what)
                    yield f"{name}#{place} of {what}", model, _fit(estimator, others, wanted), rows


def _fit(estimator: BaseEstimator, rows: Any, target: Any) -> Any:
    made = copy.deepcopy(estimator)
    known = made.get_params(deep=False)
    made.set_params(**{key: value for key, value in (("n_estimators", 2), ("random_state", 0)) if key in known})
    return made.fit(rows) if target is None else made.fit(rows, target)


def _data(estimator: BaseEstimator, n: int, width: int, n_classes: int) -> Iterator[tuple[str, Any, Any]]:
    """Yield what an estimator can be fitted on: numbers, sparse ones, several targets, or what it takes instead."""
    name, tags = type(estimator).__name__, estimator.__sklearn_tags__()
    rows = np.random.default_rng(width).random((n, width))
    classes = np.arange(n) % n_classes
    rows[:, 0] += classes
    if tags.classifier_tags is not None and not tags.classifier_tags.multi_class:
        classes = (classes > 0).astype(int)
    target = rows[:, 0] * 3 if tags.estimator_type == "regressor" else classes
    if name in LABELS:
        yield "labels", classes, None
    elif name == "MultiLabelBinarizer":
        yield "labels", [[int(label), 7] for label in classes], None
    elif name in TEXTS:
        yield "texts", [f"word{label} other{label % 2} the" for label in classes], None
    elif name in ("DictVectorizer", "FeatureHasher"):
        yield "mappings", [{f"a{label}": 1.0, "b": 2, "c": f"x{label % 2}"} for label in classes], None
    elif name == "PatchExtractor":
        yield "images", rows[:, :4].reshape(-1, 2, 2), None
    elif name == "SparseCoder":
        yield "numbers", rows[:, : estimator.dictionary.shape[1]], None
    elif tags.input_tags.one_d_array and not tags.input_tags.two_d_array:
        yield "one column", rows[:, 0], target
    elif tags.input_tags.pairwise:
        yield "pairs", rows @ rows.T, target
    else:
        counted = (rows * 3).astype(int) if tags.input_tags.categorical else rows
        yield "numbers", counted, target
        yield "several targets", counted, np.column_stack([target, classes > 1])
        if tags.input_tags.sparse:
            yield "sparse numbers", scipy.sparse.csr_matrix(np.where(rows < 0.3, 0, rows)), target


def changes(model: Any, other: Any) -> Iterator[Change]:
    """Yield the ways in which one thing of a model is changed."""
    for path, value in _places(model, (), set()):
        if path and path[-1][1] not in LEFT_ALONE:
            yield from ((path, what, change) for what, change in _changes_of(value))
            with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
                there = _at(other, path)
                yield path, "another model's", lambda _, there=there: copy.deepcopy(there)
            if path[-1][0] == "attribute":
                yield path, "deleted", lambda _: DELETED


def _places(part: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, Any]]:
    if not isinstance(part, int | float | str | type(None)):
        if id(part) in seen:
            return
        seen.add(id(part))
    yield path, part
    for step, value in _inside(part):
        yield from _places(value, (*path, step), seen)


def _inside(part: Any) -> Iterator[tuple[tuple[str, Any], Any]]:
    """Yield what a part holds; of many alike the first and the last."""
    if isinstance(part, dict):
        yield from ((("item", key), value) for key, value in part.items())
    elif isinstance(part, list | tuple) or (isinstance(part, np.ndarray) and part.dtype == object and part.ndim):
        places = list(np.ndindex(part.shape)) if isinstance(part, np.ndarray) else list(range(len(part)))
        yield from ((("item", place), part[place]) for place in dict.fromkeys([*places[:1], *places[-1:]]))
    elif not isinstance(part, type) and type(part).__module__.startswith("sklearn.") and not callable(part):
        if hasattr(part, "__dict__"):
            yield from ((("attribute", key), value) for key, value in vars(part).items())
        else:
            _, arguments, state = _reduced(part)
            yield from ((("argument", place), value) for place, value in enumerate(arguments))
            items = state.items() if isinstance(state, dict) else enumerate(state or ())
            yield from ((("state", key), value) for key, value in items)


def _reduced(part: Any) -> tuple[Any, list[Any], Any]:
    made_by, arguments, *state = part.__reduce__()
    return made_by, list(arguments), state[0] if state else None


def _at(part: Any, path: Path) -> Any:
    for step in path:
        part = [value for known, value in _inside(part) if known == step][0]  # noqa: RUF015 - what is absent is an error
    return part


def _put(part: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """Return a part with what is at the end of a path changed; what is written in C is made anew."""
    if not path:
        return change(part)
    (kind, key), rest = path[0], path[1:]
    if kind == "attribute":
        value = _put(getattr(part, key), rest, change)
        vars(part).pop(key) if value is DELETED else vars(part).update({key: value})
        return part
    if kind == "item":
        items = list(part) if isinstance(part, tuple) else part
        items[key] = _put(items[key], rest, change)
        return tuple(items) if isinstance(part, tuple) else items
    made_by, arguments, state = _reduced(part)
    if kind == "argument":
        arguments[key] = _put(arguments[key], rest, change)
    else:
        items = dict(state) if isinstance(state, dict) else list(state)
        items[key] = _put(copy.copy(items[key]), rest, change)
        state = items if isinstance(state, dict) else tuple(items)
    made = made_by(*arguments)
    made.__setstate__(state)
    return made


def _changes_of(value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    if isinstance(value, np.ndarray) and value.dtype.names:
        for name in value.dtype.names:
            for far in FAR:
                yield f"{name}: {far}", lambda found, name=name, far=far: _with_first(found, far, name)
        yield from _shapes(1)
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in "iuf":
            yield from ((f"first: {far}", lambda found, far=far: _with_first(found, far)) for far in FAR)
            yield from ((f"all: {far}", lambda found, far=far: np.full_like(found, far)) for far in (-5, 0, 1000))
            yield from ((f"as {kind}", lambda found, kind=kind: found.astype(kind)) for kind in TYPES)
        yield from _shapes(value.ndim)
    elif isinstance(value, list):
        yield from (("shorter", lambda found: found[:-1]), ("twice", lambda found: found + found))
    elif isinstance(value, int | float | np.number | type(None)):
        yield from ((f"{far}", lambda _, far=far: far) for far in (*FAR, 0.5, None))
        yield from (("an array", lambda _: np.ones(3)), ("a small array", lambda _: np.ones((1, 1))))


def _shapes(n_dimensions: int) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    yield "shorter", lambda found: found[:-1].copy()
    yield "empty", lambda found: found[:0].copy()
    yield "one", lambda found: found[:1].copy()
    yield "twice", lambda found: np.concatenate([found, found])
    yield "flat", lambda found: found.ravel().copy()
    yield "deeper", lambda found: found[None].copy()
    if n_dimensions > 1:
        yield "turned", lambda found: found.T.copy()
        yield "narrower", lambda found: found[:, :-1].copy()
        yield "without columns", lambda found: found[:, :0].copy()
        yield "wider", lambda found: np.concatenate([found, found], axis=1)


def _with_first(array: Any, far: int, name: str | None = None) -> Any:
    array = array.copy()
    values = array[name] if name else array
    with np.errstate(all="ignore"):
        values.flat[0] = np.array(far).astype(values.dtype)
    return array


def ask(model: Any, rows: Any) -> None:
    """Ask a model for what callers may: by all of its methods, for rows of the width that it takes, and of others."""
    for wanted in _requests(model, rows):
        for name in METHODS:
            # Whatever error it has instead of an answer is an answer.
            with contextlib.suppress(Exception):
                answer = getattr(model, name)(wanted)
                if scipy.sparse.issparse(answer) and hasattr(answer, "check_format"):
                    _require_within(answer)


def _require_within(matrix: Any) -> None:
    """End the process, as the compiled code of whoever is given such a matrix would."""
    try:
        matrix.check_format(full_check=True)
    except ValueError:
        os.abort()


def _requests(model: Any, rows: Any) -> Iterator[Any]:
    if isinstance(rows, list) or rows.ndim != 2:
        yield rows[:6]
        return
    dense = rows[:6].toarray() if scipy.sparse.issparse(rows) else rows[:6]
    named = getattr(model, "n_features_in_", None)
    widths = {rows.shape[1], 1, 50, *([int(named)] if isinstance(named, int) and 0 < named < 2000 else [])}
    for width in sorted(widths):
        asked = np.resize(dense, (len(dense), width)).copy()
        asked[-2:] = [[10**6], [-1]]
        yield asked
        yield scipy.sparse.csr_matrix(abs(asked))


def ends_of(model: Any, rows: Any, wanted: Sequence[Change]) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """Return how far each change came, and which ended the process that asked, and how; a new one goes on behind it."""
    stored, reached, ended = pickle.dumps(model), {}, []
    start = 0
    while start < len(wanted):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _ask_each(stored, rows, wanted, start, writing)
        os.close(writing)
        with open(reading, "rb") as stream:
            steps = list(struct.iter_unpack("<iB", stream.read()))
        reached.update(steps)
        status = os.waitpid(child, 0)[1]
        start = steps[-1][0] + 1
        if not status:
            continue
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        # How long an answer takes, and how much memory, is bounded where models are served.
        if how != signal.SIGALRM.name:
            ended.append((steps[-1][0], how))
    return reached, ended


def _ask_each(stored: bytes, rows: Any, wanted: Sequence[Change], start: int, writing: int) -> None:
    """Change, look through, and ask, in a process that does nothing else, and says how far it came."""
    try:
        with open(os.devnull, "w") as nowhere, open("/proc/self/statm") as used:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
            most = int(used.read().split()[0]) * resource.getpagesize() + MORE_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        guard_arrays()
        for place in range(start, len(wanted)):
            if no_room():
                break
            path, _, change = wanted[place]
            os.write(writing, struct.pack("<iB", place, BEFORE_CHANGE))
            signal.alarm(SECONDS)
            with contextlib.suppress(Exception):
                model = copy.deepcopy(_put(pickle.loads(stored), path, change))
                os.write(writing, struct.pack("<iB", place, REFUSED))
                with contextlib.suppress(NotApproved):
                    require_sound(model)
                    os.write(writing, struct.pack("<iB", place, ASKED))
                    ask(model, rows)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(99)


def main(seed: str, most: str, *names: str) -> None:
    """Print one JSON document of what came of the changes."""
    warnings.simplefilter("ignore")
    counted, ended, known = [0, 0, 0], [], set()
    for name, model, other, rows in fitted_models(names):
        known.add(name.partition("#")[0])
        try:
            require_sound(model)
        except NotApproved as error:
            ended.append([name, "as fitted", "", error.message])
        every = list(changes(model, other))
        wanted = random.Random(f"{seed} {name}").sample(every, min(int(most), len(every)))
        reached, died = ends_of(model, rows, wanted)
        for step in reached.values():
            counted[step] += 1
        for place, how in died:
            path, what, _ = wanted[place]
            ended.append([name, "".join(f".{key}" for _, key in path), what, how])
    totals = dict(zip(("unmade", "refused", "asked"), counted, strict=True))
    print(json.dumps({**totals, "fitted": sorted(known), "ended": ended}))


if __name__ == "__main__":
    main(*sys.argv[1:])
