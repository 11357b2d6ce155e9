"""From a Parquet file to a `Table`, where the file's columns have the signature's very types.

As with JSON, plain is only what MLflow accepts with these very values; all else is for its own code in the slow lane:
integers that would be widened, missing values in columns other than numbers, pandas' extension types, an index.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from registry.signature import Field, Signature
from serving.protocols.columns import is_of_columns
from serving.table import Table

ARROW_TYPES: Mapping[str, frozenset[Any]] = {
    "double": frozenset({pa.float64()}),
    "float": frozenset({pa.float32()}),
    "integer": frozenset({pa.int32()}),
    "long": frozenset({pa.int64()}),
    "boolean": frozenset({pa.bool_()}),
    "string": frozenset({pa.string(), pa.large_string()}),
}
# What pandas may say it wrote: its own types of numpy, not its extension types.
PANDAS_TYPES: Mapping[str, frozenset[str]] = {
    "double": frozenset({"float64"}),
    "float": frozenset({"float32"}),
    "integer": frozenset({"int32"}),
    "long": frozenset({"int64"}),
    "boolean": frozenset({"bool"}),
    "string": frozenset({"object", "str"}),
}
FLOATS = frozenset({"double", "float"})
```
