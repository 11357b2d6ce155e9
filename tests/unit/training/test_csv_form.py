"""A CSV file is read as it is written, whoever exported it; what was told from it is said."""

import gzip
import io
from pathlib import Path

import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.training.csv_form import form_of
from slipway.training.file_data import TableRead, read_file, read_table


def read(text: str, written: str = "utf-8", **reading: object) -> TableRead:
    """Return what a file with that text is read as."""
    return read_table(io.BytesIO(text.encode(written)), "rows.csv", "rows.csv", Reading.model_validate(reading))


@pytest.mark.parametrize(
    ("text", "encoding", "names", "first", "said"),
    [
        ("a,b\n1.5,x\n2,y\n", "utf-8", ["a", "b"], [1.5, "x"], ()),
        ("a;b\n1,5;x\n2;y\n", "utf-8", ["a", "b"], [1.5, "x"], ("fields separated by ';' and a decimal comma",)),
        ("a;b\n1.5;x\n2;y\n", "utf-8", ["a", "b"], [1.5, "x"], ("fields separated by ';', as its content shows",)),
        ("a\tb\n1,25\tx\n2\ty\n", "utf-8", ["a", "b"], [1.25, "x"], ("separated by tab and a decimal comma",)),
        ("a|b\n1|x\n", "utf-8", ["a", "b"], [1, "x"], ("fields separated by '|'",)),
        ("Größe;b\n1,5;Köln\n", "latin-1", ["Größe", "b"], [1.5, "Köln"], ("read as cp1252, such as 'Größe'", "comma")),
        ("a;b\n1,5;x\n", "utf-16", ["a", "b"], [1.5, "x"], ("separated by ';'",)),
        ("a;b\n1,5;x\n", "utf-16-le", ["a", "b"], [1.5, "x"], ("read as utf-16-le, such as 'a'", "separated by ';'")),
        ("sep=;\na;b\n1,5;x\n", "utf-8", ["a", "b"], [1.5, "x"], ("separated by ';'",)),
        ('Name, first;b\n"Ann, B";1,5\n', "utf-8", ["Name, first", "b"], ["Ann, B", 1.5], ("separated by ';'",)),
        ('a,b\n1,"x;y;z"\n2,"u;v;w"\n', "utf-8", ["a", "b"], [1, "x;y;z"], ()),
        ("only\n1\n2\n", "utf-8", ["only"], [1], ()),
    ],
)
def test_a_file_is_read_as_it_is_written(text: str, encoding: str, names: list, first: list, said: tuple[str, ...]):
    """What separates its fields, its decimal sign and its encoding are told from it, each in a line."""
    found = read(text, encoding)
    assert (list(found.frame.columns), found.frame.iloc[0].tolist()) == (names, first)
    assert len(found.notes) == len(said)
    for note, part in zip(found.notes, said, strict=True):
        assert part in note


