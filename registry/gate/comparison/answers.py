"""What a version answers on rows: one label a row, maybe one score a row and class; anything else is no answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from slipway.registry.errors import SlipwayError
from slipway.registry.gate.evidence import Model, Rehearsing, Tools
from slipway.registry.gate.holdout_record import rows_as_stored
from slipway.registry.gate.scoring_request import request_of
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.shown_task import foretells_amounts

Scores = npt.NDArray[np.float64]
SUM_WITHIN = 1e-3
ALONE, SHUFFLED, OF_ANY_SIZE, PARTS, SORTED = 20, 500, 10, 20, 4
USUAL = (2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512, 1000, 1024, 2000, 4096, 10_000)
MOST_REHEARSED = 20_000
CALLED_EACH = 2  # of the requests; MLflow's reading of one takes longer than most models' answer
ROUNDED = 1e-5  # sums of another number of rows are rounded otherwise
MEASURED = ("predict", "predict_proba")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a model says of n rows: `labels` has shape (n,), `scores` (n, k) in the order of `classes`, or `None`.

    `method` is the one that answers callers: they get the labels, or else the scores. `are_amounts` is true where the
    model says that it is a regressor.
    """

    labels: npt.NDArray[Any]
    scores: Scores | None
    are_probabilities: bool
    classes: tuple[Any, ...]
    method: str
    are_amounts: bool = False

    def of(self, members: npt.NDArray[np.bool_] | npt.NDArray[np.int_]) -> "Said":
        """Return what it says of some of the rows: those of a mask of shape (n,), or at places in an order."""
        return Said(
            labels=self.labels[members],
            scores=None if self.scores is None else self.scores[members],
            are_probabilities=self.are_probabilities,
            classes=self.classes,
            method=self.method,
            are_amounts=self.are_amounts,
        )


class CannotCompare(Exception):
    """Says what is missing for a comparison, and what to do."""

    outcome = Outcome.INCONCLUSIVE


class TooFewRows(CannotCompare):
    """Says of which kind there are too few rows to measure; about `rows` like these would hold enough."""

    def __init__(self, why: str, *, rows: int) -> None:
        super().__init__(why)
        self.rows = rows


class WrongAnswers(CannotCompare):
    """Says what a version answers that can be no answer: another number of them, or what is none of its classes."""

    outcome = Outcome.ERROR


def without_comparison(check: str, why: CannotCompare, *, way_on: str = "") -> tuple[Finding, ...]:
    """Return the finding that says why nothing was compared, and one more way on where something was missing."""
    details = {"rows_to_measure": why.rows} if isinstance(why, TooFewRows) else {}
    reason = f"{why}{way_on}" if why.outcome is Outcome.INCONCLUSIVE else str(why)
    return (Finding(check=check, outcome=why.outcome, reason=reason, details=details),)


def said(tools: Tools, folder: Path, features: pd.DataFrame, *, version: str) -> Said:
    """Ask a stored model about rows.

    Raises
    ------
    CannotCompare
        The rows lack a column that it takes, or callers are answered by what nothing here measures.
    WrongAnswers
        It does not give one label a row, or not one score a row and class.
    """
    stored = tools.load(str(folder))
    return _answers(stored, features, version)


def said_by_threads(tools: Tools, folder: Path, features: pd.DataFrame, *, version: str) -> tuple[Said, ...]:
    """Return what `said` does, by one thread as in the engine; and what as many as MLflow's own server takes say else.

    Of equally near neighbours scikit-learn keeps those that are found first; how it shares the work among threads
    depends on how many rows there are, so that they are asked about all rows at once, and in parts.
    """
    stored = tools.load(str(folder))
    with threadpool_limits(1):
        found = [_answers(stored, features, version)]
    for other in (_answers(stored, features, version), _in_parts(stored, features, version)):
        if not any(alike(one, other) for one in found):
            found.append(other)
    return tuple(found)


