"""Which requests are plain, and what they are read as; that MLflow agrees is tested in contract/test_scoring_agrees."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.mlflow.decoding import Decoder, compile_decoder


def signature(*columns: tuple[str, str], params: tuple[Field, ...] = ()) -> Signature:
    fields = tuple(Field(name=name, type=kind.rstrip("?"), required=kind[-1] != "?") for name, kind in columns)
    return Signature(inputs=fields, outputs=(), params=params)


MIXED = signature(("a", "double"), ("s", "string"), ("n", "long"), ("b", "double"), ("ok", "boolean?"))
TWO = signature(("a", "double"), ("b", "double"))


def decoder(of: Signature = TWO) -> Decoder:
    made = compile_decoder(of)
    assert made is not None
    return made


def body(**members: object) -> bytes:
    return json.dumps(members).encode()


def split(columns: list[object], *data: list[object], **more: object) -> bytes:
    return body(dataframe_split={"columns": columns, "data": data, **more})


ROW = {"a": 1, "b": None}


@pytest.mark.parametrize(
    "request_body",
    [
        split(["a", "b"], [1, None]),
        split(["b", "a"], [None, 1]),
        split(["b", "x", "a"], [None, "extra", 1]),
        split(["a", "b"], [1, None], index=[7]),
        body(dataframe_split={"data": [[1, None]], "columns": ["a", "b"]}),
        body(dataframe_records=[ROW]),
        body(instances=[ROW]),
        body(inputs=[ROW]),
        body(inputs=ROW),
        body(inputs={"a": [1], "b": [None]}),
        body(params=None, inputs=[ROW]),
        body(params={}, inputs=[ROW])[:-1] + b', "params": null}',
        b' {\n "dataframe_split" : {"columns": ["a", "b"], "data": [[1e0, null]]}}\n',
        b'{"dataframe_records":[{"a":7,"b":3,"a":1,"b":null}]}',
    ],
)
def test_every_form_of_a_row_is_read_alike(request_body: bytes):
    """Form, order and spelling do not matter; a missing number is NaN."""
    plain = decoder().decode(request_body)
    np.testing.assert_array_equal(plain.rows.numbers, [[1.0, np.nan]])
    assert (plain.rows.others, plain.params, plain.method) == ({}, None, "predict")


@pytest.mark.parametrize("features", [[1, None], [[1, None]], ROW, [ROW]])
def test_features_are_a_row_or_rows(features: object):
    """`/predict` takes a row as a list or an object, or several."""
    plain = decoder().decode_features(body(features=features))
    np.testing.assert_array_equal(plain.rows.numbers, [[1.0, np.nan]])


@pytest.mark.parametrize("n_rows", [1, 3])
def test_columns_of_other_types_lie_beside_the_numbers(n_rows: int):
    """Doubles are one matrix, in the signature's order; each other column has its own array and type."""
    rows = [["x", 1.5, 2**60, 2.5, True], [None, None, 1, 0, False], ["z", -1, -1, 1, True]][:n_rows]
    table = decoder(MIXED).decode(split(["s", "a", "n", "b", "ok"], *rows)).rows
    np.testing.assert_array_equal(table.numbers, [[1.5, 2.5], [np.nan, 0], [-1, 1]][:n_rows])
    assert table.numbers.flags.c_contiguous
    assert {name: str(array.dtype) for name, array in table.others.items()} == {
        "s": "object",
        "n": "int64",
        "ok": "bool",
    }
    assert table.others["s"].tolist() == ["x", np.nan, "z"][:n_rows]
    assert table.others["n"].tolist() == [2**60, 1, -1][:n_rows]


def test_a_column_of_nothing_but_missing_texts_stays_one_of_none():
    """As in pandas, where such a column is no column of texts."""
    assert decoder(signature(("s", "string"))).decode(split(["s"], [None])).rows.others["s"].tolist() == [None]


def test_an_optional_column_may_be_left_out():
    """It is absent among the others; among the numbers it is NaN, and named."""
    optional = signature(("a", "double?"), ("b", "double"), ("s", "string?"), ("c", "double?"))
    for request_body in (split(["b"], [2]), body(dataframe_records=[{"b": 2}]), body(inputs={"b": [2]})):
        table = decoder(optional).decode(request_body).rows
        np.testing.assert_array_equal(table.numbers, [[np.nan, 2, np.nan]])
        assert table.others == {}
        assert table.absent == ("a", "c")


def test_rows_with_different_columns_are_for_mlflow():
    """What is missing then has a meaning that depends on the form."""
    optional = signature(("a", "double"), ("b", "double?"))
    assert decoder(optional).decode(body(dataframe_records=[{"a": 1}, {"a": 1, "b": 2}])) is None


