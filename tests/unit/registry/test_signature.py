"""What is read of a signature without MLflow is what MLflow stores."""

from pathlib import Path

import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from slipway.registry.signature import Field, Signature, stored_signature


def stored(folder: Path, inputs: Schema, *params: ParamSpec, **flags: bool) -> Signature:
    signature = ModelSignature(inputs=inputs, params=ParamSchema(list(params)) if params else None)
    for name, value in flags.items():
        setattr(signature, name, value)
    Model(signature=signature).save(str(folder / "MLmodel"))
    return stored_signature(folder)


def test_columns_have_types_and_may_be_optional(tmp_path: Path):
    """Names, types and whether a column may be left out."""
    read = stored(tmp_path, Schema([ColSpec("double", "a"), ColSpec("string", "b", required=False)]))
    assert read.inputs == (Field(name="a", type="double"), Field(name="b", type="string", required=False))
    assert (read.has_names, read.is_from_type_hints) == (True, False)


def test_parameters_have_defaults(tmp_path: Path):
    """A number, a list, and nothing."""
    params = [ParamSpec("t", "double", 0.5), ParamSpec("k", "long", [1, 2], (-1,)), ParamSpec("s", "string", None)]
    read = stored(tmp_path, Schema([ColSpec("double", "a")]), *params)
    assert read.params == (
        Field(name="t", type="double", default=0.5, required=False),
        Field(name="k", type="long", default=[1, 2], shape=(-1,), required=False),
        Field(name="s", type="string", default=None, required=False),
    )


def test_inputs_may_have_no_names(tmp_path: Path):
    """They are named by their places, and said to have none; a number is no name."""
    for schema in (Schema([ColSpec("double")]), Schema([ColSpec("double", 0)])):
        read = stored(tmp_path, schema)
        assert ([field.name for field in read.inputs], read.has_names) == (["0"], False)


def test_tensors_have_shapes(tmp_path: Path):
    """The free dimension is -1."""
    read = stored(tmp_path, Schema([TensorSpec(np.dtype("float32"), (-1, 2), "x")]))
    assert read.inputs == (Field(name="x", type="float32", shape=(-1, 2)),)


def test_nested_types_are_their_text(tmp_path: Path):
    """They compare as wholes."""
    (nested,) = stored(tmp_path, Schema([ColSpec(Array("double"), "a")])).inputs
    assert '"items"' in nested.type


def test_type_hints_are_told(tmp_path: Path):
    """Such a model's own code has a say in what it takes."""
    schema = Schema([ColSpec("double", "a")])
    assert stored(tmp_path, schema, _is_signature_from_type_hint=True).is_from_type_hints
    assert stored(tmp_path, schema, _is_type_hint_from_example=True).is_from_type_hints
