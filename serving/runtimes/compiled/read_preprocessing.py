"""Read a fitted scikit-learn pipeline: what is done to which column before the estimator, and the estimator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from slipway.registry.signature import Field
from slipway.serving.runtimes.compiled.categories import ENCODERS, Source, read_categories
from slipway.serving.runtimes.compiled.preprocessing import Category, Matrix, Numbers, Places, Preparation, Single, Step
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name

NUMERIC = frozenset({"double", "boolean", "long", "integer"})
NOTHING: Matrix = np.empty(0)

Part = Numbers | Single | Category


@dataclass(frozen=True, slots=True)
class TakenApart:
    """A pipeline taken apart."""

    preparation: Preparation
    estimator: Any


def read_preparation(model: Any, fields: Sequence[Field]) -> TakenApart:
    """Return the preparation of a fitted model (a Pipeline, or an estimator alone) for a signature's columns.

    Raises
    ------
    NotCompilable
        A transformer, a column's type or an order of columns is not known to us.
    """
    steps = list(_flat(model)) if isinstance(model, Pipeline) else [model]
    *transformers, estimator = steps
    sources = _sources(fields)
    if transformers and isinstance(transformers[0], ColumnTransformer):
        parts, constants = _of_columns(transformers[0], sources)
        width = len(constants)
        after, kept = _steps(transformers[1:], width)
        if len(kept) != width:
            raise NotCompilable("an imputer after the ColumnTransformer that leaves out columns")
        preparation = Preparation(width=width, parts=parts, after=after, constants=_unless_zero(constants))
    else:
        _require_order(model, sources)
        parts, constants = _branch(transformers, sources, start=0)
        preparation = Preparation(width=len(constants), parts=parts, constants=_unless_zero(constants))
    return TakenApart(preparation, estimator)


def _unless_zero(constants: Matrix) -> Matrix | None:
    return constants if constants.any() else None


def _flat(pipeline: Pipeline) -> Iterator[Any]:
    for _, step in pipeline.steps:
        if isinstance(step, Pipeline):
            yield from _flat(step)
        elif not _is_passthrough(step):
            yield step


def _is_passthrough(step: Any) -> bool:
    is_identity = isinstance(step, FunctionTransformer) and step.func is None and not step.validate
    return step is None or step == "passthrough" or is_identity


def _sources(fields: Sequence[Field]) -> list[Source]:
    doubles = [field.name for field in fields if field.type == "double"]
    places = {name: place for place, name in enumerate(doubles)}
    return [Source(field.name, field.type, places.get(field.name)) for field in fields]


def _require_order(model: Any, sources: Sequence[Source]) -> None:
    names = getattr(model, "feature_names_in_", None)
    if names is not None and list(names) != [source.name for source in sources]:
        raise NotCompilable("the signature's columns are not those of the fit, in their order")
    if getattr(model, "n_features_in_", len(sources)) != len(sources):
        raise NotCompilable("the signature has another number of columns than the fit")


def _of_columns(fitted: ColumnTransformer, sources: Sequence[Source]) -> tuple[tuple[Part, ...], Matrix]:
    """Return what it makes of the columns, read as its own `transform` does (scikit-learn 1.9).

    What it keeps beside (`output_indices_`) may say something else in a file that somebody has changed.
    """
    by_name = hasattr(fitted, "feature_names_in_")
    steps_of = fitted._iter(fitted=True, column_as_labels=by_name, skip_drop=True, skip_empty_columns=True)
    parts: list[Part] = []
    constants: list[Matrix] = []
    start = 0
    for name, transformer, columns, weight in steps_of:
        if weight is not None:
            raise NotCompilable(f"a ColumnTransformer that weighs '{name}'")
        taken = _chosen(columns, sources, by_name=by_name)
        steps = list(_flat(transformer)) if isinstance(transformer, Pipeline) else [transformer]
        some, own = _branch([step for step in steps if not _is_passthrough(step)], taken, start=start)
        parts.extend(some)
        constants.append(own)
        start += len(own)
    return tuple(parts), np.concatenate([NOTHING, *constants])


def _chosen(columns: Any, sources: Sequence[Source], *, by_name: bool) -> list[Source]:
    """Return the sources that are named, or that a list, a slice or a mask of places chooses."""
    if isinstance(columns, str | int):
        raise NotCompilable(f"a transformer that takes column {columns!r} as one value a row")
    found = {source.name: source for source in sources}
    try:
        if by_name:
            return [found[name] for name in columns]
        return [sources[place] for place in np.arange(len(sources))[columns]]
    except (KeyError, IndexError, TypeError) as error:
        raise NotCompilable(f"columns {columns!r} of a ColumnTransformer that are not in the signature") from error


def _branch(chain: Sequence[Any], sources: Sequence[Source], *, start: int) -> tuple[tuple[Part, ...], Matrix]:
    """Return the parts that a chain of transformers over some columns becomes, and its columns that never change."""
    _require_copies(chain)
    if any(isinstance(fitted, ENCODERS) for fitted in chain):
        encoded = read_categories(chain, sources)
        categories = tuple(replace(each, targets=each.targets + start) for each in encoded.categories)
        return categories, encoded.constants
    for source in sources:
        if source.kind not in NUMERIC:
            raise NotCompilable(f"column '{source.name}' of type {source.kind} without an encoder")
    steps, kept = _steps(chain, len(sources))
    return tuple(_numeric_parts([sources[place] for place in kept], steps, start)), np.zeros(len(kept))


def _numeric_parts(sources: Sequence[Source], steps: tuple[Step, ...], start: int) -> Iterator[Part]:
    inside = [place for place, source in enumerate(sources) if source.place is not None]
    if inside:
        places = np.array([sources[place].place for place in inside], dtype=np.intp)
        targets = np.array(inside, dtype=np.intp)
        yield Numbers(places, targets + start, tuple(_only(step, targets) for step in steps))
    for place, source in enumerate(sources):
        if source.place is None:
            own = tuple(_only(step, np.array([place])) for step in steps)
            yield Single(source.name, start + place, own)


def _only(step: Step, places: Places) -> Step:
    first = step.first[places] if len(step.first) else step.first
    second = step.second[places] if len(step.second) else step.second
    return Step(step.name, first, second)


def _steps(chain: Sequence[Any], width: int) -> tuple[tuple[Step, ...], Places]:
    """Return what a chain does to numbers, and which of the columns it lets through."""
    _require_copies(chain)
    kept = np.arange(width)
    done: list[Step] = []
    for fitted in chain:
        read = READERS.get(type(fitted))
        if read is None:
            raise NotCompilable(f"{type_name(fitted)} is not a transformer known here")
        steps, through = read(fitted, len(kept))
        done = [_only(step, through) for step in [*done, *steps]]
        kept = kept[through]
    return tuple(done), kept


def _require_copies(chain: Sequence[Any]) -> None:
    """Refuse transformers that write into the rows that they are given: others that take a column may see that."""
    for fitted in chain:
        if getattr(fitted, "copy", True) is not True:
            raise NotCompilable(f"{type_name(fitted)} with copy={fitted.copy!r}")


def _constant(width: int, value: float) -> Matrix:
    return np.full(width, value, dtype=np.float64)


def _impute(fitted: SimpleImputer, width: int) -> tuple[list[Step], Places]:
    if fitted.add_indicator:
        raise NotCompilable("SimpleImputer with an indicator")
    missing = fitted.missing_values
    if isinstance(missing, str) or missing is None:
        raise NotCompilable(f"SimpleImputer of numbers for missing value {missing!r}")
    if not np.isnan(missing) and fitted.strategy not in ("mean", "median"):
        # Whole numbers stay whole for it: of what it puts in, the rest is cut off.
        raise NotCompilable(f"SimpleImputer with {fitted.strategy} for missing value {missing!r}")
    fill = np.asarray(fitted.statistics_, dtype=np.float64)
    through = np.arange(width) if fitted.keep_empty_features else np.flatnonzero(~np.isnan(fill))
    # It refuses infinities, and NaN where NaN is not what it fills.
    checks = [Step("refuse", NOTHING if np.isnan(missing) else _constant(width, np.nan), NOTHING)]
    return [*checks, Step("impute", _constant(width, float(missing)), fill)], through


def _scale(center: npt.NDArray[Any] | None, scale: npt.NDArray[Any] | None, width: int) -> tuple[list[Step], Places]:
    steps = [Step("refuse", NOTHING, NOTHING)]
    if center is not None:
        steps.append(Step("subtract", np.asarray(center, dtype=np.float64), NOTHING))
    if scale is not None:
        steps.append(Step("divide", np.asarray(scale, dtype=np.float64), NOTHING))
    return steps, np.arange(width)


def _min_max(fitted: MinMaxScaler, width: int) -> tuple[list[Step], Places]:
    steps = [
        Step("refuse", NOTHING, NOTHING),
        Step("multiply", np.asarray(fitted.scale_, dtype=np.float64), NOTHING),
        Step("add", np.asarray(fitted.min_, dtype=np.float64), NOTHING),
    ]
    if fitted.clip:
        low, high = fitted.feature_range
        steps.append(Step("clip", _constant(width, low), _constant(width, high)))
    return steps, np.arange(width)


READERS: Mapping[type, Callable[[Any, int], tuple[list[Step], Places]]] = {
    SimpleImputer: _impute,
    StandardScaler: lambda fitted, width: _scale(
        fitted.mean_ if fitted.with_mean else None, fitted.scale_ if fitted.with_std else None, width
    ),
    RobustScaler: lambda fitted, width: _scale(
        fitted.center_ if fitted.with_centering else None, fitted.scale_ if fitted.with_scaling else None, width
    ),
    MaxAbsScaler: lambda fitted, width: _scale(None, fitted.scale_, width),
    MinMaxScaler: _min_max,
}


def makes_doubles(preparation: Preparation) -> bool:
    """Return whether scikit-learn would give the estimator doubles, too: of whole numbers alone it makes none."""
    steps = [step for part in preparation.parts if isinstance(part, Single) for step in part.steps]
    reckons = any(step.name not in ("refuse", "impute") for step in [*steps, *preparation.after])
    return reckons or any(not isinstance(part, Single) for part in preparation.parts)


def without_checks(preparation: Preparation) -> Preparation:
    """Return it without its own refusals, for an estimator that refuses NaN and infinities itself.

    They stay where a value is clipped, since that would hide an infinity from the estimator.
    """

    def unchecked(steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if any(step.name == "clip" for step in [*steps, *preparation.after]):
            return steps
        return tuple(step for step in steps if step.name != "refuse")

    parts = tuple(
        part if isinstance(part, Category) else replace(part, steps=unchecked(part.steps)) for part in preparation.parts
    )
    after = unchecked(preparation.after)
    return Preparation(width=preparation.width, parts=parts, after=after, constants=preparation.constants)