@pytest.mark.parametrize(
    "request_body",
    [
        b"",
        b"{}",
        b"[]",
        split(["a", "b"]),
        split(["a", "b"], [1]),
        split(["a", "b"], [1, 2, 3]),
        split(["a"], [1]),
        split(["a", "b", "b"], [1, 2, 3]),
        split(["a", "b", 1], [1, 2, 3]),
        split(["a", "b", "c"], [1, 2, [3]]),
        split(["a", "b"], [1, "2"]),
        split(["a", "b"], [1, True]),
        split(["a", "b"], [1, 2], index=[1, 2]),
        split(["a", "b"], [1, 2], more=1),
        body(dataframe_records=[]),
        body(dataframe_records=[{"a": 1}]),
        body(dataframe_records=[{"a": 1, "b": 2, "c": 3}]),
        body(instances=[[1, 2]]),
        body(inputs={"a": [1, 2], "b": [1]}),
        body(inputs={"a": [1, 2], "b": 1}),
        body(inputs={"a": [], "b": []}),
        body(inputs=[ROW], instances=[ROW]),
        body(inputs=[ROW], prompt="x"),
        body(inputs=[ROW], params={"k": 1}),
        body(inputs=[ROW], params={"method": 1}),
        b'{"inputs": {"a": [NaN], "b": [1]}}',
        b'{"inputs": {"a": [1e400], "b": [1]}}',
        b'{"inputs": {"a": [01], "b": [1]}}',
        b'{"inputs": {"a": [1], "b": [1]}} x',
        '{"inputs": {"a": [1], "b": [1]}}'.encode("utf-16"),
        b'\xef\xbb\xbf{"inputs": {"a": [1], "b": [1]}}',
        b'{"dataframe_split": {"columns": ["a", "b", "\\ud800"], "data": [[1, 2, 3]]}}',
        b'{"dataframe_split": {"columns": ["a", "b", "\xff"], "data": [[1, 2, 3]]}}',
        b'{"dataframe_split": {"columns": ' + b"[" * 100_000,
    ],
)
def test_what_is_not_plain_is_for_mlflow(request_body: bytes):
    """Nothing is guessed, nothing raised, whoever is right in the end."""
    assert decoder().decode(request_body) is None


@pytest.mark.parametrize("value", [None, "x\x00"])
def test_texts_that_mlflow_changes_in_inputs_are_for_mlflow(value: object):
    """In `instances` and `inputs` it reads null as the text None, and cuts NULs; in a frame it does neither."""
    text = decoder(signature(("s", "string")))
    assert text.decode(body(inputs=[{"s": value}])) is None
    assert text.decode(body(instances=[{"s": value}])) is None
    assert text.decode(body(dataframe_records=[{"s": value}])).rows.others["s"].tolist() == [value]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("integer", 2**31), ("integer", 1.0), ("integer", None), ("long", 2**63), ("boolean", 1), ("float", 2.0**53)],
)
def test_values_that_a_type_may_not_hold_are_for_mlflow(kind: str, value: object):
    """Integers in range, booleans that are booleans, floats that are rounded once: all else is MLflow's to judge."""
    assert decoder(signature(("v", kind))).decode(split(["v"], [value])) is None


def test_one_column_takes_a_list_of_values():
    """`instances` and `inputs` may be the values of a signature's only column."""
    assert decoder(signature(("v", "long"))).decode(body(inputs=[3, 4])).rows.others["v"].tolist() == [3, 4]


def test_the_method_is_taken_out():
    """Slipway's own parameter never reaches the model, which without a schema of parameters is given none."""
    plain = decoder().decode(body(inputs=[ROW], params={"method": "predict_proba"}))
    assert (plain.params, plain.method) == ({}, "predict_proba")


def test_defaults_of_declared_parameters_are_filled_in():
    """A request without parameters gives the model its defaults, each time a copy of its own."""
    declared = (
        Field(name="k", type="double", default=1, required=False),
        Field(name="l", type="long", default=[1, 2], shape=(-1,), required=False),
    )
    made = decoder(replace(TWO, params=declared))
    first, second = (made.decode(body(inputs=[ROW])).params for _ in range(2))
    first["l"].append(3)
    assert second == {"k": 1.0, "l": [1, 2]}
    assert type(second["k"]) is float
    assert made.decode(body(inputs=[ROW], params={"k": 2})) is None


def test_a_model_may_have_a_method_of_its_own():
    """Where the signature declares `method`, it is the model's: such a request is for MLflow."""
    made = decoder(replace(TWO, params=(Field(name="method", type="string", default="m", required=False),)))
    assert made.decode(body(inputs=[ROW], params={"method": "x"})) is None
    assert made.decode(body(inputs=[ROW])).method == "predict"


@pytest.mark.parametrize(
    "not_plain",
    [
        None,
        signature(("when", "datetime")),
        signature(("image", "binary")),
        signature(("", "double")),
        signature(("nested", '{"items": {"type": "double"}, "type": "array"}')),
        signature(("a", "double"), ("a", "double")),
        replace(TWO, inputs=(Field(name="0", type="float64", shape=(-1, 2)),)),
        replace(TWO, has_names=False),
        replace(TWO, is_from_type_hints=True),
        replace(TWO, params=(Field(name="when", type="datetime", default="2020-01-01", required=False),)),
    ],
)
def test_some_models_have_no_plain_requests(not_plain: Signature | None):
    """Tensors, nested types, dates, bytes, inputs without names or with rules of the model's own: all for MLflow."""
    assert compile_decoder(not_plain) is None


def test_endless_lists_of_columns_are_for_mlflow():
    """What is remembered of the orders of columns has a bound: no client can fill the memory with them."""
    few, many = ([f"x{i}" for i in range(n)] for n in (100, 10_000))
    assert decoder().decode(split(["a", "b", *few], [1, 2, *few])) is not None
    assert decoder().decode(split(["a", "b", *many], [1, 2, *many])) is None


def test_names_that_json_escapes_are_read_in_split_form():
    """Keys with quotes or control characters have no fast reader; a list of such names has."""
    quoted = decoder(signature(('say "a"\n', "double")))
    assert quoted.decode(split(['say "a"\n'], [1])).rows.numbers.tolist() == [[1.0]]
    assert quoted.decode(body(dataframe_records=[{'say "a"\n': 1}])) is None


@given(st.binary())
def test_no_bytes_make_it_raise(junk: bytes):
    """A decoder answers any body, if only with: not plain."""
    for start in (b"", b'{"dataframe_split":', b'{"features":[', b'{"inputs":{"a":[1],"b":['):
        decoder().decode(start + junk)
        decoder().decode_features(start + junk)
