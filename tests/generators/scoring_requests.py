"""Requests of MLflow's scoring protocol for tests: generated signatures, and JSON for them, right and wrong.

The JSON is put together as text, so that it may have what no Python value has: -0, NaN, keys twice, half surrogates.
All is drawn from dice: hypothesis chooses their seed, since drawing each token by itself takes it far longer.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

from slipway.registry.signature import Field, Signature
from slipway.serving.slow_lane.mlflow_parsing import DescribedModel, described
from slipway.serving.table import is_of_columns

TYPES = ("double", "float", "integer", "long", "boolean", "string")
NAMES = ("a", "b", "sepal length (cm)", "größe", "x.y", "0", 'quote"d')
FIT: dict[str, tuple[str, ...]] = {
    "double": ("1", "0.1", "-2.5e-3", "null", "1e300", "9007199254740993", "-0", "-0.0", "1" + "0" * 30, "3"),
    "float": ("1", "0.1", "-2.5e-3", "null", "16777217", "-0", "0.30000000000000004", "1e-40", "3"),
    "integer": ("1", "0", "-2147483648", "2147483647", "-0", "7"),
    "long": ("1", "0", "-9223372036854775808", "9223372036854775807", "9007199254740993", "-0", "7"),
    "boolean": ("true", "false"),
    "string": ('"x"', '""', '"größe"', '"\\u00e4\\n"', '"1"', '"nan"', '"2020-01-01"', '"\\ud83d\\ude00"', "null"),
    "datetime": ('"2020-01-01"', '"2020-01-01T12:30:00.5"', '"1999-12-31 23:59:59"'),
    "binary": ('"eHl6"', '""', '"YQ==\\n"', '"abc"', '"größe"'),
}
ODD = (
    "null", "true", "false", "1", "1.0", "1.5", "-0", "-0.0", "1e2", "1e400", "NaN", "-Infinity", "01", "+1", "1.",
    ".5", '"1"', '"1.5"', '"x"', '"nan"', '""', '"x\\u0000"', '"\\u0000x"', '"\\ud800"', '"a\tb"', "[1]", "[]",
    "{}", '{"a":1}',
    "2147483648", "9223372036854775808", "18446744073709551616", "1" + "0" * 400, "0." + "0" * 400 + "1", "4.9e-324",
    "1e39", "9007199254740993.0", "[[1]]", "'x'", "",
)  # fmt: skip


# What no answer may repeat: a text and a number, as values of the wrong type, as keys, within others.
MARKS = ("s3cret", "31415926")
MARKED = ('"s3cret"', "31415926535", "31415926.5", '["s3cret"]', '{"s3cret":31415926}', '"s3cret', "31415926e400")


PARAMS = ("null", "{}", '{"method":"predict_proba"}', '{"t":2}', '{"t":"x"}', '{"k":[2]}', "3", "[]")
MARKED_PARAMS = ('{"t":"s3cret"}', '{"k":["s3cret",31415926]}', '{"method":["s3cret"]}', '{"s3cret":1}', '"s3cret"')
TENSOR_TYPES = {
    "float64": "double",
    "float32": "float",
    "int64": "long",
    "int32": "integer",
    "bool": "boolean",
    "str": "string",
}


class Dice(Random):
    """Chance, with or without faults: half of all requests are to be right throughout.

    With `is_marked`, values are mostly marks.
    """

    def __init__(self, seed: int, *, is_marked: bool = False) -> None:
        super().__init__(seed)
        self.is_marked = is_marked
        self.is_faulty = is_marked or seed % 2 == 1

    def seldom(self, *these: Any, often: float = 0.07) -> list[Any]:
        """Return one of these, or mostly nothing."""
        return [self.choice(these)] if these and self.is_faulty and self.random() < often else []


@dataclass
class Recorder:
    """A model that keeps what it was given."""

    given: list[tuple[Any, Any]] = field(default_factory=list)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[int]:
        self.given.append((model_input, params))
        return [0]


@dataclass(frozen=True)
class Case:
    """A model's signature in MLflow's words and in ours."""

    metadata: Model
    signature: Signature | None

    @property
    def stored(self) -> DescribedModel:
        return described(self.metadata, self.signature)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the signature's inputs; for requests to a model without one, any two."""
        return (
            self.signature.inputs
            if self.signature
            else (Field(name="a", type="double"), Field(name="b", type="string"))
        )

    def store(self, folder: Path) -> Path:
        """Write `MLmodel` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.metadata.save(str(folder / "MLmodel"))
        return folder

    def model(self) -> tuple[PyFuncModel, Recorder]:
        """Return a model of MLflow's with this signature."""
        recorder = Recorder()
        return PyFuncModel(model_meta=self.metadata, model_impl=recorder), recorder


