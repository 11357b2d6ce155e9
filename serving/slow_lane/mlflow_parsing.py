"""MLflow's own judgement of a request: its scoring server's parsing, and `PyFuncModel`'s enforcement of the schema.

Only `MLmodel` is read, never the model. MLflow's code decides what is accepted and what it means; the words in which a
refusal is told are ours (`protocols.diagnosis`), since MLflow's repeat what was sent.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.pyfunc.scoring_server import (
    _decode_json_input,
    _parse_json_data,
    parse_csv_input,
    parse_parquet_input,
)
from mlflow.types import ParamSchema, ParamSpec, Schema

from slipway.registry.errors import Corrupt, InvalidInput, SlipwayError
from slipway.registry.late import call
from slipway.registry.mlmodel import read_mlmodel
from slipway.registry.signature import Signature, stored_signature
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.protocols.mlflow.diagnosis import (
    taken,
    why_csv_refused,
    why_not_json,
    why_refused,
    why_table_refused,
)
from slipway.serving.protocols.mlflow.features import as_invocation
from slipway.serving.protocols.mlflow.forms import UNWRAPPED
from slipway.serving.protocols.mlflow.frames import table_of
from slipway.serving.protocols.mlflow.unpacked import csv_bytes, json_bytes, most_unpacked, require_unpackable
from slipway.serving.runtimes.runner import PREDICT
from slipway.serving.runtimes.understood import PickledRows, Understood
from slipway.serving.slow_lane.mlflow_blame import refused_column, with_columns
from slipway.serving.table import is_of_columns

if TYPE_CHECKING:
    from slipway.serving.protocols.mlflow.parquet import ParquetDecoder

METHOD = "method"
PARQUET, PARQUET_SIZE = "slipway.serving.protocols.mlflow.parquet", "slipway.serving.protocols.mlflow.parquet_size"
# An image may leave pyarrow out, which is a third of all that serving needs: then no Parquet is read there.
READS_PARQUET = find_spec("pyarrow") is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribedModel:
    """What `MLmodel` says of a model's input, in MLflow's words and in ours; `parquet` reads its plain files."""

    metadata: Model
    input_schema: Schema | None
    params_schema: ParamSchema | None
    signature: Signature | None
    parquet: "ParquetDecoder | None"


def stored_model(folder: Path) -> DescribedModel:
    """Return what is stored of a model; `NotApproved` or `Corrupt` where `MLmodel` cannot be read."""
    document = read_mlmodel(folder)
    try:
        metadata = Model.from_dict(dict(document))
        return described(metadata, stored_signature(folder))
    except Exception as error:
        raise Corrupt(
            f"the model's description cannot be read from {folder / 'MLmodel'}: {type(error).__name__}",
            code="unreadable-model",
            hint=None,
        ) from error


def described(metadata: Model, signature: Signature | None) -> DescribedModel:
    """Return a model's description with all that is made of it once."""
    return DescribedModel(
        metadata=metadata,
        input_schema=metadata.get_input_schema(),  # type: ignore[no-untyped-call]
        params_schema=metadata.get_params_schema(),  # type: ignore[no-untyped-call]
        signature=signature,
        parquet=call(PARQUET, "compile_parquet_decoder", signature) if READS_PARQUET else None,
    )


def judge(stored: DescribedModel, body: bytes, kind: BodyKind) -> Understood:
    """Return a request, parsed and enforced by MLflow.

    Raises
    ------
    InvalidInput
        MLflow refuses it, or it becomes too large (`unpacks-too-large`).
    MemoryError
        So it does, and nothing told so before.
    """
    n_fields = len(stored.signature.inputs) if stored.signature else 0
    if kind is BodyKind.CSV:
        require_unpackable(csv_bytes(body, n_fields), len(body))
        return _judge_file(stored, body, partial(_read_csv, body), lambda: pd.read_csv(BytesIO(body)), why_csv_refused)
    if kind is BodyKind.PARQUET:
        _require_parquet()
        unpacked = call(PARQUET_SIZE, "parquet_bytes", body, n_fields, most_unpacked(len(body)))
        require_unpackable(unpacked, len(body))
        return _plain_parquet(stored, body) or _judge_file(
            stored, body, lambda _: _read_parquet(body), lambda: _read_parquet(body), why_table_refused
        )
    document = _document(body)
    document = as_invocation(document, stored.signature) if kind is BodyKind.FEATURES else document
    require_unpackable(json_bytes(document, n_fields), len(body))
    return _judge_document(stored, document, len(body))


def _require_parquet() -> None:
    """Refuse Parquet where what reads it is not installed."""
    if not READS_PARQUET:
        raise InvalidInput(
            "Parquet is not read here, since pyarrow is not installed",
            code="no-parquet",
            hint="send JSON or CSV; or install pyarrow where this serves (slipway image … --with pyarrow)",
        )


def _plain_parquet(stored: DescribedModel, body: bytes) -> Understood | None:
    """Return what a file holds that MLflow would read as just that, in a fraction of the time; `None` for others."""
    return stored.parquet.decode(body) if stored.parquet else None


def _document(body: bytes) -> dict[str, Any]:
    with _refusals(lambda _: why_not_json(body), None):
        document: dict[str, Any] = _decode_json_input(body)  # type: ignore[no-untyped-call]
        return document


