"""What a model takes and gives: the signature as MLflow stores it in `MLmodel`, and what of a change breaks callers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from slipway.registry.mlmodel import FILE, read_mlmodel

# A column of the first type may become one of the others: every value of it is still taken.
WIDER: Mapping[str, frozenset[str]] = {
    "boolean": frozenset(),
    "integer": frozenset({"long", "double"}),
    "long": frozenset(),
    "float": frozenset({"double"}),
}
NAMED_AT_MOST = 8
WHOLE, NUMBER, TEXT, TRUTH = "whole numbers", "numbers", "text", "truth values"
# What MLflow and numpy call a type → what JSON shows of it. An `object` is text where our own estimators answer it.
JSON_KINDS = {
    **dict.fromkeys(
        ["integer", "long", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))], WHOLE
    ),
    **dict.fromkeys(["float", "double", "float16", "float32", "float64"], NUMBER),
    **dict.fromkeys(["string", "str", "object"], TEXT),
    **dict.fromkeys(["boolean", "bool"], TRUTH),
}
NESTED = ("array", "map", "object")
# In MLmodel, beside the signature: whose types MLflow leaves to the model's own code.
TYPE_HINT_FLAGS = ("is_signature_from_type_hint", "type_hint_from_example")


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A column, parameter or tensor; `type` is MLflow's word for it, `default` a parameter's.

    `shape` is a tensor's, -1 where it is free; a parameter that is a list has (-1,). A nested type is its JSON text.
    """

    name: str
    type: str
    required: bool = True
    shape: tuple[int, ...] | None = None
    default: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Inputs, outputs and parameters, in their order.

    Inputs without names (`has_names` is false) are named by their places here. `is_from_type_hints` says that the
    model's own code checks or converts its input, by the type hints of its `predict`.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    params: tuple[Field, ...]
    has_names: bool = True
    is_from_type_hints: bool = False


def stored_signature(folder: Path) -> Signature | None:
    """Return the signature of the model that is stored in a folder; `None` where it has none."""
    document = read_mlmodel(folder) if (folder / FILE).is_file() else {}
    stored = document.get("signature")
    if not stored or not stored.get("inputs"):
        return None
    inputs, outputs, params = (_fields(stored.get(side)) for side in ("inputs", "outputs", "params"))
    return Signature(
        inputs=inputs,
        outputs=outputs,
        params=params,
        has_names=all(isinstance(each.get("name"), str) for each in json.loads(stored["inputs"])),
        is_from_type_hints=any(document.get(flag) for flag in TYPE_HINT_FLAGS),
    )


