"""Which row is which: 64-bit ids of rows by their content, and digests of whole tables.

A row's id depends on its values and on the names of its columns, and on nothing else: not on the order of
rows or columns, not on the width of a number, not on the kind of file it came from. Values are brought to
canonical types first:

- numbers by value: 5, 5.0 and true (as 1) are equal, 0.0 and -0.0 are equal, and whole numbers of 64
  bits are told apart beyond 2^53, where doubles are not;
- text by its characters, whatever holds it (object, str, category);
- moments by their nanoseconds in UTC, a moment without a zone being taken for UTC;
- NaN, None, NaT and NA are all one missing value.

The arithmetic is the finalizer of SplitMix64 (Steele, Lea, Flood, 2014) over 64-bit words, and the first 64
bits of BLAKE2b for text. It is part of what is stored with every version: a change of it is a change of
scheme, and a test pins its results.
"""

import hashlib
import numbers
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

Ids = npt.NDArray[np.uint64]

MISSING = np.uint64(0x9E3779B97F4A7C15)
FRACTIONAL = np.uint64(0xD1B54A32D192ED03)
MOMENT = np.uint64(0x8CB92BA72F3D8DD7)


def row_ids(frame: pd.DataFrame) -> Ids:
    """Return shape (n,): the id of each row over all columns of the frame.

    Two rows have the same id when their canonical values are the same under the same names; other rows
    share an id with a chance of 2^-64 a pair. An empty frame gives an empty array.
    """
    total = np.zeros(len(frame), dtype=np.uint64)
    with ThreadPoolExecutor() as pool:  # numpy's loops release the interpreter's lock
        for words in pool.map(_words_of_column, (frame[name] for name in frame.columns)):
            total += words
    return mixed(total)


def content_digest(column_names: Iterable[str], *ids: Ids) -> str:
    """Return `sha256:…` over column names and rows, in any order of either.

    Each of `ids` has shape (n,) and names the rows over some of the columns, all of them together over all.
    """
    digest = hashlib.sha256("\x1f".join(sorted(column_names)).encode())
    rows = mixed(np.sum(ids, axis=0, dtype=np.uint64))
    digest.update(np.sort(rows).astype("<u8").tobytes())
    return f"sha256:{digest.hexdigest()}"


def mixed(words: Ids) -> Ids:
    """Return each 64-bit word through SplitMix64's finalizer, under which every bit depends on every bit."""
    words = words ^ (words >> np.uint64(30))
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def _words_of_column(column: pd.Series) -> Ids:
    """Return the canonical values mixed with the column's name, so that columns cannot be exchanged."""
    return mixed(_canonical_words(column) ^ _word_of_text(str(column.name)))


def _canonical_words(column: pd.Series) -> Ids:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _words_of_categories(column)
    if pd.api.types.is_datetime64_any_dtype(column):
        return _words_of_moments(column)
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_integer_dtype(column):
        return _words_of_whole_numbers(column)
    if pd.api.types.is_float_dtype(column):
        return _words_of_floats(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return _words_of_objects(column)


def _words_of_whole_numbers(column: pd.Series) -> Ids:
    missing = column.isna().to_numpy()
    kind = np.uint64 if column.dtype in (np.uint64, pd.UInt64Dtype()) else np.int64
    whole = column.fillna(False if pd.api.types.is_bool_dtype(column) else 0) if missing.any() else column
    return _with_missing(whole.to_numpy(dtype=kind).view(np.uint64).copy(), missing)


def _words_of_floats(values: npt.NDArray[np.float64]) -> Ids:
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
        is_whole = (whole == values) & (np.abs(values) < 2.0**63)
    words = np.where(is_whole, whole.view(np.uint64), values.view(np.uint64) ^ FRACTIONAL)
    return _with_missing(words, np.isnan(values))


def _words_of_moments(column: pd.Series) -> Ids:
    utc = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
    nanoseconds = utc.to_numpy().astype("datetime64[ns]").view(np.int64)
    return _with_missing(nanoseconds.view(np.uint64) ^ MOMENT, column.isna().to_numpy())


def _words_of_categories(column: pd.Series) -> Ids:
    categories = _canonical_words(pd.Series(column.cat.categories))
    return _looked_up(column.cat.codes.to_numpy(), categories)


def _words_of_objects(column: pd.Series) -> Ids:
    codes, distinct = pd.factorize(column.astype(object))
    return _looked_up(codes, np.array([_word_of_object(value) for value in distinct], dtype=np.uint64))


def _looked_up(codes: npt.NDArray[np.integer], words: Ids) -> Ids:
    """Return the word of each code, and the missing one for code -1."""
    found: Ids = np.append(words, MISSING)[codes]
    return found


def _word_of_object(value: object) -> np.uint64:
    if isinstance(value, str):
        return _word_of_text(value)
    if isinstance(value, numbers.Integral | np.bool_) and -(2**63) <= int(value) < 2**63:
        return np.int64(value).view(np.uint64)
    if isinstance(value, numbers.Real | Decimal):
        return np.uint64(_words_of_floats(np.array([float(value)]))[0])
    if isinstance(value, datetime | np.datetime64):
        return np.uint64(_words_of_moments(pd.Series([value]))[0])
    return _word_of_text(repr(value))


def _word_of_text(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _with_missing(words: Ids, missing: npt.NDArray[np.bool_]) -> Ids:
    words[missing] = MISSING
    return words
