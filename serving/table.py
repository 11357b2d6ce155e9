"""The rows of a request, decoded: what every protocol makes and every runner takes.

Numbers of type `double` lie in one matrix, since most models take nothing else and one array costs less than thirty;
all other columns lie beside it, each in the type that the signature declares.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipway.registry.signature import Signature

TYPES = frozenset({"double", "float", "integer", "long", "boolean", "string", "datetime", "binary"})


# Not a dataclass: msgspec makes this one in a tenth of the time, and there is one for each request.
class Table(msgspec.Struct, frozen=True, gc=False):
    """Rows in a signature's types.

    `numbers` has shape (n, k): the signature's `double` columns in their order, a missing value as NaN. `others` is
    column name → shape (n,), in the order of the signature: `string` as object (`None` or NaN where missing), `boolean`
    as bool, `integer` as int32, `long` as int64, `float` as float32, `datetime` as datetime64[ns], `binary` as object.
    An optional column that the request leaves out is NaN in `numbers` and named in `absent`, or absent in `others`.
    `index` are the rows' labels where the request gives some. `frame` is the very frame that MLflow made of the
    request, pickled, where the rest cannot tell what a model would see of it: which of pandas' types a text has, an
    index of dates. Runners that prepare a matrix of values need neither.
    """

    numbers: npt.NDArray[np.float64]
    others: Mapping[str, npt.NDArray[Any]] = msgspec.field(default_factory=dict)
    absent: tuple[str, ...] = ()
    index: Sequence[int | str] | None = None
    frame: bytes | None = None

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return len(self.numbers)


def copied(table: Table) -> Table:
    """Return the same rows in memory of their own: scikit-learn writes into rows where a model says `copy=False`."""
    others = {name: values.copy() for name, values in table.others.items()}
    return msgspec.structs.replace(table, numbers=table.numbers.copy(), others=others)


def is_of_columns(signature: Signature | None) -> bool:
    """Return whether the inputs are named columns of scalars that MLflow enforces: what a `Table` can hold."""
    if signature is None or not signature.has_names or signature.is_from_type_hints:
        return False
    # MLflow takes a column that is named "" for one without a name.
    names = {field.name for field in signature.inputs if field.name}
    are_scalars = all(field.type in TYPES and field.shape is None for field in signature.inputs)
    return are_scalars and len(names) == len(signature.inputs)


def joined(tables: Sequence[Table]) -> Table:
    """Return the rows of several tables of one signature, all with the same optional columns, in one.

    Rows are predicted together by runners that see values alone: labels are not joined.
    """
    if len(tables) == 1:
        return tables[0]
    numbers = np.concatenate([table.numbers for table in tables])
    first = tables[0]
    others = {name: np.concatenate([table.others[name] for table in tables]) for name in first.others}
    return Table(numbers, others, first.absent)


def split(predictions: Any, tables: Sequence[Table]) -> list[Any]:
    """Return each table's part of what was predicted for all of them joined."""
    if len(tables) == 1:
        return [predictions]
    ends = list(accumulate(len(table.numbers) for table in tables))
    return [predictions[start:end] for start, end in zip([0, *ends], ends, strict=False)]
