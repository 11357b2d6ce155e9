"""From a Parquet file to a `Table`, where the file's columns have the signature's very types.

As with JSON, plain is only what MLflow accepts with these very values. All else is for its own code in the slow lane:
integers that would be widened, missing values in columns other than floats, pandas' extension types, rows that have
labels. A module of its own, since only who reads Parquet should load pyarrow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.mlflow.columns import ARRAY_TYPES
from slipway.serving.protocols.mlflow.decoding import plain_params
from slipway.serving.protocols.mlflow.readers import Params
from slipway.serving.runtimes.understood import Understood
from slipway.serving.table import Table

# For each type: Arrow's, and what pandas may say in the file's metadata that it wrote.
FILE_TYPES: Mapping[str, tuple[frozenset[Any], frozenset[str]]] = {
    "double": (frozenset({pa.float64()}), frozenset({"float64"})),
    "float": (frozenset({pa.float32()}), frozenset({"float32"})),
    "integer": (frozenset({pa.int32()}), frozenset({"int32"})),
    "long": (frozenset({pa.int64()}), frozenset({"int64"})),
    "boolean": (frozenset({pa.bool_()}), frozenset({"bool"})),
    "string": (frozenset({pa.string(), pa.large_string()}), frozenset({"object", "str"})),
}
FLOATS = frozenset({"double", "float"})


class ParquetDecoder:
    """Reads plain Parquet files for one signature of columns."""

    def __init__(self, fields: Sequence[Field], params: Params) -> None:
        self._fields = fields
        self._params = params

    def decode(self, body: bytes) -> Understood | None:
        """Return a file's rows, with the defaults of the model's parameters; `None` where it is not plain."""
        try:
            file = pq.ParquetFile(pa.BufferReader(body))
            present = _present(file.schema_arrow, self._fields)
            table = _table(file.read(), present, self._fields) if present else None
        except (pa.ArrowException, OSError, ValueError, LookupError, TypeError):
            return None
        return self._params.plain(table, None) if table else None


def compile_parquet_decoder(signature: Signature | None) -> ParquetDecoder | None:
    """Return the decoder of a model's plain files; `None` where each is for MLflow's own code."""
    params = plain_params(signature)
    return ParquetDecoder(signature.inputs, params) if signature and params else None


def _present(schema: Any, fields: Sequence[Field]) -> Sequence[Field] | None:
    """Return the signature's columns that a file has; `None` where one is missing or of another type."""
    names: list[str] = schema.names
    present = [field for field in fields if field.name in names]
    if len(set(names)) != len(names) or any(field.required and field not in present for field in fields):
        return None
    written = _written_types(schema, present)
    are_exact = all(
        schema.field(field.name).type in FILE_TYPES[field.type][0]
        and written.get(field.name) in {None, *FILE_TYPES[field.type][1]}
        for field in present
    )
    return present if are_exact else None


def _written_types(schema: Any, present: Sequence[Field]) -> Mapping[str, str]:
    """Return column → type of numpy, as pandas wrote them.

    ValueError where it would make other columns of them, or rows with labels of their own.
    """
    metadata = schema.pandas_metadata
    if metadata is None:
        return {}
    names = [each["pandas_type"] for each in metadata["column_indexes"]]
    if not all(map(_only_counts, metadata["index_columns"])) or names not in ([], ["unicode"]):
        raise ValueError("an index that the model may see, or names of columns that are no text")
    return {each["field_name"]: each["numpy_type"] for each in metadata["columns"]}


def _only_counts(index: Any) -> bool:
    """Return whether an index, as pandas wrote it, is the one that rows without an index have."""
    return isinstance(index, dict) and (index["name"], index["start"], index["step"]) == (None, 0, 1)


def _table(rows: Any, present: Sequence[Field], fields: Sequence[Field]) -> Table | None:
    if not rows.num_rows or any(rows[field.name].null_count for field in present if field.type not in FLOATS):
        return None
    doubles = [field for field in fields if field.type == "double"]
    numbers = np.full((rows.num_rows, len(doubles)), np.nan)
    for i, field in enumerate(doubles):
        if field in present:
            numbers[:, i] = rows[field.name].to_numpy()
    others = {field.name: _array(rows[field.name], field) for field in present if field.type != "double"}
    return Table(numbers, others, tuple(field.name for field in doubles if field not in present))


def _array(column: Any, field: Field) -> npt.NDArray[Any]:
    return np.array(column.to_numpy(), dtype=ARRAY_TYPES[field.type])