@pytest.mark.parametrize(
    ("values", "decimal", "said"),
    [
        (["1,234", "2,500"], ".", ()),
        (["1.234", "2.500"], ".", ("numbers that may be thousands, such as 1.234, are read with a decimal point",)),
        (["1.234,50", "2.500,00"], ",", ("a decimal comma",)),
        (["1,5", "12,345"], ",", ("a decimal comma",)),
        (["0,125", "0,250"], ",", ("a decimal comma",)),
        (["1.234,50", "7"], ",", ("a decimal comma",)),
        (["1.234", "1.5"], ".", ()),
        (["01.02.2024", "03.04.2024"], ".", ()),
    ],
)
def test_what_may_be_meant_in_two_ways_is_not_told(values: list[str], decimal: str, said: tuple[str, ...]):
    """A comma before three digits is a thousand as well as a decimal sign."""
    text = "n;y\n" + "".join(f"{value};{number}\n" for number, value in enumerate(values))
    form = form_of(io.BytesIO(text.encode()), ";", "rows.csv", Reading())
    assert form.decimal == decimal
    assert [part in note for note, part in zip(form.notes, said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("text", "reading", "column", "values"),
    [
        ("a;b\n1,234;x\n2,500;y\n", {"decimal": ","}, "a", [1.234, 2.5]),
        ("a,b;c\n1,2;3\n", {"sep": ","}, "b;c", ["2;3"]),
        ("a,b\n00123,1\n", {"dtypes": {"a": "string"}}, "a", ["00123"]),
        ("a,b\nM\u00fcller,1\n", {"encoding": "utf-8"}, "a", ["M\u00fcller"]),
        ("a,b\n1.5,1\n2.5,2\n", {"decimal": ","}, "a", ["1.5", "2.5"]),
    ],
)
def test_what_is_said_goes_before_what_a_file_shows(text: str, reading: dict, column: str, values: list):
    """Whoever knows better is not contradicted, and not told what they said."""
    found = read(text, **reading)
    assert found.frame[column].tolist() == values
    assert not any("as its content shows" in note for note in found.notes if "sep" in reading)
    assert not set(found.reading.sniffed) & set(reading)


def test_an_encoding_that_does_not_fit_is_refused():
    """With the byte and what to do."""
    with pytest.raises(InvalidInput, match=r"rows\.csv is not ascii: byte 0xc3 at 5 cannot be decoded"):
        read("a,b\nxü,1\n", encoding="ascii")


def test_another_file_is_told_of_anew():
    """What was said goes with the version; what one file showed does not hold for the next."""
    found = read("a;b\n1,5;x\n", dtypes={"b": "string"}, encoding="utf-8").reading
    assert (found.sep, found.decimal, found.encoding) == (";", ",", "utf-8-sig")
    other = found.of_another_file()
    assert (other.sep, other.decimal, other.encoding, other.dtypes) == (None, None, "utf-8-sig", {"b": "string"})


@pytest.mark.parametrize("text", ["a,b\n1,2,3\n4,5,6\n", "a,b\n1,2\n4,5,6\n", "a,b,\n1,2,3,4\n"])
def test_rows_with_a_field_more_than_the_header_are_refused(text: str):
    """The first field would be an index, and every value stand under its neighbour's name."""
    with pytest.raises(
        InvalidInput,
        match=r"more fields than its header names|cannot be read as CSV: .*Expected 2 fields in line 3, saw 3",
    ):
        read(text)


def test_a_separator_at_the_end_of_rows_names_nothing():
    """Exports write it where the header has none."""
    assert read("a,b\n1,2,\n3,4,\n").frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_a_compressed_file_is_looked_into(tmp_path: Path):
    """Its name may be in capitals."""
    (tmp_path / "ROWS.CSV.GZ").write_bytes(gzip.compress(b"a;b\n1,5;x\n"))
    assert read_file(tmp_path / "ROWS.CSV.GZ", Reading()).frame["a"].tolist() == [1.5]
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a;b\n1,5;x\n" * 50)[:30])
    with pytest.raises(InvalidInput, match="cannot be read as CSV"):
        read_file(tmp_path / "cut.csv.gz", Reading())


def test_a_large_file_is_judged_by_its_beginning_and_decoded_to_its_end(tmp_path: Path):
    """The one odd byte may be in the last row."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a;b\n" + b"1,5;xxxxxxxxxxxxxxxxxxxx\n" * 200_000 + "2,5;K\u00f6ln\n".encode("latin-1"))
    found = read_file(path, Reading())
    assert found.frame["b"].iloc[-1] == "K\u00f6ln"
    assert "such as 'K\u00f6ln'" in found.notes[0]
    assert pd.api.types.is_float_dtype(found.frame["a"])


@pytest.mark.parametrize(("sep", "called"), [("|", "'|'"), ("tab", "tab"), (",", "','")])
def test_a_separator_that_is_not_there_is_refused(sep: str, called: str):
    """Else the table has one column, and the error would be that the target is missing."""
    with pytest.raises(InvalidInput) as error:
        read("a;b\n1;x\n", sep=sep)
    assert error.value.message == f"sep={called}, and the header of rows.csv has none: 'a;b'"
    assert error.value.hint == "leave sep empty: its fields seem to be separated by ';'"


@pytest.mark.parametrize("encoding", ["utf-32", "UTF8", "latin1", "cp850"])
def test_encodings_of_files_are_known(encoding: str):
    """By any of their names."""
    assert read("a,b\nü,1\n", encoding, encoding=encoding).frame["a"].tolist() == ["ü"]


@pytest.mark.parametrize("encoding", ["hex", "idna", "punycode", "undefined", "rot13", "utf-9", "", "a\0"])
def test_what_encodes_no_file_is_none(encoding: str):
    """A run that somebody else wrote may name any."""
    with pytest.raises(ValueError, match="no encoding of text files"):
        Reading(encoding=encoding)
