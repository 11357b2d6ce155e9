"""Tables as the frames that MLflow's own parsing makes, and frames as tables."""

from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import ColSpec, DataType, Schema

from slipway.registry.signature import Field, Signature
from slipway.serving.runtimes.columns import Columns
from slipway.serving.table import Table, is_of_columns
from tests.generators.probe import told
from tests.generators.runtimes import columns_of, mixed

TYPES = ("double", "string", "boolean", "long", "integer", "float", "datetime", "binary")
VALUES = {
    "double": np.array([1.5, np.nan]),
    "string": np.array(["Oslo", np.nan], dtype=object),
    "boolean": np.array([True, False]),
    "long": np.array([1, 2**40]),
    "integer": np.array([1, 2], dtype=np.int32),
    "float": np.array([0.5, 1.5], dtype=np.float32),
    "datetime": np.array(["2026-01-01", "2026-02-01"], dtype="datetime64[ns]"),
    "binary": np.array([b"a", b"bc"], dtype=object),
}


def columns(*kinds: str) -> Columns:
    return Columns.of([Field(name=f"{kind}_{place}", type=kind) for place, kind in enumerate(kinds)])


def table_of(*kinds: str) -> Table:
    doubles = [VALUES[kind] for kind in kinds if kind == "double"]
    others = {f"{kind}_{place}": VALUES[kind] for place, kind in enumerate(kinds) if kind != "double"}
    return Table(np.column_stack(doubles) if doubles else np.empty((2, 0)), others)


@pytest.mark.parametrize("kinds", [TYPES[:6], TYPES, TYPES[::-1], ("double",) * 3, ("string", "double"), ("boolean",)])
def test_a_frame_has_the_declared_types_in_the_declared_order(kinds: tuple[str, ...]):
    """MLflow's enforcement finds nothing to change in it."""
    schema = Schema([ColSpec(DataType[kind], f"{kind}_{place}") for place, kind in enumerate(kinds)])
    frame = columns(*kinds).frame(table_of(*kinds))
    pd.testing.assert_frame_equal(frame, _enforce_schema(frame, schema))
    assert list(frame.columns) == schema.input_names()


def test_a_frame_is_what_the_scoring_server_parses():
    """The same request, parsed by MLflow and decoded into a table, is the same frame."""
    names = ["double_0", "string_1", "boolean_2"]
    request = {"dataframe_split": {"columns": names, "data": [[1.5, "Oslo", True], [None, None, False]]}}
    schema = Schema([ColSpec(DataType[kind], name) for kind, name in zip(TYPES, names, strict=False)])
    parsed = infer_and_parse_data(request, schema)
    table = Table(np.array([[1.5], [np.nan]]), {"string_1": VALUES["string"], "boolean_2": VALUES["boolean"]})
    pd.testing.assert_frame_equal(columns(*TYPES[:3]).frame(table), _enforce_schema(parsed, schema))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["Oslo", "Rome"], "str"),
        (["Oslo", np.nan], "str"),
        (["Oslo", None], "object"),
        ([None, None], "object"),
        ([np.nan, np.nan], "object"),
    ],
)
def test_text_is_str_unless_a_value_would_be_lost(values: list[object], dtype: str):
    """None and NaN reach the model as they are, whatever other rows are in the table."""
    frame = columns("string").frame(Table(np.empty((2, 0)), {"string_0": np.array(values, dtype=object)}))
    assert frame.string_0.dtype == dtype
    assert [value is None for value in frame.string_0] == [value is None for value in values]


@pytest.mark.parametrize("kinds", [("double", "string"), ("datetime", "string", "double")])
def test_an_optional_column_that_is_absent_is_absent_from_the_frame(kinds: tuple[str, ...]):
    """As MLflow leaves it out."""
    full = table_of(*kinds)
    missing = f"string_{kinds.index('string')}"
    table = Table(full.numbers, {name: column for name, column in full.others.items() if name != missing})
    assert missing not in columns(*kinds).frame(table)
    assert len(columns(*kinds).frame(table).columns) == len(kinds) - 1


@pytest.mark.parametrize("kinds", [("double", "string", "double"), ("double", "datetime", "double")])
def test_an_optional_number_that_is_absent_is_absent_from_the_frame(kinds: tuple[str, ...]):
    """The others keep their places."""
    full = table_of(*kinds)
    frame = columns(*kinds).frame(Table(full.numbers, full.others, ("double_0",)))
    assert list(frame.columns) == list(columns(*kinds).labels[1:])
    np.testing.assert_array_equal(frame["double_2"], full.numbers[:, 1])


def test_numbers_are_not_copied():
    """A frame of doubles is made in microseconds, whatever its size."""
    table = table_of("double", "double")
    assert np.shares_memory(columns("double", "double").frame(table).to_numpy(), table.numbers)


def test_a_table_of_a_frame_gives_the_frame_again():
    """There and back."""
    frame = mixed()
    there = columns_of(frame)
    pd.testing.assert_frame_equal(there.frame(there.table(frame)), frame)


def test_what_a_table_cannot_hold_is_not_of_columns():
    """Tensors, lists, objects, columns without names and what the model's own code checks keep MLflow's own way."""
    plain = Field(name="a", type="double")
    signature = Signature(inputs=(plain,), outputs=(), params=())
    assert is_of_columns(signature)
    assert not is_of_columns(None)
    assert not is_of_columns(replace(signature, has_names=False))
    assert not is_of_columns(replace(signature, is_from_type_hints=True))
    tensor = Field(name="x", type="float64", shape=(-1, 4))
    listed = Field(name="x", type='{"items": {"type": "double"}, "type": "array"}')
    for odd in (tensor, listed, plain):
        assert not is_of_columns(replace(signature, inputs=(plain, odd)))


@pytest.mark.parametrize("kinds", [("double",), ("double", "string"), ("datetime", "double"), ("string",)])
@pytest.mark.parametrize("index", [["p", "q"], [0, 1], [7, "q"], [2**63, 1], [2**70, 1], None])
def test_rows_keep_their_labels(kinds: tuple[str, ...], index: list[int | str] | None):
    """A model that reads its index gets the one that pandas makes of the request's."""
    frame = columns(*kinds).frame(msgspec.structs.replace(table_of(*kinds), index=index))
    expected = pd.DataFrame([[0], [1]], index=index).index
    assert told(frame)[2] == told(expected.to_frame())[2]
