"""Which data is refused, and which only gets a warning. Rules over a frame; nothing is read here."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.nearest import did_you_mean
from slipway.training.dataset import ColumnKind, ColumnSchema, Dataset
from slipway.training.identifiers import identifier_notes
from slipway.training.listed import NAMED_AT_MOST, listed
from slipway.training.text_columns import TextKind, kind_of_text, text_notes
from slipway.training.words import words_among_numbers

MOST_CLASSES_OF_NUMBERS = 20
MOST_EXACT = 2**53  # beyond it a double is not every whole number


def refuse_table(frame: pd.DataFrame, target: str, source: str) -> None:
    """Refuse a table that nothing can be trained on.

    Raises
    ------
    InvalidInput
        There are no rows, a column name twice, or no column beside the target.
    NotFound
        The target is not a column.
    """
    names = [str(name) for name in frame.columns]
    refuse_repeated(names, source)
    if target not in names:
        raise NotFound(
            f"{source} has no column '{target}'{did_you_mean(target, names)}; there are: {listed(names)}",
            code="unknown-target",
            hint="if more stands in it, say what separates the fields: sep=; or sep=tab" if len(names) == 1 else None,
        )
    if frame.empty:
        raise _invalid(f"{source} has no rows", "no-rows", None)
    refuse_no_features([name for name in names if name != target], target, source)


def refuse_no_features(features: Sequence[str], target: str, source: str) -> None:
    """Refuse a table in which nothing is beside the target.

    Raises
    ------
    InvalidInput
        There is no feature.
    """
    if not len(features):
        raise _invalid(
            f"{source} has no column with a value beside the target '{target}'",
            "no-features",
            "keep or bring columns that say something of the target",
        )


def empty_notes(names: Sequence[str]) -> Iterator[str]:
    """Tell of columns without a value, which are no features."""
    if names:
        yield f"columns without a single value, left out of the features: {listed(names)}"


def labelled(dataset: Dataset) -> Dataset:
    """Return the dataset without the rows whose target is missing, with their number.

    Raises
    ------
    InvalidInput
        No row has a target.
    """
    known = dataset.frame[dataset.target].notna().to_numpy()
    if known.all():
        return dataset
    if not known.any():
        raise _invalid(
            f"target '{dataset.target}' is missing in all {len(known):,} rows",
            "missing-target",
            "name another target, or bring rows that have one",
        )
    frame = dataset.frame[known].reset_index(drop=True)
    target = frame[dataset.target]
    if dataset.target_dtype:
        target = target.astype(pd.api.types.pandas_dtype(dataset.target_dtype))
    # pandas reads whole numbers of a CSV as doubles where one is missing.
    if dataset.reading.sep and is_float_dtype(target) and (target % 1 == 0).all() and (abs(target) < MOST_EXACT).all():
        target = target.astype("int64")
    frame[dataset.target] = target
    return replace(dataset, frame=frame, ids=dataset.ids[known], unlabelled=int((~known).sum()))


def unlabelled_notes(dataset: Dataset) -> Iterator[str]:
    """Tell of rows that were left out since nobody knows their target."""
    if dataset.unlabelled:
        total = dataset.unlabelled + len(dataset.frame)
        yield f"target '{dataset.target}' is missing in {dataset.unlabelled:,} of {total:,} rows, which are left out"


def refuse_target(target: pd.Series, *, classification: bool) -> None:
    """Refuse a target that cannot be learned.

    Raises
    ------
    InvalidInput
        A value is missing or infinite, all are the same, or they do not suit the task.
    """
    name = target.name
    if missing := int(target.isna().sum()):
        raise _invalid(
            f"target '{name}' is missing in {missing} of {len(target)} rows",
            "missing-target",
            "remove those rows",
        )
    if pd.api.types.is_datetime64_any_dtype(target):
        raise _invalid(
            f"target '{name}' holds dates, which are neither numbers nor classes",
            "target-of-dates",
            "turn them into numbers such as days, or into classes such as months",
        )
    numeric = pd.api.types.is_numeric_dtype(target)
    if numeric and (wrong := beyond_floats(target.to_frame())):
        raise _invalid(wrong.replace("column", "target", 1), "infinite-target", "remove those rows, or rescale it")
    if not numeric:
        _refuse_words_among_numbers(target, classification=classification)
    if target.nunique() == 1:
        what = "one class" if classification else "one value"
        raise _invalid(
            f"target '{name}' has only {what}, {_plain(target.iloc[0])!r}: there is nothing to learn",
            "constant-target",
            "bring rows with other values, or name another target",
        )
    if not classification and not numeric:
        raise _invalid(
            f"task regression needs numbers, and target '{name}' holds {target.dtype} such as {target.iloc[0]!r}",
            "target-not-numeric",
            "set task=classification, or name another target",
        )
    if classification and pd.api.types.is_float_dtype(target) and (target % 1 != 0).any():
        fraction = target[target % 1 != 0].iloc[0]
        raise _invalid(
            f"task classification needs classes, and target '{name}' holds fractions such as {fraction}",
            "target-not-classes",
            "set task=regression, or turn the target into classes",
        )


def beyond_floats(features: pd.DataFrame) -> str | None:
    """Return which columns hold infinities, or numbers beyond what single precision holds, in words; `None` for none.

    Trees compare in single precision, and scaling squares: a number beyond it is no use to either.
    """
    limit = float(np.finfo(np.float32).max)
    found = []
    for name, column in features.select_dtypes("number").items():
        values = np.abs(column.to_numpy(dtype=float, na_value=np.nan))
        if count := int((values > limit).sum()):
            worst = "infinite" if np.isinf(values).any() else f"as large as {np.nanmax(values):.3g}"
            found.append(f"column '{name}' is {worst} in {count} of {len(values)} rows")
    more = f" and {len(found) - NAMED_AT_MOST} more columns" if len(found) > NAMED_AT_MOST else ""
    return "; ".join(found[:NAMED_AT_MOST]) + more if found else None


def refuse_features(features: pd.DataFrame) -> None:
    """Refuse features that only some estimators could take, and that no request can carry.

    Raises
    ------
    InvalidInput
        A value is infinite, or beyond what single precision holds; the columns are named.
    """
    if wrong := beyond_floats(features):
        raise _invalid(
            f"{wrong}: beyond ±3.4e38 there is nothing to compute with",
            "infinite-feature",
            "correct those values, or leave them empty, or remove the rows or the column",
        )


def _refuse_words_among_numbers(target: pd.Series, *, classification: bool) -> None:
    """Refuse what would be numbers but for how they are written, or a word such as NA: hundreds are no classes."""
    counts = target.value_counts()
    words = words_among_numbers(counts)
    many = not classification or len(counts) > MOST_CLASSES_OF_NUMBERS
    if not words and many and kind_of_text(target) is TextKind.NUMBERS:
        raise _invalid(
            f"target '{target.name}' holds numbers written as text, such as {target.iloc[0]!r}",
            "numbers-as-text",
            f"dtype={target.name}=number reads them as numbers",
        )
    if words and not (classification and len(counts) - len(words) <= MOST_CLASSES_OF_NUMBERS):
        raise _invalid(
            f"target '{target.name}' holds numbers, and {', '.join(map(repr, words))} in {counts[list(words)].sum():,} "
            f"of {len(target):,} rows",
            "words-among-numbers",
            f"missing={','.join(words)} leaves those rows out, if that is what it means",
        )


def warnings_for(dataset: Dataset, features: Sequence[ColumnSchema], *, dates: Collection[str] = ()) -> tuple[str, ...]:
    """Return what a person should know of data that is trained on all the same.

    `features` are the columns in use but for `dates`, which are expanded.
    """
    kinds = _kinds_of_text(dataset, features)
    others = [column for column in features if kinds.get(column.name, TextKind.CATEGORIES) is TextKind.CATEGORIES]
    return (
        *dataset.form_notes,
        *dataset.notes,
        *unlabelled_notes(dataset),
        *_constant_columns(dataset, features),
        *text_notes(dataset.frame, kinds, dataset.missing_words),
        *identifier_notes(dataset.frame, others),
        *_dates(dataset, dates),
        *_conflicts(dataset),
    )


def refuse_repeated(names: list[str], source: str) -> None:
    """Refuse a column name that stands twice: readers rename the second in silence.

    Raises
    ------
    InvalidInput
        A name stands twice.
    """
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _invalid(f"{source} has column names twice: {listed(repeated)}", "repeated-columns", "rename them")


def _constant_columns(dataset: Dataset, features: Sequence[ColumnSchema]) -> Iterator[str]:
    names = [c.name for c in features if _is_constant(dataset.frame[c.name])]
    if names:
        yield f"columns with one value only: {listed(names)}"


def _is_constant(column: pd.Series) -> bool:
    """Compare with the first value: counting distinct values costs a sort of every column."""
    first = column.iloc[0]
    return bool(column.isna().all() if pd.isna(first) else (column == first).all())


def _dates(dataset: Dataset, expanded: Collection[str]) -> Iterator[str]:
    if names := [c.name for c in dataset.schema if c.kind is ColumnKind.DATETIME and c.name not in expanded]:
        yield f"columns of dates, left out of the features: {listed(names)}; dates=expand makes features of them"


def _kinds_of_text(dataset: Dataset, features: Sequence[ColumnSchema]) -> dict[str, TextKind]:
    """Return what columns of text say, but for those that were said to be text."""
    text = [column.name for column in features if column.kind is ColumnKind.CATEGORICAL]
    return {name: kind_of_text(dataset.frame[name]) for name in text if name not in dataset.reading.dtypes}


def _conflicts(dataset: Dataset) -> Iterator[str]:
    ids = pd.Series(dataset.ids)
    repeated = ids.duplicated(keep=False).to_numpy()
    if not repeated.any():
        return
    targets = dataset.frame[dataset.target].to_numpy()[repeated]
    differing = pd.Series(targets).groupby(ids[repeated].to_numpy()).transform("nunique") > 1
    if count := int(differing.sum()):
        yield f"{count} rows have the same features as another row and a different target"


def _plain(value: object) -> object:
    """Return NumPy's scalars as Python's, which print without their type."""
    return value.item() if isinstance(value, np.generic) else value


def _invalid(message: str, code: str, hint: str | None) -> InvalidInput:
    return InvalidInput(message, code=code, hint=hint)