def _in_parts(stored: Model, features: pd.DataFrame, version: str) -> Said:
    """Return what a model says of rows that are asked about in requests of every size below that of all."""
    rng, n = np.random.default_rng(), len(features)
    most = max(SHUFFLED, n // PARTS)
    ends = np.unique(np.minimum(np.cumsum(np.exp(rng.uniform(0, np.log(most), n)).astype(int)), n))
    parts = [_answers(stored, features.iloc[start:end], version) for start, end in pairwise([0, *ends])]
    scores = [part.scores for part in parts if part.scores is not None]
    first = parts[0]
    return replace(
        first,
        labels=np.concatenate([part.labels for part in parts]),
        scores=np.concatenate(scores) if scores else None,
    )


def alike(one: Said, other: Said) -> bool:
    """Return whether two have the same labels and scores."""
    pairs = [(one.labels, other.labels), (one.scores, other.scores)]
    return all(_same(ours, theirs, among=ours) for ours, theirs in pairs if ours is not None and theirs is not None)


def _answers(stored: Model, features: pd.DataFrame, version: str) -> Said:
    if stored.method not in MEASURED:
        raise CannotCompare(
            f"{version} answers its callers by {stored.method}, and what is compared here are the answers of "
            f"{' and '.join(MEASURED)}: log it with pyfunc_predict_fn={MEASURED[0]!r} or {MEASURED[1]!r}"
        )
    return _said(stored, stored.fitting(_taken(stored, features, version)), version)


def _taken(stored: Model, features: pd.DataFrame, version: str) -> pd.DataFrame:
    """Return the columns that a model takes; optional ones where they are there."""
    wanted = stored.columns or tuple(features.columns)
    there = [name for name in wanted if name in features.columns]
    if missing := [name for name in wanted if name not in there and name not in stored.optional]:
        raise CannotCompare(
            f"the rows lack columns that {version} takes: {', '.join(missing)}; name rows that have them in the "
            "policy, with data and target"
        )
    return features[there]


def require_alike_alone(tools: Tools, folder: Path, features: pd.DataFrame, given: Said, *, version: str) -> None:
    """Refuse a model whose answer to a row depends on which rows stand beside it: callers send them otherwise.

    Some rows are asked about one by one, more of them in another order, and some in requests of every size; which ones,
    nobody knows before. Each request is put into the model's types for itself, and every second one is asked as a
    scoring server does, too. `given` was said by one thread, and so is what is asked here.
    """
    stored = tools.load(str(folder))
    with threadpool_limits(1):
        _require_alike_alone(stored, _taken(stored, features, version), given, version)


def _require_alike_alone(stored: Model, taken: pd.DataFrame, given: Said, version: str) -> None:
    answers = False
    for place, some in enumerate(_requests(taken)):
        again = _said(stored, stored.fitting(taken.iloc[some]), version)
        pairs = [(given.labels, again.labels), (given.scores, again.scores)]
        called = None if place % CALLED_EACH else stored.called(taken.iloc[some])
        if called is not None:
            answers = True
            by_label = stored.method == MEASURED[0]
            answered = _labels(called, len(some), version) if by_label else np.asarray(called, dtype=float)
            pairs.append((given.labels if by_label else given.scores, answered))
        for every, other in pairs:
            if every is None or other is None:
                continue
            one = every[some]
            if not _same(one, other, among=every):
                raise WrongAnswers(
                    f"{version} answers a row otherwise when it is sent alone, among others, or in another order: "
                    f"{_shown(other)} in place of {_shown(one)}"
                )
    if not answers:
        raise WrongAnswers(f"{version} answers none of its callers who send such rows as JSON: MLflow refuses them all")


def require_alike_in_engine(
    tools: Tools, folder: Path, features: pd.DataFrame, given: Said, *, version: str, held_out: Path | None
) -> None:
    """Refuse a model that the serving engine, which may have compiled it, answers otherwise than it was measured.

    Whoever writes a model's file can hide that from rows that its own files suggest, and not from those that decide.
    `held_out` is the folder of what its run says of held-out rows: an engine verifies with these what it chooses.
    """
    some = np.random.default_rng().permutation(len(features))[:MOST_REHEARSED]
    try:
        with tools.rehearse(folder) as engines:
            for engine in engines:
                _require_alike_in(engine, features.iloc[some], given.of(some), version, held_out)
    except SlipwayError as error:
        raise WrongAnswers(f"the engine could not serve {version}: {error.message}") from error


def _require_alike_in(
    engine: Rehearsing, features: pd.DataFrame, given: Said, version: str, held_out: Path | None
) -> None:
    """Refuse what an engine may choose and answers otherwise; whether it may is asked of one that does alone."""
    try:
        for method, wanted in _by_method(given, engine):
            _rehearse(engine, features, method, wanted, version)
    except Exception:  # a runner that was not verified may raise anything
        if engine.is_chosen(rows_as_stored(held_out)):
            raise


def _rehearse(engine: Rehearsing, features: pd.DataFrame, method: str, wanted: npt.NDArray[Any], version: str) -> None:
    """Ask for the rows in requests of every size, and refuse another answer than is wanted, or none at all."""
    own, answers = None if method == MEASURED[0] else method, 0
    for places in (np.arange(len(features)), *_requests(features)):
        answered = engine.answer(request_of(features.iloc[places], method=own).encode())
        if answered is None:
            continue
        answers += 1
        found = _labels(answered, len(places), version) if wanted.ndim == 1 else np.asarray(answered)
        if not _same(wanted[places], found, among=wanted):
            raise WrongAnswers(
                f"the engine ({engine.kind}) would answer {version}'s callers otherwise than it is measured: "
                f"{_shown(found)} in place of {_shown(wanted[places])}"
            )
    if not answers:
        raise WrongAnswers(f"the engine ({engine.kind}) would refuse all who ask {version} for {method} of such rows")


def _by_method(given: Said, engine: Rehearsing) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield what a request may ask for, and what was measured of that."""
    by_label = given.method == MEASURED[0]
    if by_label or given.scores is not None:
        yield MEASURED[0], given.labels if by_label or given.scores is None else given.scores
    if given.are_probabilities and given.scores is not None and MEASURED[1] in engine.methods:
        yield MEASURED[1], given.scores


def _requests(rows: pd.DataFrame) -> Iterator[npt.NDArray[np.int_]]:
    """Yield the places of rows that are asked about together.

    Some are alone, some in requests of any size and of the usual ones, some as they stand in their file or sorted.
    """
    rng, n = np.random.default_rng(), len(rows)
    places = rng.permutation(n)
    sizes = np.exp(rng.uniform(0, np.log(n), OF_ANY_SIZE)).astype(int)
    usual = [size for size in USUAL if size < n]
    more = np.tile(places, 3)[: min(2 * n + 1, MOST_REHEARSED)]  # a larger request than there are rows has some twice
    some = places[:SHUFFLED]
    by_columns = (_values(rows[name].iloc[some]) for name in rng.permutation(rows.columns)[:SORTED])
    yield from (some, *(places[i : i + 1] for i in range(min(ALONE, n))), *(places[:k] for k in (*sizes, *usual)), more)
    yield from (np.arange(len(some)), *(some[np.argsort(values, stable=True)] for values in by_columns))


def _values(column: pd.Series) -> npt.NDArray[Any]:
    """Return values that can be sorted."""
    is_number = pd.api.types.is_numeric_dtype(column)
    return column.to_numpy() if is_number else np.array([repr(value) for value in column])


def require_known_labels(given: Said, version: str) -> None:
    """Refuse labels that are missing, or none of the classes that a model says it knows."""
    if missing := int(pd.isna(given.labels).sum()):
        raise CannotCompare(f"{missing} of {len(given.labels)} answers of {version} are missing")
    strange = sorted({repr(each) for each in set(given.labels.tolist()) - set(np.asarray(given.classes).tolist())})
    if given.classes and strange:
        raise WrongAnswers(f"{version} answers {', '.join(strange[:3])}, which is none of its classes")


def require_probabilities(given: Said, version: str) -> Scores:
    """Return the probabilities, shape (n, k), each row's of them adding up to 1."""
    if given.scores is None or not given.are_probabilities:
        raise CannotCompare(f"this metric needs probabilities, and {version} gives none")
    found = require_scores(given, version)
    wrong = (found < -SUM_WITHIN).any(axis=1) | (np.abs(found.sum(axis=1) - 1) > SUM_WITHIN)
    if wrong.any():
        raise WrongAnswers(f"{int(wrong.sum())} rows of probabilities of {version} do not add up to 1")
    return found


def require_scores(given: Said, version: str) -> Scores:
    """Return the class scores, shape (n, k), all finite and of classes that are known."""
    if given.scores is None:
        raise CannotCompare(f"this metric needs class scores, and {version} gives none")
    if not given.classes:
        raise CannotCompare(f"{version} gives class scores, and does not say of which classes (classes_)")
    require_finite(given.scores, f"class scores of {version}")
    return given.scores


def as_numbers(values: npt.NDArray[Any], what: str) -> npt.NDArray[np.float64]:
    """Return shape (n,) as doubles, all of them finite."""
    try:
        found = np.asarray(values).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise CannotCompare(f"the {what} are not all numbers: {error}") from error
    require_finite(found, what)
    return found


def _said(stored: Any, given: pd.DataFrame, version: str) -> Said:
    """Ask a model about rows, each time about a copy: one that writes into what it is given changes no other answer."""
    classes = tuple(getattr(stored.model, "classes_", ()))
    return Said(
        labels=_labels(stored.model.predict(given.copy()), len(given), version),
        scores=_class_scores(stored.model, given, classes, version),
        are_probabilities=hasattr(stored.model, "predict_proba"),
        classes=classes,
        method=stored.method,
        are_amounts=foretells_amounts(stored.model),
    )


def require_finite(values: Scores, what: str) -> None:
    """Refuse to measure on what is no number: most arithmetic of NaN is silent, and so are comparisons with it."""
    if strange := int((~np.isfinite(values)).sum()):
        raise CannotCompare(f"{strange} {what} are not finite numbers")


def columns_of(answered: Any) -> tuple[str, ...]:
    """Return the columns of an answer that is a table: a frame, a mapping of columns, or rows as mappings."""
    if isinstance(answered, pd.DataFrame | Mapping):
        return tuple(map(str, answered))
    first = answered[0] if isinstance(answered, list) and answered else None
    return tuple(map(str, first)) if isinstance(first, Mapping) else ()


def _labels(answered: Any, n: int, version: str) -> npt.NDArray[Any]:
    if len(names := columns_of(answered)) > 1:
        raise WrongAnswers(
            f"{version} answers each row with {', '.join(names)}, and one value a row can be compared: name one in "
            f"the policy (output: {names[0]})"
        )
    labels = np.asarray(answered)
    if labels.shape == (n, 1):
        labels = labels[:, 0]
    if labels.shape != (n,):
        raise WrongAnswers(f"{version} answers with shape {labels.shape} to {n} rows; one value a row can be compared")
    return labels


def _same(ours: npt.NDArray[Any], theirs: npt.NDArray[Any], *, among: npt.NDArray[Any]) -> bool:
    """Return whether answers are the same; numbers up to rounding, of their own and of the usual size `among` all."""
    if ours.shape != theirs.shape:
        return False
    if all(np.issubdtype(each.dtype, np.floating) for each in (ours, theirs)):
        sizes = np.abs(among[np.isfinite(among) & (among != 0)])
        usual = float(np.median(sizes)) if sizes.size else 0.0
        return bool(np.allclose(ours, theirs, rtol=ROUNDED, atol=ROUNDED * usual, equal_nan=True))
    return bool(((ours == theirs) | (pd.isna(ours) & pd.isna(theirs))).all())


def _shown(labels: npt.NDArray[Any]) -> str:
    return ", ".join(map(repr, labels[:3].tolist()))


def _class_scores(model: Any, features: pd.DataFrame, classes: tuple[Any, ...], version: str) -> Scores | None:
    if not hasattr(model, "predict_proba") and not hasattr(model, "decision_function"):
        return None
    asked = model.predict_proba if hasattr(model, "predict_proba") else model.decision_function
    found = np.asarray(asked(features.copy()), dtype=float)
    if not hasattr(model, "predict_proba") and found.ndim == 1:
        found = np.column_stack([-found, found])
    columns = len(classes) or (found.shape[1] if found.ndim == 2 else 0)
    if found.shape != (len(features), columns):
        wanted = f"{len(features)} rows and {columns} classes"
        raise WrongAnswers(f"{version} gives class scores of shape {found.shape} for {wanted}")
    return found
