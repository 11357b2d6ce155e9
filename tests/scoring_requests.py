"""Requests of MLflow's scoring protocol for tests: generated signatures, and JSON for them, right and wrong.

The JSON is put together as text, so that it may have what no Python value has: -0, NaN, keys twice, half surrogates.
All is drawn from dice: hypothesis chooses their seed, since drawing each token by itself takes it far longer.
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from registry.signature import Field, Signature
from serving.mlflow_parsing import StoredModel

TYPES = ("double", "float", "integer", "long", "boolean", "string")
NAMES = ("a", "b", "sepal length (cm)", "größe", "x.y", "0", 'quote"d')
FIT: dict[str, tuple[str, ...]] = {
    "double": ("1", "0.1", "-2.5e-3", "null", "1e300", "9007199254740993", "-0", "-0.0", "1" + "0" * 30, "3"),
    "float": ("1", "0.1", "-2.5e-3", "null", "16777217", "-0", "0.30000000000000004", "1e-40", "3"),
    "integer": ("1", "0", "-2147483648", "2147483647", "-0", "7"),
    "long": ("1", "0", "-9223372036854775808", "9223372036854775807", "9007199254740993", "-0", "7"),
    "boolean": ("true", "false"),
    "string": ('"x"', '""', '"größe"', '"\\u00e4\\n"', '"1"', '"nan"', '"2020-01-01"', '"\\ud83d\\ude00"', "null"),
}
ODD = (
    "null", "true", "false", "1", "1.0", "1.5", "-0", "-0.0", "1e2", "1e400", "NaN", "-Infinity", "01", "+1", "1.",
    ".5", '"1"', '"1.5"', '"x"', '"nan"', '""', '"x\\u0000"', '"\\u0000x"', '"\\ud800"', '"a\tb"', "[1]", "[]",
    "{}", '{"a":1}',
    "2147483648", "9223372036854775808", "18446744073709551616", "1" + "0" * 400, "0." + "0" * 400 + "1", "4.9e-324",
    "1e39", "9007199254740993.0", "[[1]]", "'x'", "",
)  # fmt: skip


class Dice(Random):
    """Chance, with or without faults: half of all requests are to be right throughout."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.is_faulty = seed % 2 == 1

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
    signature: Signature

    @property
    def stored(self) -> StoredModel:
        return StoredModel(
            metadata=self.metadata,
            input_schema=self.metadata.get_input_schema(),
            params_schema=self.metadata.get_params_schema(),
            signature=self.signature,
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
        metadata=Model(flavors={"python_function": {"loader_module": "tests"}}, signature=signature),
        signature=Signature(inputs=fields, outputs=(), params=own),
    )


def any_case(dice: Dice) -> Case:
    """Return a signature of one to four columns, now and then with parameters."""
    names = dice.sample(NAMES, dice.choice((1, 1, 2, 2, 3, 4)))
    columns = [(name, dice.choice(TYPES) + dice.choice(("", "", "?"))) for name in names]
    scalar, both = (
        [ParamSpec("t", "double", 1.0)],
        [ParamSpec("method", "string", "m"), ParamSpec("k", "long", [1], (-1,))],
    )
    return case(columns, *dice.choice(([], [], [], [], scalar, both)))


def any_body(dice: Dice, of: Case) -> bytes:
    """Return a request to `/invocations`."""
    return _body(dice, _invocation(dice, of))


def any_features(dice: Dice, of: Case) -> bytes:
    """Return a request to `/predict`."""
    return _body(dice, _features(dice, of))


def any_parquet(dice: Dice, of: Case) -> bytes:
    """Return a Parquet file for `/invocations`, written by pandas or by pyarrow."""
    n_rows = dice.choice((0, 1, 1, 2, 5)) if dice.is_faulty else dice.choice((1, 2, 5))
    fields = [each for each in of.signature.inputs if each.required or dice.random() < 0.5]
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
    dtype = next(iter(dice.seldom(*odd[kind], often=0.2)), None) or fit.get(kind, dice.choice(("str", "object")))
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
    params = dice.choice(("null", "{}", '{"method":"predict_proba"}', '{"t":2}', '{"t":"x"}', '{"k":[2]}', "3", "[]"))
    members = [form] + [f'"params":{params}'] * (dice.random() < 0.2)
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
    kinds = [each.type for each in of.signature.inputs]
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
    kinds = [each.type for each in of.signature.inputs]
    match dice.choice(("row", "rows", "object", "objects")):
        case "row":
            return f'"features":{_list([_cell(dice, kind) for kind in kinds])}'
        case "rows":
            return f'"features":{_list(_rows(dice, kinds))}'
        case "object":
            return f'"features":{_object(dice, of, lambda kind: _cell(dice, kind))}'
        case _:
            return f'"features":{_objects(dice, of)}'


def _split(dice: Dice, of: Case) -> str:
    extra = dice.seldom(Field(name="extra", type="string"), Field(name="e", type="double"), often=0.2)
    fields = [each for each in of.signature.inputs if each.required or dice.random() < 0.5] + extra
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
    left_out = frozenset(each.name for each in of.signature.inputs if not each.required and dice.random() < 0.5)
    n_rows = dice.choice((0, 1, 1, 2, 3))
    rows = [_object(dice, of, lambda kind: _cell(dice, kind), left_out) for _ in range(n_rows)]
    return _list(rows + dice.seldom("null", "1", "[]"))


def _object(dice: Dice, of: Case, value: Callable[[str], str], left_out: frozenset[str] = frozenset()) -> str:
    kept = [each for each in of.signature.inputs if each.name not in left_out and not dice.seldom(True, often=0.03)]
    members = [f"{_key(dice, each.name)}:{value(each.type)}" for each in kept]
    members += dice.seldom('"extra":1', '"extra":[1]', '"extra":"\\ud800"', *members[:1])
    if dice.random() < 0.4:
        dice.shuffle(members)
    return "{" + ",".join(members) + "}"


def _column(dice: Dice, kind: str, n_rows: int) -> str:
    n_values = max(0, n_rows + sum(dice.seldom(1, -1)))
    return _list([_cell(dice, kind) for _ in range(n_values)])


def _cell(dice: Dice, kind: str) -> str:
    return next(iter(dice.seldom(*ODD)), None) or dice.choice(FIT[kind])


def _key(dice: Dice, name: str) -> str:
    return json.dumps(name, ensure_ascii=dice.random() < 0.5)


def _list(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"