Acceptable = Literal["input_order"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Break:
    """Something that callers would stumble over; `kind` is set where a policy may accept it.

    `removed` is the input that is gone, where that is what happened to it and a policy may retire it.
    """

    what: str
    kind: Acceptable | None = None
    removed: str | None = None


def breaks(before: Signature, after: Signature) -> tuple[Break, ...]:
    """Return each thing that somebody who calls `before` would stumble over in `after`, or be answered otherwise by."""
    said = (
        *_input_breaks(before.inputs, after.inputs),
        *_output_breaks(before.outputs, after.outputs),
        *_param_breaks(before.params, after.params),
    )
    return (*_removed(before, after), *(Break(what=each) for each in said), *_order_breaks(before, after))


def _removed(before: Signature, after: Signature) -> Iterator[Break]:
    """Yield the inputs that are gone; without names an input is a place, and nobody can leave out one of those."""
    now = {field.name for field in after.inputs}
    named = before.has_names and after.has_names
    for name in (field.name for field in before.inputs if field.name not in now):
        yield Break(what=f"input '{name}' is gone", removed=name if named else None)


def _order_breaks(before: Signature, after: Signature) -> list[Break]:
    """Find values that go to another input where they are sent by place: Spark's UDFs, arrays, tables without names."""
    now = [field.name for field in after.inputs]
    kept = [field.name for field in before.inputs if field.name in now]
    if not before.has_names or kept == now[: len(kept)]:
        return []
    words = f"the inputs in their order were {_listed(kept)}, are {_listed(now)}: values sent by place go to others"
    return [Break(what=words, kind="input_order")]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{', '.join(names[:NAMED_AT_MOST])}{more}"


def json_kind(stored_type: str) -> str:
    """Return what JSON shows of a type; a type that is none of the plain ones stays by its name.

    >>> json_kind("float32"), json_kind('{"items": {"type": "float"}, "type": "array"}')
    ('numbers', '{"items": {"type": "numbers"}, "type": "array"}')
    """
    if stored_type.startswith("{"):
        return json.dumps(_kinds_in(json.loads(stored_type)), sort_keys=True)
    return TEXT if stored_type.startswith("<U") else JSON_KINDS.get(stored_type, stored_type)


def _kinds_in(nested: Any) -> Any:
    """Return a nested type with what JSON shows of each plain type in it; "object" is there the word for a mapping."""
    if not isinstance(nested, Mapping):
        return nested
    kind = nested.get("type")
    plain = {"type": json_kind(kind)} if isinstance(kind, str) and kind not in NESTED else {}
    return {**{key: _kinds_in(value) for key, value in nested.items()}, **plain}


def _input_breaks(before: Sequence[Field], after: Sequence[Field]) -> list[str]:
    now = {field.name: field for field in after}
    was = {field.name: field for field in before}
    added = [f"input '{name}' is new and required" for name, f in now.items() if name not in was and f.required]
    both = [(was[name], now[name]) for name in was if name in now]
    narrowed = [f"input '{a.name}' was {_of(a)}, is {_of(b)}" for a, b in both if not _takes_all_of(b, a)]
    needed = [f"input '{a.name}' was optional, is required" for a, b in both if b.required and not a.required]
    return [*added, *narrowed, *needed]


def _takes_all_of(wide: Field, narrow: Field) -> bool:
    is_wider = wide.type == narrow.type or wide.type in WIDER.get(narrow.type, frozenset())
    if wide.shape is None or narrow.shape is None:
        return is_wider and wide.shape == narrow.shape
    same_rank = len(wide.shape) == len(narrow.shape)
    return is_wider and same_rank and all(w in (-1, n) for w, n in zip(wide.shape, narrow.shape, strict=True))


def _output_breaks(before: Sequence[Field], after: Sequence[Field]) -> list[str]:
    if [_seen(field, before) for field in before] == [_seen(field, after) for field in after]:
        return []
    return [f"the output was {', '.join(map(_of, before))}, is {', '.join(map(_of, after))}"]


def _seen(output: Field, outputs: Sequence[Field]) -> tuple[str, str, tuple[int, ...] | None]:
    """Return what a caller sees of an output: one column without a name is a list of values, as a vector is."""
    is_column = output.shape is None and len(outputs) == 1 and output.name == "0"
    return output.name, json_kind(output.type), (-1,) if is_column else output.shape


def _param_breaks(before: Sequence[Field], after: Sequence[Field]) -> list[str]:
    now = {field.name: (field.type, field.shape) for field in after}
    changed = [field.name for field in before if now.get(field.name) != (field.type, field.shape)]
    return [f"parameter '{name}' is gone or changed" for name in changed]


def _fields(stored: str | None) -> tuple[Field, ...]:
    return tuple(_field(each, i) for i, each in enumerate(json.loads(stored) if stored else ()))


def _field(stored: Mapping[str, Any], place: int) -> Field:
    tensor = stored.get("tensor-spec")
    name = str(stored.get("name", place))
    if tensor:
        return Field(name=name, type=str(tensor["dtype"]), shape=tuple(tensor["shape"]))
    kind = stored["type"] if "type" in stored else stored["dtype"]
    is_plain = not {"items", "properties", "values"} & stored.keys()
    return Field(
        name=name,
        type=str(kind) if is_plain else json.dumps(stored, sort_keys=True),
        required=bool(stored.get("required", "default" not in stored)),
        shape=tuple(stored["shape"]) if stored.get("shape") else None,
        default=stored.get("default"),
    )


def _of(field: Field) -> str:
    return f"{field.type}{list(field.shape) if field.shape is not None else ''}"
