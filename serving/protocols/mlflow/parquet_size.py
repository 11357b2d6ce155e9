"""How large a Parquet file becomes when it is read, from what it says of itself.

A page of a few bytes may repeat one value a billion times, or be compressed; a dictionary holds a long text once.
Where the text of a dictionary could become too large, it is counted: its keys are read, and not the texts in their
places. What a file tells falsely of itself is left to the limit of the process's memory.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slipway.serving.protocols.mlflow.unpacked import CELL_BYTES

TEXT = "BYTE_ARRAY"
DICTIONARIES = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})


def parquet_bytes(body: bytes, n_fields: int, most_bytes: int) -> int:
    """Return what a file becomes, as far as that is not beyond `most_bytes`; 0 for one that cannot be read."""
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        known: int = max(CELL_BYTES * file.metadata.num_rows * n_fields, sum(map(_least, _chunks(file.metadata))))
        return known if known > most_bytes else known + _repeated_text(body, file.metadata, most_bytes)
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError):
        return 0


def _chunks(metadata: Any) -> Iterator[Any]:
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    yield from (group.column(j) for group in groups for j in range(metadata.num_columns))


def _least(chunk: Any) -> int:
    """Return the bytes of a column's values in a group of rows: each a cell, lists' values too, or all the pages."""
    return max(CELL_BYTES * int(chunk.num_values), int(chunk.total_uncompressed_size), 0)


def _repeated_text(body: bytes, metadata: Any, most_bytes: int) -> int:
    """Return the bytes of the texts that dictionaries stand for; counted only where they could be too many."""
    found = 0
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if _could_repeat(chunk, most_bytes) and metadata.schema.column(place).max_repetition_level == 0:
                found += _text_bytes(body, group, chunk.path_in_schema)
    return found


def _could_repeat(chunk: Any, most_bytes: int) -> bool:
    is_dictionary = chunk.physical_type == TEXT and not DICTIONARIES.isdisjoint(chunk.encodings)
    return is_dictionary and chunk.num_values * chunk.total_uncompressed_size > most_bytes


def _text_bytes(body: bytes, group: int, name: str) -> int:
    file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=[name])
    return sum(map(_expanded, file.read_row_group(group, columns=[name]).column(0).chunks))


def _expanded(chunk: Any) -> int:
    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    lengths = np.asarray(pc.binary_length(chunk.dictionary).to_numpy(zero_copy_only=False), dtype=np.float64)
    keys = chunk.indices.drop_null().to_numpy()
    return int(np.nan_to_num(lengths)[keys].sum())
