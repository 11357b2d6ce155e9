"""What a CSV file does not say of itself: what stands between its fields, its decimal sign, its encoding.

Each is told from the file where nobody said it, and what is told is said. Nothing is told that could be meant in two
ways: `1,234` is a thousand or a little more than one, and stays text with a warning.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.registry.text import cleaned
from slipway.training.listed import listed

SEPARATORS = (",", ";", "\t", "|")
NAMES = {"\t": "tab"}
LINES = 500
SAMPLE_BYTES = 1 << 20
CHUNK_BYTES = 1 << 22
SHOWN_CHARACTERS = 40
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
WITHOUT_MARK = (("utf-16-be", 0), ("utf-16-le", 1))  # a header's first character is one of ASCII nearly always
# Excel writes this line, and reads the file by it.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n')
WHOLE = re.compile(r"\s*[+-]?\d+\s*")
WITH_POINT = re.compile(r"\s*[+-]?\d*\.\d+\s*")
WITH_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
MAY_BE_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}[.,]\d{3}\s*")
GROUPED_BY_POINTS = re.compile(r"\s*[+-]?\d{1,3}(\.\d{3})+(,\d+)?\s*")
POINTS_AND_COMMA = re.compile(r"\s*[+-]?\d{1,3}(\.\d{3})+,\d+\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvForm:
    """How one CSV file is written. `skip_lines` come before its header; `notes` say what may not be as it was meant."""

    sep: str
    decimal: str
    encoding: str
    skip_lines: int
    sniffed: tuple[str, ...]
    notes: tuple[str, ...]


def form_of(stream: IO[bytes], usual: str, source: str, reading: Reading) -> CsvForm:
    """Return how a CSV file is written: as was said, and else as its content shows.

    `usual` is what separates the fields of files with such a name. The stream is left at its beginning.

    Raises
    ------
    InvalidInput
        It is not in the encoding, or not separated as was said.
    """
    encoding, notes = _encoding(stream, source, reading.encoding)
    text = _beginning(stream, encoding)
    line = SEPARATOR_LINE.match(text)
    rows = text[line.end() :] if line else text
    shown = line[1] if line else _separator(rows, usual)
    sep = reading.sep or shown
    _require_separator(rows, sep, shown, source)
    sample = _parsed(rows, sep)
    decimal = reading.decimal or _decimal(sample, sep)
    said = _said(source, "" if reading.sep or sep == usual else sep, comma=decimal == "," and not reading.decimal)
    unclear = () if reading.decimal else _unclear(sample, decimal)
    return CsvForm(
        sep=sep,
        decimal=decimal,
        encoding=encoding,
        skip_lines=1 if line else 0,
        sniffed=tuple(name for name in ("sep", "decimal", "encoding") if not getattr(reading, name)),
        notes=(*notes, *said, *unclear),
    )


def _require_separator(rows: str, sep: str, shown: str, source: str) -> None:
    """Refuse a separator that stands nowhere in a header which another one cuts."""
    header = rows.split("\n", 1)[0]
    if sep not in header and shown in header:
        raise InvalidInput(
            f"sep={_called(sep)}, and the header of {source} has none: {cleaned(header.strip(), SHOWN_CHARACTERS)!r}",
            code="wrong-separator",
            hint=f"leave sep empty: its fields seem to be separated by {_called(shown)}",
        )


def _called(sep: str) -> str:
    return NAMES.get(sep, repr(sep))


def _encoding(stream: IO[bytes], source: str, said: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the encoding: UTF-8 where all of the file is, and else that of Windows in the west, said with a sample."""
    head = stream.read(4)
    stream.seek(0)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    unmarked = next((name for name, zero in WITHOUT_MARK if head[zero : zero + 1] == b"\0"), None)
    if said:
        chosen = "utf-8-sig" if said == "utf-8" else said
        if wrong := _undecodable(stream, chosen):
            raise InvalidInput(
                f"{source} is not {said}: byte 0x{wrong[1]:02x} at {wrong[0]:,} cannot be decoded",
                code="unreadable-encoding",
                hint="leave encoding empty to have it told from the file, or name another, such as cp1252",
            )
        return chosen, ()
    wrong = (0, 0) if unmarked else _undecodable(stream, marked or "utf-8-sig")
    if wrong is None:
        return marked or "utf-8-sig", ()
    western = "cp1252" if _undecodable(stream, "cp1252") is None else "latin-1"
    found = western if unmarked is None or _undecodable(stream, unmarked) else unmarked
    return found, (
        f"{source} is not UTF-8 and was read as {found}, such as {_shown(stream, wrong[0], found)!r}; if that is "
        "wrong, name another encoding, e.g. encoding=cp850",
    )


