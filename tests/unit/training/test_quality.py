"""Data that cannot be trained on is refused in one line; what a person should know is a warning."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput, NotFound
from slipway.training.quality import refuse_features, refuse_repeated, refuse_table, refuse_target, warnings_for
from tests.generators.datasets import customers, dataset_of


@pytest.mark.parametrize(
    ("frame", "error", "said"),
    [
        (pd.DataFrame({"x": [], "y": []}), InvalidInput, "s has no rows"),
        (pd.DataFrame({"y": [1, 2]}), InvalidInput, "s has no column with a value beside the target 'y'"),
        (pd.DataFrame([[1, 2, 3]], columns=["x", "x", "y"]), InvalidInput, "s has column names twice: 'x'"),
        (
            pd.DataFrame({"x": [1], "Y1": [2]}),
            NotFound,
            r"s has no column 'y' \(did you mean 'Y1'\?\); there are: 'x', 'Y1'",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(frame: pd.DataFrame, error: type, said: str):
    """The source, what was found, and the names."""
    with pytest.raises(error, match=said):
        refuse_table(frame, "y", "s")


@pytest.mark.parametrize(
    ("values", "classification", "said"),
    [
        (["a", "a"], True, "target 'y' has only one class, 'a': there is nothing to learn"),
        ([2, 2], True, "target 'y' has only one class, 2: there is nothing to learn"),
        ([2.0, 2.0], False, "target 'y' has only one value"),
        (["a", None], True, "target 'y' is missing in 1 of 2 rows"),
        ([1.0, np.nan, np.nan], False, "target 'y' is missing in 2 of 3 rows"),
        ([1.0, np.inf], False, "target 'y' is infinite in 1 of 2 rows"),
        ([1.0, 1e300], False, r"target 'y' is as large as 1e\+300 in 1 of 2 rows"),
        (pd.array([True, None, False], "boolean"), True, "target 'y' is missing in 1 of 3 rows"),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), True, "target 'y' holds dates, which are neither"),
        ([*map(str, range(40)), "NA", "NA"], True, "target 'y' holds numbers, and 'NA' in 2 of 42 rows"),
        (["a", "b"], False, "task regression needs numbers, and target 'y' holds str such as 'a'"),
        ([0.5, 1.0], True, "task classification needs classes, and target 'y' holds fractions such as 0.5"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(values: list, classification: bool, said: str):
    """With how many rows are wrong."""
    with pytest.raises(InvalidInput, match=said):
        refuse_target(pd.Series(values, name="y"), classification=classification)


def test_long_lists_of_names_are_cut():
    """One line stays one line."""
    with pytest.raises(InvalidInput, match=r"'c9' and 2 more$"):
        refuse_repeated([f"c{i:x}" for i in range(12)] * 2, "s")


def warned(frame: pd.DataFrame, target: str, folder: Path, *, aside: str = "") -> tuple[str, ...]:
    """Return the warnings for a frame of which every column but one is a feature."""
    dataset = dataset_of(frame, target, folder)
    return warnings_for(dataset, [column for column in dataset.schema if column.name != aside])


def test_good_data_has_no_warnings(tmp_path: Path):
    """Nobody reads warnings that are always there."""
    frame = pd.DataFrame({"x": np.sqrt(np.arange(100.0)), "c": ["a", "b"] * 50, "y": [0, 1] * 50})
    assert warned(frame, "y", tmp_path) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"k": 1.0}, "columns with one value only: 'k'"),
        ({"k": "same"}, "columns with one value only: 'k'"),
        (
            {"day": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(400), unit="D")},
            "left out of the features: 'day'",
        ),
        ({"day": "2026-01-31"}, "look like dates, taken as categories: 'day'"),
        ({"at": "31.01.2026 12:00"}, "look like dates, taken as categories: 'at'"),
        ({"release": "1.10.25"}, "columns with one value only: 'release'"),
        ({"odd": pd.Series([1, "a"] * 200, dtype=object)}, None),
    ],
)
def test_what_a_person_should_know_is_said(tmp_path: Path, change: dict, said: str | None):
    """Constant columns and dates, also such as a CSV holds; text that differs from row to row is nothing special."""
    frame = customers().drop(columns="id").assign(**{k: v for k, v in change.items() if k != "odd"})
    found = warned(frame, "churned", tmp_path)
    assert (said is None and found == ()) or any(said in note for note in found)


def test_identifiers_are_recognised(tmp_path: Path):
    """A text column with a value of its own in every row teaches nothing."""
    assert "probably identifiers: 'id'; they are features all the same" in warned(customers(), "churned", tmp_path)[0]


def test_an_identifier_that_is_the_key_is_no_feature(tmp_path: Path):
    """Nobody is warned of what was asked for."""
    assert warned(customers(), "churned", tmp_path, aside="id") == ()


def test_contradicting_rows_are_counted(tmp_path: Path):
    """Two rows with the same features and different targets."""
    frame = pd.DataFrame({"x": [1.0, 1.0, 2.0, 2.0], "y": ["a", "b", "a", "a"]})
    assert warned(frame, "y", tmp_path) == ("2 rows have the same features as another row and a different target",)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, np.inf, -np.inf], "column 'x' is infinite in 2 of 3 rows"),
        ([1.0, np.nan, 1e300], r"column 'x' is as large as 1e\+300 in 1 of 3 rows"),
    ],
)
def test_features_that_nothing_can_compute_with_are_named(values: list, said: str):
    """The column, how large, and in how many rows."""
    with pytest.raises(InvalidInput, match=said):
        refuse_features(pd.DataFrame({"good": [0.0, np.nan, 3e38], "x": values, "text": ["inf", "1e300", "a"]}))


def test_columns_that_are_wrong_are_not_all_listed():
    """One line stays one line."""
    with pytest.raises(InvalidInput, match="column 'c9' is infinite in 1 of 1 rows and 5 more columns"):
        refuse_features(pd.DataFrame({f"c{i}": [np.inf] for i in range(15)}))


def test_a_table_of_one_column_is_told_of_what_separates_fields():
    """It was probably not cut; a table of more was."""
    with pytest.raises(NotFound) as error:
        refuse_table(pd.DataFrame({"a b": [1]}), "y", "s")
    assert error.value.hint == "if more stands in it, say what separates the fields: sep=; or sep=tab"
    with pytest.raises(NotFound) as error:
        refuse_table(pd.DataFrame({"a": [1], "b": [1]}), "y", "s")
    assert error.value.hint is None