def _judge_document(stored: DescribedModel, document: dict[str, Any], size_bytes: int) -> Understood:
    sent = document.copy()

    def read(schema: Schema) -> None:
        again = _parse_json_data(with_columns(sent, schema), stored.metadata, schema)  # type: ignore[no-untyped-call]
        _enforce_schema(again.data, schema)

    def why(said: str) -> str:
        blame = partial(refused_column, stored.input_schema, size_bytes, read)
        return why_refused(sent, stored.signature, said, blame)

    with _refusals(why, stored.signature):
        parsed = _parse_json_data(document, stored.metadata, stored.input_schema)  # type: ignore[no-untyped-call]
        return _enforced(stored, parsed.data, parsed.params, is_unwrapped=parsed.is_unified_llm_input)


def _judge_file(
    stored: DescribedModel,
    body: bytes,
    read: Callable[[Schema | None], pd.DataFrame],
    read_again: Callable[[], pd.DataFrame],
    why_rows_refused: Callable[..., str],
) -> Understood:
    """Return the request that is a file; `read_again` reads it without types, to see why it was refused."""

    def blame() -> str | None:
        return refused_column(stored.input_schema, len(body), lambda schema: _enforce_schema(read(schema), schema))

    def why(said: str) -> str:
        try:
            rows = read_again().to_dict(orient="records")
        except Exception:
            return "the body is not a file of this type with a header of column names"
        return why_rows_refused(rows, stored.signature, said, blame)

    with _refusals(why, stored.signature):
        return _enforced(stored, read(stored.input_schema), None, is_unwrapped=False)


def _read_csv(body: bytes, schema: Schema | None) -> pd.DataFrame:
    frame: pd.DataFrame = parse_csv_input(StringIO(body.decode()), schema)  # type: ignore[arg-type]
    return frame


def _read_parquet(body: bytes) -> pd.DataFrame:
    frame: pd.DataFrame = parse_parquet_input(BytesIO(body))  # type: ignore[no-untyped-call]
    return frame


def _enforced(stored: DescribedModel, data: Any, params: Any, *, is_unwrapped: bool) -> Understood:
    """Do what `PyFuncModel.predict` does before it calls the model.

    The rows are a `Table` where the signature is one of columns. Else they are what MLflow's parsing made of the body,
    as they were before the schema was enforced, since `PyFuncModel.predict` enforces it again.
    """
    method = _method(stored, params)
    rows: Any
    if stored.signature and stored.input_schema is not None and is_of_columns(stored.signature):
        rows = table_of(_enforce_schema(data, stored.input_schema), stored.signature)
    else:
        rows = PickledRows(pickle.dumps(data, protocol=5))
        is_checked_by_model = stored.metadata._is_signature_from_type_hint()  # type: ignore[no-untyped-call]
        if stored.input_schema is not None and not is_checked_by_model:
            _enforce_schema(data, stored.input_schema)
    form = UNWRAPPED if is_unwrapped else None
    return Understood(rows, _enforced_params(stored.params_schema, params), method, form)


def _method(stored: DescribedModel, params: Any) -> str:
    """Return Slipway's own parameter, unless the model declares one of that name; MLflow drops what is not declared."""
    declared = {param.name for param in stored.params_schema.params} if stored.params_schema else set()
    if not isinstance(params, dict) or METHOD not in params or METHOD in declared:
        return PREDICT
    method = params[METHOD]
    if not isinstance(method, str):
        raise InvalidInput("the parameter 'method' takes the name of a method", code="wrong-params", hint=None)
    return method


def _enforced_params(schema: ParamSchema | None, params: Any) -> dict[str, Any] | None:
    try:
        enforced: dict[str, Any] | None = _enforce_params_schema(params, schema)
    except MlflowException as error:
        wrong = [spec for spec in schema.params if not _fits(spec, params)] if schema else []
        named = ", ".join(f"'{spec.name}' takes {_param_type(spec)}" for spec in wrong) or "params must be an object"
        raise InvalidInput(f"wrong parameters: {named}", code="wrong-params", hint=None) from error
    return enforced


def _fits(spec: ParamSpec, params: Any) -> bool:
    try:
        return spec.name not in params or ParamSpec.validate_param_spec(params[spec.name], spec) is not NotImplemented
    except (MlflowException, TypeError):
        return False


def _param_type(spec: ParamSpec) -> str:
    name = getattr(spec.dtype, "name", "an object")
    return f"a list of {name}" if spec.shape else name


@contextmanager
def _refusals(why: Callable[[str], str], signature: Signature | None) -> Iterator[None]:
    """Tell in our words whatever MLflow's parsing and enforcement raise: all of it means a refusal."""
    try:
        yield
    except (SlipwayError, MemoryError):
        raise
    except Exception as error:
        if _is_of_memory(error):
            raise MemoryError from error
        raise InvalidInput(why(str(error)), code="wrong-input", hint=taken(signature)) from error


def _is_of_memory(error: BaseException | None) -> bool:
    """Return whether memory ran out below an error: MLflow makes one of its own of every other."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__ or error.__context__
    return error is not None