def _undecodable(stream: IO[bytes], encoding: str) -> tuple[int, int] | None:
    """Return the place and the value of the first byte that the encoding does not know."""
    decoder = codecs.getincrementaldecoder(encoding)()
    place = 0
    try:
        while chunk := stream.read(CHUNK_BYTES):
            decoder.decode(chunk)
            place += len(chunk)
        decoder.decode(b"", final=True)
        return None
    except UnicodeDecodeError as error:
        # The object holds what was left of the chunk before as well.
        return max(0, place + len(chunk) - len(error.object) + error.start), error.object[error.start]
    finally:
        stream.seek(0)


def _shown(stream: IO[bytes], place: int, encoding: str) -> str:
    """Return the field that holds a byte, for a person to see whether it is read rightly."""
    begin = max(0, place - SHOWN_CHARACTERS)
    stream.seek(begin)
    around = stream.read(2 * SHOWN_CHARACTERS)
    stream.seek(0)
    before, after = around[: place - begin], around[place - begin :]
    ends = re.compile(rb'[,;\t|\r\n"]')
    found = (ends.split(before)[-1] + ends.split(after)[0]).decode(encoding, errors="ignore")  # may cut a character
    return cleaned(found, SHOWN_CHARACTERS)


def _beginning(stream: IO[bytes], encoding: str) -> str:
    """Return whole lines from the beginning of a file."""
    found = codecs.getincrementaldecoder(encoding)().decode(stream.read(SAMPLE_BYTES))
    stream.seek(0)
    return found if len(found) < SAMPLE_BYTES // 4 or "\n" not in found else found[: found.rindex("\n") + 1]


def _parsed(text: str, sep: str) -> list[list[str]]:
    """Return the header and the first rows, each as its fields."""
    try:
        found = csv.reader(io.StringIO(text), delimiter=sep, strict=True)
        return [fields for fields, _ in zip(found, range(LINES), strict=False) if fields]
    except csv.Error:  # a quote within a field, or a field without an end
        return []


def _separator(text: str, usual: str) -> str:
    """Return what cuts header and rows into equally many fields, the most of them; the usual one without it."""
    widths = {sep: {len(fields) for fields in _parsed(text, sep)} for sep in SEPARATORS}
    alike = {sep: min(found) for sep, found in widths.items() if len(found) == 1}
    best = max(alike, key=lambda sep: (alike[sep], sep == usual), default=usual)
    return best if alike.get(best, 1) > 1 else usual


def _decimal(sample: Sequence[Sequence[str]], sep: str) -> str:
    """Return a comma where columns of numbers have one, which no thousand could explain, and none has a point."""
    if sep == ",":
        return "."
    columns = [values for _, values in _columns(sample)]
    with_comma = [values for values in columns if _all(values, WITH_COMMA, WHOLE, GROUPED_BY_POINTS)]
    clear = any(not MAY_BE_THOUSANDS.fullmatch(value) for value in _with(with_comma, WITH_COMMA))
    clear = clear or any(_all(values, POINTS_AND_COMMA, GROUPED_BY_POINTS, WITH_COMMA, WHOLE) for values in columns)
    with_point = any(_all(values, WITH_POINT, WHOLE) and not _is_grouped(values) for values in columns)
    return "," if clear and not with_point else "."


def _is_grouped(values: Sequence[str]) -> bool:
    return _all(values, GROUPED_BY_POINTS, WHOLE)


def _unclear(sample: Sequence[Sequence[str]], decimal: str) -> Iterator[str]:
    """Tell of columns whose every number could be thousands."""
    names = [name for name, values in _columns(sample) if _is_grouped(values)]
    if names and decimal == ".":
        yield (
            f"numbers that may be thousands, such as 1.234, are read with a decimal point in {listed(names)}; "
            "if they are thousands, say that the decimal sign is a comma (decimal=,) and that these are numbers "
            f"(dtype={names[0]}=number)"
        )


def _columns(sample: Sequence[Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the values of each column; rows that are too short have none there."""
    for place, name in enumerate(sample[0] if sample else ()):
        yield name, [fields[place] for fields in sample[1:] if len(fields) > place and fields[place].strip()]


def _all(values: Sequence[str], *forms: re.Pattern[str]) -> bool:
    """Return whether every value has one of the forms, and some value the first."""
    return bool(_with([values], forms[0])) and all(any(form.fullmatch(value) for form in forms) for value in values)


def _with(columns: Sequence[Sequence[str]], form: re.Pattern[str]) -> list[str]:
    return [value for values in columns for value in values if form.fullmatch(value)]


def _said(source: str, sep: str, *, comma: bool) -> Iterator[str]:
    told = [f"fields separated by {_called(sep)}"] if sep else []
    told += ["a decimal comma"] if comma else []
    if told:
        yield f"{source} was read with {' and '.join(told)}, as its content shows; sep and decimal say otherwise"
