"""One parameter names rows anywhere, and they come out in the same types."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput, NotFound
from slipway.training.data import load, normalised
from slipway.training.dataset import ColumnKind
from tests.generators.datasets import sources


def test_a_built_in_dataset_needs_no_file():
    """With the kinds of its columns, and a digest of its content."""
    dataset = load("sklearn:iris", "target", sources=sources())
    assert (dataset.name, len(dataset.frame), len(dataset.schema)) == ("iris", 150, 4)
    assert {column.kind for column in dataset.schema} == {ColumnKind.NUMERIC}
    assert dataset.digest == load("sklearn:iris", "target", sources=sources()).digest


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pd.Series([1, 2], dtype="int32"), "float64"),
        (pd.Series([1, None], dtype="Int64"), "float64"),
        (pd.Series([Decimal("1.5"), None], dtype=object), "float64"),
        (pd.Series([True, False]), "bool"),
        (pd.Series([True, None], dtype=object), "float64"),
        (pd.Series([True, None], dtype="boolean"), "float64"),
        (pd.Series(["a", None], dtype="category"), "str"),
        (pd.Series([1, 2], dtype="category"), "float64"),
        (pd.Series(["a", "b"], dtype="string"), "str"),
        (pd.Series([pd.Timestamp("2026-01-01"), None]), "datetime64[us]"),
    ],
)
def test_columns_come_out_in_few_types(values: pd.Series, dtype: str):
    """Numbers are doubles, text is text, whatever held them."""
    frame, notes = normalised(pd.DataFrame({"x": values, "y": [0, 1]}), "y")
    assert str(frame["x"].dtype) == dtype or (
        dtype.startswith("datetime") and str(frame["x"].dtype).startswith("datetime")
    )
    assert frame["x"].isna().tolist() == values.isna().tolist()
    assert notes == ()


def test_mixed_columns_become_text_and_are_said():
    """Numbers beside text are no numbers."""
    frame, notes = normalised(pd.DataFrame({"x": pd.Series([1, "a", None], dtype=object), "y": [0, 1, 0]}), "y")
    assert frame["x"].tolist()[:2] == ["1", "a"]
    assert notes == ("column 'x' mixes types and is taken as text",)


def test_the_target_keeps_its_type():
    """A class stays the number or text that it was."""
    frame, _ = normalised(pd.DataFrame({"x": [1], "y": pd.Series([1], dtype="int64")}), "y")
    assert frame["y"].dtype == "int64"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pd.array([1, 2], "Int64"), "int64"),
        (pd.array([1, None], "Int64"), "float64"),
        (pd.array([True, False], "boolean"), "bool"),
        (pd.array([True, None], "boolean"), "float64"),
        (pd.array([1.5, 2], "Float64"), "float64"),
        (np.array([1, 2], "float16"), "float64"),
        (pd.array(["a", None], "string"), "str"),
        (pd.Categorical(["a", "b"]), "str"),
        (pd.Categorical([1, 2]), "int64"),
        (pd.Series([Decimal("1.5"), Decimal(2)], dtype=object), "float64"),
        (pd.Series([True, None], dtype=object), "float64"),
        (pd.Series([date(2026, 1, 1), None], dtype=object), "datetime64[us]"),
    ],
)
def test_a_target_of_any_type_is_one_that_estimators_know(tmp_path: Path, values: object, dtype: str):
    """Missing stays missing, to be refused in words."""
    pd.DataFrame({"x": [1, 2], "y": values}).to_parquet(tmp_path / "rows.parquet")
    dataset = load(str(tmp_path / "rows.parquet"), "y", sources=sources())
    assert str(dataset.frame["y"].dtype).split("[")[0] == dtype.split("[")[0]
    assert dataset.frame["y"].isna().tolist() == pd.Series(values).isna().tolist()


def test_moments_of_summer_and_winter_are_one_column():
    """PostgreSQL's driver gives each moment the zone's offset of its day; MLflow takes those of no zone alone."""
    zone = ZoneInfo("Europe/Berlin")
    values = pd.Series(
        [datetime(2026, 1, 1, tzinfo=zone), datetime.fromisoformat("2026-07-01T00:00+02:00")], dtype=object
    )
    frame, _ = normalised(pd.DataFrame({"x": values, "y": [0, 1]}), "y")
    assert frame["x"].tolist() == [pd.Timestamp("2025-12-31T23:00"), pd.Timestamp("2026-06-30T22:00")]


def test_doubles_are_not_copied():
    """A large frame is not held twice."""
    frame = pd.DataFrame({"x": np.arange(5.0), "y": range(5)})
    assert np.shares_memory(normalised(frame, "y")[0]["x"].to_numpy(), frame["x"].to_numpy())


@pytest.mark.parametrize(
    "data",
    ["postgresql://ann:hunter2@db/sales", "sql:postgresql://ann:hunter2@db/sales:SELECT 1", "s3://ak:hunter2@bucket/x"],
)
def test_a_password_is_refused_and_never_repeated(data: str):
    """Parameters are on record; the message says to change the password and where it belongs."""
    with pytest.raises(InvalidInput) as caught:
        load(data, "y", sources=sources())
    assert "change the password and delete the run" in caught.value.message
    assert "SLIPWAY_TRAINING__CONNECTIONS__" in caught.value.hint
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ("sklearn:iri", NotFound, r"no built-in dataset 'iri' \(did you mean 'iris'\?\); there are: iris, wine"),
        ("ftp://host/x.csv", InvalidInput, "data cannot be read from 'ftp://'"),
        ("sql:house", InvalidInput, "'sql:house' names no statement; write sql:CONNECTION:SELECT"),
        ("sql:hose:SELECT 1", NotFound, r"no connection 'hose' \(did you mean 'house'\?\); named: house"),
    ],
)
def test_a_source_that_is_not_known_is_refused(data: str, error: type, said: str):
    """With what is known."""
    with pytest.raises(error, match=said):
        load(data, "y", sources=sources(connections={"house": "sqlite://"}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (".", r"\. is a folder, and data is one file"),
        ("./", r"\. is a folder, and data is one file"),
        ("/", "/ is a folder, and data is one file"),
        ("rows.csv", r"rows\.csv is a folder, and data is one file"),
        ("a" * 5000 + ".csv", "cannot be read: File name too long"),
        ("~nobody-of-this-name/x.csv", "begins in the home folder of a user who is not known here"),
    ],
)
def test_a_path_that_is_no_file_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, said: str
):
    """A folder, a name that no disk takes, and somebody's home."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").mkdir()
    with pytest.raises(InvalidInput, match=said) as caught:
        load(data, "y", sources=sources())
    assert caught.value.hint
    assert len(caught.value.message) < 500


def test_a_record_of_dvc_that_cannot_be_read_is_refused(tmp_path: Path):
    """One that is nested without end; the file beside it is there."""
    (tmp_path / "rows.csv").write_text("a,y\n1,2\n")
    (tmp_path / "rows.csv.dvc").write_text("outs: " + "[" * 5000)
    with pytest.raises(InvalidInput, match="is not YAML: it does not say which content DVC tracks"):
        load(str(tmp_path / "rows.csv"), "y", sources=sources())
