"""Columns are left out and typed as whoever trains said; a name that is not there has its nearest named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput, NotFound, SlipwayError
from slipway.registry.reading import Reading
from slipway.training.column_choice import ColumnChoice, left_out, typed
from slipway.training.data import load
from slipway.training.dataset import Dataset
from slipway.training.quality import labelled, warnings_for
from tests.generators.datasets import sources

FRAME = pd.DataFrame({"id": [1, 2], "age": [3, 4], "day": ["a", "b"], "y": [0, 1]})


@pytest.mark.parametrize(
    ("choice", "gone"),
    [
        ({}, ()),
        ({"drop": ("id",)}, ("id",)),
        ({"features": ("age",)}, ("id", "day")),
        ({"features": ("age",), "also": ("day",)}, ("id",)),
    ],
)
def test_columns_are_left_out(choice: dict, gone: tuple[str, ...]):
    """Those that are dropped, or all that are no features and not needed otherwise."""
    assert left_out(FRAME, ColumnChoice(**choice), "y", "s") == gone


@pytest.mark.parametrize(
    ("choice", "kind", "said"),
    [
        ({"drop": ("aeg",)}, NotFound, r"s has no column 'aeg' \(did you mean 'age'\?\); there are: 'id', 'age'"),
        ({"features": ("age", "Id")}, NotFound, r"s has no column 'Id' \(did you mean 'id'\?\)"),
        ({"drop": ("y",)}, InvalidInput, "drop names 'y', which the training needs"),
        ({"drop": ("day",), "also": ("day",)}, InvalidInput, "drop names 'day', which the training needs"),
        ({"features": ("y",)}, InvalidInput, "features names the target 'y'"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice: dict, kind: type[SlipwayError], said: str):
    """With the nearest name, or with what needs the column."""
    with pytest.raises(kind, match=said):
        left_out(FRAME, ColumnChoice(**choice), "y", "s")


@pytest.mark.parametrize(
    ("values", "decimal", "numbers"),
    [
        (["1.234,5", "7"], ",", [1234.5, 7]),
        (["1.234", "7"], ",", [1234, 7]),
        (["1.234", "7"], ".", [1.234, 7]),
        (["1,234.50", "7"], ".", [1234.5, 7]),
        (["1,5", "7"], ".", [1.5, 7]),
        (["12 %", None], None, [12, np.nan]),
        (["€ 5", "-€5", "5,50 €", "CHF 1'200.50"], ".", None),
        (["€ 5", "−3 EUR", "1\u202f200"], ".", [5, -3, 1200]),
        (["1e3", " 2 "], None, [1000, 2]),
        (["?", "2"], None, [np.nan, 2]),
    ],
)
def test_numbers_are_read_as_people_write_them(values: list, decimal: str | None, numbers: list | None):
    """With groups, currencies and percent signs; by one decimal sign for the whole column."""
    reading = Reading(dtypes={"x": "number"}, decimal=decimal, missing_words=("?",))
    frame = pd.DataFrame({"x": pd.Series(values, dtype="str")})
    if numbers is None:
        with pytest.raises(InvalidInput, match="column 'x' should be read as numbers, and it holds "):
            typed(frame, reading)
        return
    found, _ = typed(frame, reading)
    np.testing.assert_array_equal(found["x"], np.array(numbers, dtype=float))


def test_what_a_text_was_read_as_is_said():
    """Whoever said that it is a number sees which; plain numbers need no word."""
    reading = Reading(dtypes={"x": "number", "z": "number", "gone": "number"})
    _, notes = typed(pd.DataFrame({"x": ["3", "1.234,5"], "z": ["1", "2"]}), reading)
    assert notes == ("column 'x' was read as numbers, '1.234,5' as 1234.5; a request sends the number",)


def test_what_is_no_number_is_refused_with_some_values():
    """The first three, and how many more."""
    frame = pd.DataFrame({"x": ["1", "a", "b", "c", "d"]})
    with pytest.raises(InvalidInput, match="it holds 'a', 'b', 'c' and 1 more"):
        typed(frame, Reading(dtypes={"x": "number"}))


def read(folder: Path, text: str, columns: ColumnChoice | None = None, **reading: object) -> Dataset:
    """Return what a CSV file with that text is read as."""
    (folder / "rows.csv").write_text(text)
    how = Reading.model_validate(reading)
    return load(str(folder / "rows.csv"), "y", sources=sources(), reading=how, columns=columns)


def test_what_was_chosen_is_recorded_and_read_again(tmp_path: Path):
    """The gate reads the source by the record, and has the same rows; another file by what was said alone."""
    text = "id;plz;empty;note;y\n1;01234;;a;0\n2;80331;;b;1\n"
    first = read(tmp_path, text, ColumnChoice(drop=("note",)), dtypes={"plz": "string"})
    assert [column.name for column in first.schema] == ["id", "plz"]
    assert first.frame["plz"].tolist() == ["01234", "80331"]
    again = read(tmp_path, text, **dict(first.reading))
    assert (again.digest, list(again.frame.columns)) == (first.digest, list(first.frame.columns))
    assert first.reading.of_another_file() == Reading(dtypes={"plz": "string"})


def test_a_column_without_a_value_is_no_feature(tmp_path: Path):
    """It is named, and the others are trained on; a table of such columns alone is refused."""
    found = read(tmp_path, "a,b,c,y\n1,,,0\n2,,,1\n")
    assert [column.name for column in found.schema] == ["a"]
    assert found.notes[0] == "columns without a single value, left out of the features: 'b', 'c'"
    with pytest.raises(InvalidInput, match="has no column with a value beside the target 'y'"):
        read(tmp_path, "b,y\n,0\n,1\n")


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["1", "", "0", "1"], [1, 0, 1]),
        (["True", "", "False"], [True, False]),
        (["a", "", "b"], ["a", "b"]),
        (["1.5", "", "2"], [1.5, 2.0]),
        (["1", "n.k.", "0"], [1, 0]),
    ],
)
def test_rows_without_a_target_are_left_out(tmp_path: Path, values: list[str], kept: list):
    """They are counted, and the target has the type that it would have without them."""
    text = "x,y\n" + "".join(f"{place},{value}\n" for place, value in enumerate(values))
    dataset = labelled(read(tmp_path, text, missing_words=("n.k.",)))
    assert dataset.frame["y"].tolist() == kept
    assert [type(value) for value in dataset.frame["y"].tolist()] == [type(value) for value in kept]
    assert len(dataset.ids) == len(kept)
    said = f"target 'y' is missing in 1 of {len(values)} rows, which are left out"
    assert said in warnings_for(dataset, dataset.schema)


def test_a_target_that_is_missing_everywhere_is_refused(tmp_path: Path):
    """There is nothing to learn from."""
    with pytest.raises(InvalidInput, match="target 'y' is missing in all 2 rows"):
        labelled(read(tmp_path, "x,y\n1,\n2,\n"))
