"""The datatypes of the Open Inference Protocol, as numpy and MLflow's signatures call them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

BYTES, BOOL, BF16, FP32, FP64, INT64 = "BYTES", "BOOL", "BF16", "FP32", "FP64", "INT64"
# Little-endian, as they lie in binary tensors; BF16, which numpy lacks, is the upper half of a float32.
ON_THE_WIRE: Mapping[str, np.dtype[Any]] = {
    BOOL: np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    BF16: np.dtype("<u2"),
}
DATATYPES = (*ON_THE_WIRE, BYTES)
FLOATS = frozenset({"FP16", FP32, FP64, BF16})
OF_NUMPY: Mapping[str, str] = {kind.str[1:]: name for name, kind in ON_THE_WIRE.items() if name != BF16}
OF_COLUMN: Mapping[str, str] = {
    "double": FP64,
    "float": FP32,
    "integer": "INT32",
    "long": INT64,
    "boolean": BOOL,
    "string": BYTES,
    "datetime": BYTES,
    "binary": BYTES,
}


def numpy_type(datatype: str) -> np.dtype[Any]:
    """Return the type in which the values of a datatype are held: the machine's byte order, BF16 as float32."""
    return np.dtype(np.float32) if datatype == BF16 else ON_THE_WIRE[datatype].newbyteorder("=")


def datatype_of(kind: str, *, is_tensor: bool) -> str:
    """Return the datatype of a field of a signature: of MLflow's word for a column, of numpy's for a tensor.

    >>> datatype_of("long", is_tensor=False), datatype_of("float32", is_tensor=True), datatype_of("str", is_tensor=True)
    ('INT64', 'FP32', 'BYTES')
    """
    if not is_tensor:
        return OF_COLUMN.get(kind, BYTES)
    try:
        return OF_NUMPY.get(np.dtype(kind).str[1:], BYTES)
    except TypeError:
        return BYTES


def triton_type(datatype: str) -> str:
    """Return what a model configuration of Triton calls a datatype."""
    return "TYPE_STRING" if datatype == BYTES else f"TYPE_{datatype}"
