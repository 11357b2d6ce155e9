"""Reading: one `data` parameter becomes a Dataset, wherever the rows are.

`sklearn:NAME`, a CSV or Parquet path, `s3://bucket/key`, or `sql:CONNECTION:SELECT …`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.nearest import did_you_mean
from slipway.registry.reading import Reading
from slipway.registry.rows import content_digest, row_ids
from slipway.training.column_choice import ColumnChoice, left_out, require_columns, typed
from slipway.training.dataset import ColumnKind, ColumnSchema, Dataset, kind_of
from slipway.training.file_data import TableRead, dvc_digest, read_file, separator_of
from slipway.training.quality import empty_notes, refuse_no_features, refuse_table
from slipway.training.words import word_notes

BUILT_IN: Mapping[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
AS_IT_IS = Reading()
URL_WITH_PASSWORD = re.compile(r"\w[\w+.-]*://[^/\s@]*:[^/\s@]*@")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSources:
    """The doors that reading goes through, and the database URL of each named connection."""

    read_object: Callable[[str, Reading], TableRead]
    read_statement: Callable[[str, str, str], pd.DataFrame]
    connections: Mapping[str, str]


def load(
    data: str, target: str, *, sources: DataSources, reading: Reading = AS_IT_IS, columns: ColumnChoice | None = None
) -> Dataset:
    """Read what the `data` parameter names, and leave out what `columns` says.

    Without `columns` a table is read again, or another one alike: what the reading names need not be there.

    Raises
    ------
    InvalidInput, NotFound, Unavailable
        One line: what was asked, what was found, what to do.
    """
    refuse_password(data)
    table, source_digest = _read(data, sources, reading)
    frame = table.frame.rename(columns=str)
    refuse_table(frame, target, data)
    dropped = tuple(name for name in reading.dropped if name in frame.columns and name != target)
    if columns:
        require_columns(frame, reading.dtypes, data)
        dropped = left_out(frame, columns, target, data)
    as_said, rewritten = typed(frame.drop(columns=list(dropped)), table.reading)
    normal, notes = normalised(as_said, target)
    labels = normal[target]
    normal[target] = _plain_target(labels, reading.missing_words)
    known = _plain_target(labels[normal[target].notna()], ())
    empty = [str(name) for name, column in normal.items() if name != target and column.isna().all()]
    features = normal.drop(columns=[target, *empty])
    refuse_no_features(list(features.columns), target, data)
    ids = row_ids(features)
    return Dataset(
        frame=normal,
        target=target,
        name=_name_of(data),
        source=data,
        digest=content_digest(normal.columns, ids, row_ids(normal[[target]])),
        schema=tuple(ColumnSchema(name=name, kind=kind_of(features[name])) for name in features.columns),
        ids=ids,
        source_digest=source_digest,
        reading=table.reading.changed(dropped=dropped),
        form_notes=table.notes,
        target_dtype=str(known.dtype),
        notes=(
            *empty_notes(empty),
            *rewritten,
            *notes,
            *word_notes(features, reading.missing_words, is_csv=_is_csv(data)),
        ),
    )


def refuse_password(data: str) -> None:
    """Refuse a URL that carries a password, without repeating it.

    Raises
    ------
    InvalidInput
        The parameter holds `scheme://user:password@…`.
    """
    if URL_WITH_PASSWORD.search(data):
        raise InvalidInput(
            "data holds a URL with a password, and parameters are recorded; if `mlflow run` was used, this run "
            "has it on record already: change the password and delete the run",
            code="password-in-parameter",
            hint="put the URL into slipway.yaml as `training: {connections: {NAME: …}}`, or into "
            "SLIPWAY_TRAINING__CONNECTIONS__NAME, and write data=sql:NAME:SELECT …",
        )


def _read(data: str, sources: DataSources, reading: Reading) -> tuple[TableRead, str | None]:
    kind, _, rest = data.partition(":")
    if kind == "sklearn":
        return TableRead(frame=_read_built_in(rest), reading=reading), None
    if kind == "sql":
        return TableRead(frame=_read_statement(data, rest, sources), reading=reading), None
    if kind == "s3":
        return sources.read_object(data, reading), None
    if re.match(r"\w[\w+.-]+://", data):
        raise InvalidInput(
            f"data cannot be read from '{kind}://'; known: sklearn:NAME, a path, s3://bucket/key, "
            "sql:CONNECTION:SELECT …",
            code="unknown-source",
            hint=None,
        )
    path = _expanded(data)
    return read_file(path, reading), dvc_digest(path)


def _expanded(data: str) -> Path:
    try:
        return Path(data).expanduser()
    except RuntimeError as error:
        raise InvalidInput(
            f"'{data}' begins in the home folder of a user who is not known here",
            code="unknown-home",
            hint="write the full path; a file whose own name begins with ~ is ./~NAME",
        ) from error


def _read_built_in(name: str) -> pd.DataFrame:
    if name not in BUILT_IN:
        raise NotFound(
            f"no built-in dataset '{name}'{did_you_mean(name, BUILT_IN)}; there are: {', '.join(BUILT_IN)}",
            code="unknown-dataset",
            hint=None,
        )
    frame: pd.DataFrame = BUILT_IN[name](as_frame=True).frame
    return frame


def _read_statement(data: str, rest: str, sources: DataSources) -> pd.DataFrame:
    connection, _, statement = rest.partition(":")
    if not connection or not statement.strip():
        raise InvalidInput(
            f"'{data}' names no statement; write sql:CONNECTION:SELECT …", code="not-a-statement", hint=None
        )
    if connection not in sources.connections:
        raise NotFound(
            f"no connection '{connection}'{did_you_mean(connection, sources.connections)}; "
            f"named: {', '.join(sources.connections) or 'none'}",
            code="unknown-connection",
            hint=f"put its URL into slipway.yaml as `training: {{connections: {{{connection}: …}}}}`, "
            f"or into SLIPWAY_TRAINING__CONNECTIONS__{connection.upper()}",
        )
    return sources.read_statement(connection, sources.connections[connection], statement)


def normalised(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the frame in the types of a Dataset, and notes of what had to be guessed.

    Numbers become float64, whatever their width; booleans stay unless a value is missing, and then become
    0, 1 and missing; everything else becomes text, missing as NaN, but for dates. The target keeps its type.
    Columns that need no change are not copied.
    """
    notes = tuple(
        f"column '{name}' mixes types and is taken as text"
        for name in frame.columns
        if name != target
        and pd.api.types.infer_dtype(frame[name], skipna=True).startswith("mixed")
        and frame[name].dtype == object
    )
    columns = {name: column if name == target else _normal(column) for name, column in frame.items()}
    return pd.DataFrame(columns, copy=False).reset_index(drop=True), notes


