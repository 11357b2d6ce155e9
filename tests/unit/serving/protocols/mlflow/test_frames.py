"""Frames that MLflow has enforced, as tables."""

import numpy as np
import pandas as pd
import pytest

from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.mlflow.frames import table_of
from slipway.serving.runtimes.columns import Columns
from tests.generators.probe import told

PLAIN = ("double", "string", "boolean", "integer", "long", "float")
SIGNATURE = Signature(
    inputs=(
        *(Field(name=kind[0], type=kind, required=False) for kind in PLAIN),
        Field(name="when", type="datetime", required=False),
        Field(name="z", type="double", required=False),
    ),
    outputs=(),
    params=(),
)


def test_each_column_keeps_its_type():
    """Doubles become the matrix, whatever their order in the frame; the others keep the types that MLflow gave them."""
    frame = pd.DataFrame(
        {
            "z": [3.0, 4.0],
            "d": [1.0, np.nan],
            "s": ["x", None],
            "b": [True, False],
            "i": np.array([1, 2], dtype="int32"),
            "l": [2**60, 1],
            "f": np.array([0.5, np.nan], dtype="float32"),
            "when": pd.to_datetime(["2026-01-02", None]).astype("datetime64[ns]"),
        }
    )
    table = table_of(frame, SIGNATURE)
    np.testing.assert_array_equal(table.numbers, [[1.0, 3.0], [np.nan, 4.0]])
    assert {name: str(array.dtype) for name, array in table.others.items()} == {
        "s": "object",
        "b": "bool",
        "i": "int32",
        "l": "int64",
        "f": "float32",
        "when": "datetime64[ns]",
    }
    assert table.others["s"].tolist() == ["x", np.nan]


def test_optional_columns_may_be_absent():
    """An absent number is NaN and named, any other absent column is absent."""
    table = table_of(pd.DataFrame({"z": [3.0], "b": [True]}), SIGNATURE)
    np.testing.assert_array_equal(table.numbers, [[np.nan, 3.0]])
    assert list(table.others) == ["b"]
    assert len(table.absent) == 1


def test_booleans_with_missing_values_stay_objects():
    """MLflow leaves such a column as it is: there is no boolean for a missing one."""
    table = table_of(pd.DataFrame({"b": pd.Series([True, None], dtype=object)}), SIGNATURE)
    assert table.others["b"].tolist() == [True, None]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"d": [1.0, 2.0], "s": ["x", np.nan]}),
        pd.DataFrame({"d": [1.0, 2.0], "s": ["x", np.nan]}, index=["p", "q"]),
        pd.DataFrame({"d": [1.0, 2.0]}, index=pd.date_range("2026-01-01", periods=2)),
        pd.DataFrame({"d": [1.0, 2.0]}, index=pd.RangeIndex(2, name="row")),
        pd.DataFrame({"d": [1.0, 2.0]}, index=[0, 1]),
        pd.DataFrame({"s": pd.Series(["x", "y"], dtype=object)}),
        pd.DataFrame({"s": pd.Series(["x", None], dtype="string")}),
        pd.DataFrame({"s": pd.Series(["x", 5, None], dtype=object)}),
        pd.DataFrame({"s": pd.Series(["x", ["y"]], dtype=object)}),
        pd.DataFrame({"s": pd.Series([None, None], dtype=object)}),
        pd.DataFrame(),
    ],
)
def test_a_model_gets_the_frame_that_mlflow_made(frame: pd.DataFrame):
    """Labels of rows, the type of text and what is in it, None, NaN and NA: all there, and nothing else."""
    assert told(Columns.of(SIGNATURE.inputs).frame(table_of(frame, SIGNATURE))) == told(frame)


def test_a_frame_that_a_table_can_tell_is_not_carried_twice():
    """Most requests in the lane are numbers and text, without labels."""
    assert table_of(pd.DataFrame({"d": [1.0], "s": ["x"], "z": [np.nan]}), SIGNATURE).frame is None