def case(columns: list[tuple[str, str]], *params: ParamSpec) -> Case:
    """Return a signature of columns; a type that ends in `?` is optional."""
    fields = tuple(Field(name=name, type=kind.rstrip("?"), required=kind[-1] != "?") for name, kind in columns)
    signature = ModelSignature(
        inputs=Schema([ColSpec(each.type, each.name, each.required) for each in fields]),
        params=ParamSchema(list(params)) if params else None,
    )
    own = tuple(Field(name=p.name, type=p.dtype.name, shape=p.shape, default=p.default, required=False) for p in params)
    return Case(
        metadata=_metadata(signature),
        signature=Signature(inputs=fields, outputs=(), params=own),
    )


def any_case(dice: Dice) -> Case:
    """Return a signature of one to four columns, now and then with dates, bytes or parameters."""
    names = dice.sample(NAMES, dice.choice((1, 1, 2, 2, 3, 4)))
    types = (*TYPES, "datetime", "binary") if dice.random() < 0.2 else TYPES
    columns = [(name, dice.choice(types) + dice.choice(("", "", "?"))) for name in names]
    scalar, both = (
        [ParamSpec("t", "double", 1.0)],
        [ParamSpec("method", "string", "m"), ParamSpec("k", "long", [1], (-1,))],
    )
    return case(columns, *dice.choice(([], [], [], [], scalar, both)))


def any_model(dice: Dice) -> Case:
    """Return a case of columns, of tensors, or without a signature."""
    return dice.choice((any_case, any_case, any_tensors, unsigned))(dice)


def any_tensors(dice: Dice) -> Case:
    """Return a signature of one tensor without a name, or of one or two with names."""
    dtype = dice.choice(("float64", "float32", "int64", "int32", "bool", "str"))
    shape = dice.choice(((-1,), (-1, 2), (-1, -1), (-1, 2, 2)))
    names = dice.choice(([None], ["x"], ["x", "y"]))
    specs = [TensorSpec(np.dtype(dtype), shape, name) for name in names]
    fields = tuple(Field(name=each.name or "0", type=dtype, shape=shape) for each in specs)
    return Case(
        metadata=_metadata(ModelSignature(inputs=Schema(specs))),
        signature=Signature(inputs=fields, outputs=(), params=(), has_names=names != [None]),
    )


def unsigned(dice: Dice) -> Case:
    """Return a model that says nothing of its input."""
    return Case(metadata=_metadata(None), signature=None)


def any_body(dice: Dice, of: Case) -> bytes:
    """Return a request to `/invocations`."""
    return _body(dice, _invocation(dice, of))


def any_features(dice: Dice, of: Case) -> tuple[bytes, bytes | None]:
    """Return a request to `/predict`, and the one to `/invocations` that means the same.

    `None` where none does: the form is wrong already.
    """
    features = _features(dice, of)
    as_invocation = _as_invocation(features, of)
    params = [f'"params":{dice.choice(PARAMS)}'] * (dice.random() < 0.2)
    extra = dice.seldom('"z":1', '"inputs":[]')
    members = [f'"features":{features}', *params, *extra]
    if dice.random() < 0.2:
        dice.shuffle(members)
    body = "{" + ",".join(members) + "}"
    meant = "{" + ",".join([as_invocation or "", *params]) + "}"
    return _bytes(body), _bytes(meant) if as_invocation and not extra else None