def _normal(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        column = _from_objects(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = kind_of(column)
    if kind is ColumnKind.BOOLEAN and not column.isna().any():
        return column.astype(bool)
    if kind in (ColumnKind.BOOLEAN, ColumnKind.NUMERIC):
        return column.astype("float64")
    if kind is not ColumnKind.DATETIME:
        return column.astype("str")
    return column if column.dt.tz is None else column.dt.tz_convert("UTC").dt.tz_localize(None)  # as MLflow takes them


def _from_objects(column: pd.Series) -> pd.Series:
    """Return a column of Python objects in the type that all of its values have, or as text."""
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "boolean":
        return column.astype("boolean")
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        return column.astype("float64")
    if inferred in ("datetime64", "datetime", "date"):
        return pd.to_datetime(column, utc=_has_zones(column))
    return column.where(column.isna(), column.map(str)).astype("str")


def _plain_target(target: pd.Series, missing_words: Sequence[str]) -> pd.Series:
    """Return the target in NumPy's types, which estimators know, where no value is missing; declared words are."""
    if isinstance(target.dtype, pd.CategoricalDtype):
        target = target.astype(target.cat.categories.dtype)
    if target.dtype == object and not target.empty:
        target = _from_objects(target)
    kind = kind_of(target)
    if kind is ColumnKind.CATEGORICAL:
        return target.mask(target.isin(missing_words)).astype("str")
    if target.dtype == np.float16:  # pandas groups by no such numbers
        return target.astype("float64")
    if kind is ColumnKind.DATETIME or not pd.api.types.is_extension_array_dtype(target.dtype):
        return target
    if target.isna().any() or pd.api.types.is_float_dtype(target):
        return target.astype("float64")
    if kind is ColumnKind.BOOLEAN:
        return target.astype("bool")
    return target.astype("int64") if pd.api.types.is_integer_dtype(target) else target.astype("float64")


def _has_zones(column: pd.Series) -> bool:
    """Return whether moments carry zones; summer and winter time of one zone are two of Python's."""
    return any(getattr(value, "tzinfo", None) is not None for value in column.dropna())


def _is_csv(data: str) -> bool:
    return not data.startswith(("sql:", "sklearn:")) and separator_of(data) is not None


def _name_of(data: str) -> str:
    kind, _, rest = data.partition(":")
    return rest if kind == "sklearn" else kind if kind == "sql" else Path(data).name
