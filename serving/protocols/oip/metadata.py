"""What a model takes and gives as tensors, told from its signature: the metadata, and Triton's form of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.oip.datatypes import BYTES, FP64, datatype_of, triton_type
from slipway.serving.runtimes.runner import PREDICT

MATRIX = "input-0"
PLATFORM = "mlflow_pyfunc"
# Triton's clients need a bound; ours is the size of the body.
MOST_ROWS = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """A tensor as metadata tells it; -1 stands for a dimension that is free."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """Return it as the protocol writes it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    def config(self) -> dict[str, Any]:
        """Return it as Triton's configuration has it: without the dimension of the rows."""
        dims = list(self.shape[1:]) or [1]
        return {"name": self.name, "data_type": triton_type(self.datatype), "dims": dims}


def input_specs(signature: Signature | None) -> tuple[TensorSpec, ...]:
    """Return a tensor for each input; one that has no name and is alone is called as a matrix is."""
    if signature is None:
        return ()
    if not signature.has_names and len(signature.inputs) == 1 and is_tensor(signature.inputs[0]):
        return (_spec(signature.inputs[0], MATRIX),)
    return tuple(_spec(each, each.name) for each in signature.inputs)


def is_tensor(field: Field) -> bool:
    """Return whether a field is a tensor of numpy's types, and no column."""
    return field.shape is not None


def matrix_spec(signature: Signature | None) -> TensorSpec | None:
    """Return the one matrix in which all columns may come, in their order; `None` where the inputs are tensors."""
    if signature is None or any(map(is_tensor, signature.inputs)):
        return None
    names = {field.name for field in signature.inputs}
    name = next(each for each in (f"input-{i}" for i in range(len(names) + 1)) if each not in names)
    datatypes = {datatype_of(field.type, is_tensor=False) for field in signature.inputs}
    whole = datatypes.pop() if len(datatypes) == 1 else (BYTES if BYTES in datatypes else FP64)
    return TensorSpec(name=name, datatype=whole, shape=(-1, len(signature.inputs)))


def output_specs(signature: Signature | None, methods: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Return a tensor for each output of the signature, and one for each further method that the model has."""
    outputs = signature.outputs if signature else ()
    if len(outputs) == 1 and outputs[0].name == "0":
        found = [_spec(outputs[0], PREDICT)]
    else:
        found = [_spec(each, each.name) for each in outputs]
    taken = {each.name for each in found}
    more = [TensorSpec(name=each, datatype=FP64, shape=(-1, -1)) for each in methods if each not in (PREDICT, *taken)]
    return (*found, *more) if found else ()


def model_metadata(
    name: str, versions: Sequence[str], signature: Signature | None, methods: Sequence[str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a model's metadata; the matrix in which all columns may come stands among its parameters."""
    matrix = matrix_spec(signature)
    return {
        "name": name,
        "versions": list(versions),
        "platform": PLATFORM,
        "inputs": [each.document() for each in input_specs(signature)],
        "outputs": [each.document() for each in output_specs(signature, methods)],
        "parameters": {**({"matrix": matrix.document()} if matrix else {}), **more},
    }


def model_config(name: str, version: int, signature: Signature | None, methods: Sequence[str]) -> dict[str, Any]:
    """Return a model's configuration as Triton's tools ask for it."""
    return {
        "name": name,
        "platform": PLATFORM,
        "backend": "slipway",
        "version_policy": {"specific": {"versions": [version]}},
        "max_batch_size": MOST_ROWS,
        "input": [each.config() for each in input_specs(signature)],
        "output": [each.config() for each in output_specs(signature, methods)],
    }


def _spec(field: Field, name: str) -> TensorSpec:
    datatype = datatype_of(field.type, is_tensor=is_tensor(field))
    return TensorSpec(name=name, datatype=datatype, shape=(-1, 1) if field.shape is None else field.shape)