def any_csv(dice: Dice, of: Case) -> bytes:
    """Return a CSV file for `/invocations`."""
    fields = [each for each in of.fields if each.required or dice.random() < 0.5]
    fields = [each for each in fields if not dice.seldom(True)] + dice.seldom(Field(name="e", type="string"))
    if dice.random() < 0.4:
        dice.shuffle(fields)
    target = io.StringIO()
    writer = csv.writer(target, lineterminator=dice.choice(("\n", "\r\n")))
    writer.writerow([each.name for each in fields])
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        cells = [_csv_cell(dice, each.type) for each in fields]
        writer.writerow(dice.choice((cells[:-1], [*cells, "1"])) if dice.seldom(True) else cells)
    content = target.getvalue().encode(*dice.choice((("utf-8",), ("utf-8",), ("utf-16",))) if dice.seldom(True) else ())
    return content[: len(content) // 2] if dice.seldom(True, often=0.03) else content


def any_parquet(dice: Dice, of: Case) -> bytes:
    """Return a Parquet file for `/invocations`, written by pandas or by pyarrow."""
    n_rows = dice.choice((0, 1, 1, 2, 5)) if dice.is_faulty else dice.choice((1, 2, 5))
    fields = [each for each in of.fields if each.required or dice.random() < 0.5]
    fields = [each for each in fields if not dice.seldom(True)] + dice.seldom(Field(name="e", type="string"))
    if dice.random() < 0.4:
        dice.shuffle(fields)
    columns = {each.name: _array(dice, each.type, n_rows) for each in fields}
    target = io.BytesIO()
    if dice.random() < 0.3:
        arrays = {name: pa.array(values, from_pandas=dice.random() < 0.5) for name, values in columns.items()}
        pq.write_table(pa.table(arrays), target)
        return target.getvalue()
    frame = pd.DataFrame(columns, index=range(n_rows))
    for name in dice.seldom(*frame.columns):
        frame = frame.set_index(name, append=dice.random() < 0.5)
    for _ in dice.seldom(True):
        frame.columns = range(frame.shape[1])
    frame.to_parquet(target, index=dice.choice((None, None, True, False)))
    return target.getvalue()[: -1 if dice.seldom(True, often=0.02) else None]


def _array(dice: Dice, kind: str, n_rows: int) -> pd.Series:
    """Return a column of a type, or of one near it, now and then with missing values."""
    odd = {
        "double": ("float32", "int64", "int32", "Float64", "category", "int8", "object"),
        "float": ("float64", "int32", "Float32"),
        "integer": ("int64", "int8", "Int32", "uint16", "float64"),
        "long": ("int32", "Int64", "uint32", "uint64", "float64"),
        "boolean": ("boolean", "object", "int64"),
        "string": ("string", "category", "str", "int64"),
    }
    fit = {"double": "float64", "float": "float32", "integer": "int32", "long": "int64", "boolean": "bool"}
    values: list[Any] = [dice.choice((0, 1, 3)) for _ in range(n_rows)]
    if kind == "string":
        values = [dice.choice(("x", "", "größe", "1")) for _ in range(n_rows)]
    if kind == "boolean":
        values = [dice.random() < 0.5 for _ in range(n_rows)]
    if dice.is_marked:
        return pd.Series([MARKS[0]] * n_rows, dtype="object")
    if kind == "binary":
        return pd.Series([dice.choice((b"", b"xyz", "eHl6"))] * n_rows, dtype="object")
    if kind == "datetime":
        return pd.Series(
            [pd.Timestamp("2020-01-01 12:30")] * n_rows, dtype=dice.choice(("datetime64[ns]", "datetime64[us]"))
        )
    dtype = next(iter(dice.seldom(*odd.get(kind, ("str",)), often=0.2)), None) or fit.get(
        kind, dice.choice(("str", "object"))
    )
    if kind == "string" and dtype == "int64":
        values = [1] * n_rows
    column = pd.Series(values, dtype=dtype)
    if dice.random() < 0.2 and n_rows and kind in ("double", "float") and dtype != "category":
        column = column.astype("float64") * 0.1
        column = column.astype(fit[kind])
    if n_rows and (dice.seldom(True) or (kind == "double" and dtype == "float64" and dice.random() < 0.3)):
        column = column.where(pd.Series([i != 0 for i in range(n_rows)]), None)
    return column


def _body(dice: Dice, form: str) -> bytes:
    params = MARKED_PARAMS if dice.is_marked else PARAMS
    members = [form] + [f'"params":{dice.choice(params)}'] * (dice.random() < 0.2)
    members += ['"s3cret":31415926'] * (dice.is_marked and dice.random() < 0.1)
    members += dice.seldom('"z":1', '"prompt":"x"', '"inputs":[]', '"dataframe_split":{}', form)
    if dice.random() < 0.2:
        dice.shuffle(members)
    text = "{" + ",".join(members) + "}"
    if dice.is_faulty and dice.random() < 0.15:
        text = dice.choice(
            (f" {text}\n", text.replace(":", " : "), f"{text}x", text[:-1], f"\ufeff{text}", f"[{text}]")
        )
    return text.encode("utf-16" if dice.is_faulty and dice.random() < 0.01 else "utf-8", "surrogatepass")


def _invocation(dice: Dice, of: Case) -> str:
    forms = ("split", "split", "dataframe_records", "instances", "inputs", "columns", "scalars", "values", "lists")
    key = dice.choice(("instances", "inputs"))
    kinds = [each.type for each in of.fields]
    if of.fields[0].shape and dice.random() < 0.7:
        return f'"{key}":{_tensors(dice, of)}'
    match dice.choice(forms):
        case "split":
            return f'"dataframe_split":{_split(dice, of)}'
        case "dataframe_records" | "instances" | "inputs" as form:
            return f'"{form}":{_objects(dice, of)}'
        case "columns":
            n_rows = dice.randrange(4)
            return f'"{key}":{_object(dice, of, lambda kind: _column(dice, kind, n_rows))}'
        case "scalars":
            return f'"{key}":{_object(dice, of, lambda kind: _cell(dice, kind))}'
        case "values":
            return f'"{key}":{_column(dice, kinds[0], dice.randrange(4))}'
        case _:
            return f'"{key}":{_list(_rows(dice, kinds))}'


def _features(dice: Dice, of: Case) -> str:
    kinds = [each.type for each in of.fields]
    if of.fields[0].shape and dice.random() < 0.7:
        return _tensors(dice, of)
    match dice.choice(("row", "rows", "object", "objects")):
        case "row":
            return _list([_cell(dice, kind) for kind in kinds])
        case "rows":
            return _list(_rows(dice, kinds))
        case "object":
            return _object(dice, of, lambda kind: _cell(dice, kind))
        case _:
            return _objects(dice, of)


def _split(dice: Dice, of: Case) -> str:
    extra = dice.seldom(Field(name="extra", type="string"), Field(name="e", type="double"), often=0.2)
    fields = [each for each in of.fields if each.required or dice.random() < 0.5] + extra
    fields = [each for each in fields if not dice.seldom(True, often=0.03)]
    if dice.random() < 0.4:
        dice.shuffle(fields)
    names = [_key(dice, each.name) for each in fields]
    names += dice.seldom("1", "null", '"\\ud800"', *names[:1])
    members = [f'"columns":{_list(names)}', f'"data":{_list(_rows(dice, [each.type for each in fields]))}']
    index = (
        "null",
        "[0]",
        "[0,1]",
        "[5,5]",
        '["x"]',
        "[[1]]",
        "[]",
        "[1.5]",
        '[1,"a"]',
        '"x"',
        "[18446744073709551616]",
    )
    members += [f'"index":{each}' for each in dice.seldom(*index, often=0.3)]
    members += dice.seldom('"z":1', *members)
    if dice.random() < 0.3:
        dice.shuffle(members)
    return "{" + ",".join(members) + "}"


def _rows(dice: Dice, kinds: list[str]) -> list[str]:
    rows = [[_cell(dice, kind) for kind in kinds] for _ in range(dice.choice((0, 1, 1, 1, 2, 3)))]
    if rows and dice.seldom(True):
        rows[-1] = dice.choice((rows[-1][:-1], [*rows[-1], "1"]))
    return [_list(row) for row in rows] + dice.seldom("null", "1", "{}")


def _objects(dice: Dice, of: Case) -> str:
    left_out = frozenset(each.name for each in of.fields if not each.required and dice.random() < 0.5)
    n_rows = dice.choice((0, 1, 1, 2, 3))
    rows = [_object(dice, of, lambda kind: _cell(dice, kind), left_out) for _ in range(n_rows)]
    return _list(rows + dice.seldom("null", "1", "[]"))


def _object(dice: Dice, of: Case, value: Callable[[str], str], left_out: frozenset[str] = frozenset()) -> str:
    kept = [each for each in of.fields if each.name not in left_out and not dice.seldom(True, often=0.03)]
    members = [f"{_key(dice, each.name)}:{value(each.type)}" for each in kept]
    members += [f'"{MARKS[0]}":{MARKED[0]}'] * (dice.is_marked and dice.random() < 0.2)
    members += dice.seldom('"extra":1', '"extra":[1]', '"extra":"\\ud800"', *members[:1])
    if dice.random() < 0.4:
        dice.shuffle(members)
    return "{" + ",".join(members) + "}"


def _column(dice: Dice, kind: str, n_rows: int) -> str:
    n_values = max(0, n_rows + sum(dice.seldom(1, -1)))
    return _list([_cell(dice, kind) for _ in range(n_values)])


def _cell(dice: Dice, kind: str) -> str:
    if dice.is_marked and dice.random() < 0.7:
        return dice.choice(MARKED)
    return next(iter(dice.seldom(*ODD)), None) or dice.choice(FIT[TENSOR_TYPES.get(kind, kind)])


def _key(dice: Dice, name: str) -> str:
    return json.dumps(name, ensure_ascii=dice.random() < 0.5)


def _list(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def _tensors(dice: Dice, of: Case) -> str:
    """Return the tensors of a signature: one alone, or those with names as an object, or as an object for each row."""
    n_rows = dice.choice((1, 1, 2, 3))
    made = [_tensor(dice, each, n_rows) for each in of.fields]
    if not of.signature.has_names:
        return made[0]
    if dice.random() < 0.3:
        rows = [{each.name: _tensor(dice, each, 1)[1:-1] for each in of.fields} for _ in range(n_rows)]
        return _list(["{" + ",".join(f'"{name}":{value}' for name, value in row.items()) + "}" for row in rows])
    return "{" + ",".join(f'"{each.name}":{text}' for each, text in zip(of.fields, made, strict=True)) + "}"


def _tensor(dice: Dice, of: Field, n_rows: int) -> str:
    sizes = [n_rows, *(2 if size == -1 else size for size in of.shape[1:])]
    for i in dice.seldom(*range(len(sizes))):
        sizes[i] += 1

    def nested(depth: int) -> str:
        if depth == len(sizes):
            return _cell(dice, of.type)
        return _list([nested(depth + 1) for _ in range(sizes[depth])])

    return nested(0)


def _as_invocation(features: str, of: Case) -> str | None:
    """Return the member of a body of `/invocations` that means these features, its values as they are written."""
    if of.signature is None or not is_of_columns(of.signature):
        return f'"inputs":{features}'
    try:
        value = json.loads(features)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        return f'"dataframe_records":[{features}]'
    kinds = {type(each) if isinstance(each, list | dict) else None for each in value}
    if len(kinds) != 1:
        return None
    if kinds == {dict}:
        return f'"dataframe_records":{features}'
    rows = value if kinds == {list} else [value]
    if any(len(row) != len(of.fields) for row in rows):
        return None
    names = json.dumps([each.name for each in of.fields])
    return f'"dataframe_split":{{"columns":{names},"data":{features if kinds == {list} else _list([features])}}}'


def _csv_cell(dice: Dice, kind: str) -> str:
    if dice.is_marked:
        return dice.choice(MARKS)
    text = _cell(dice, kind)
    return "" if text == "null" else text.strip('"')


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _metadata(signature: ModelSignature | None) -> Model:
    return Model(flavors={"python_function": {"loader_module": "tests"}}, signature=signature)
