"""The runners `native` and `pyfunc`: a model as MLflow loads it, without the work that plain requests do not need.

`PyFuncModel.predict` enforces the signature on every call, a millisecond at thirty columns. A `Table` is in the
signature's types already, so the function that MLflow would call in the end is called directly, with the parameters
enforced by MLflow's own code and in the same prediction context. Models whose input MLflow converts further (type
hints, declared dependencies) keep the whole way.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model
from mlflow.models.signature import _is_context_in_predict_function_signature
from mlflow.models.utils import _enforce_params_schema
from mlflow.pyfunc import PyFuncModel, _validate_prediction_input
from mlflow.pyfunc.context import Context, set_prediction_context
from mlflow.pyfunc.model import _PythonModelPyfuncWrapper

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.gate.safety.judged_loading import held_to_its_format
from slipway.registry.gate.safety.native_content import require_sound
from slipway.registry.mlflow_fitted import fitted_estimator
from slipway.registry.signature import stored_signature
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.compiled.matrix_runner import unknown_method
from slipway.serving.runtimes.mlflow_refusals import asked
from slipway.serving.runtimes.runner import PREDICT, RunnerReport
from slipway.serving.runtimes.stored import StoredRunner
from slipway.serving.table import Table, is_of_columns

PREDICT_PROBA = "predict_proba"
# What MLflow's scoring server sets: its code then reads text as the times and bytes that a model's type hints take.
SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


class MlflowRunner:
    """A model that MLflow loaded; as thread-safe as the model is."""

    def __init__(self, report: RunnerReport, model: PyFuncModel, columns: Columns | None) -> None:
        self._report, self._model, self._columns = report, model, columns
        self._params_schema = model.metadata.get_params_schema()  # type: ignore[no-untyped-call]
        self._input_schema = model.metadata.get_input_schema()  # type: ignore[no-untyped-call]
        self._call = _calling(model)
        self._is_direct = not _converts_input(model.metadata)
        self._proba = getattr(fitted_estimator(model), PREDICT_PROBA, None)
        self._hint = _type_hint(model)

    @property
    def report(self) -> RunnerReport:
        """Return which runner this is."""
        return self._report

    def predict(self, table: Table, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return what the model answers to the table as a frame; raises what `mlflow_refusals.asked` does."""
        if self._columns is None:
            raise ValueError("the model's signature is not one of columns, so it takes no table")
        frame = self._columns.frame(table)
        return asked(lambda: self._ask(frame, method, params), frame, self._hint)

    def predict_parsed(self, parsed: Any, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return what the model answers to what MLflow parsed, which goes through MLflow's own enforcement.

        Raises
        ------
        SlipwayError
            The signature, the parameters' schema, the type hints or the model refuse it; the message does not repeat
            the request.
        """
        if isinstance(parsed, Table):
            return self.predict(parsed, method, params)
        return asked(lambda: self._ask_all(parsed, method, params), parsed, self._hint)

    def break_off(self) -> None:
        """Do nothing: a thread of this process cannot be ended."""

    def close(self) -> None:
        """Do nothing: all is in this process's memory."""

    def _ask_all(self, parsed: Any, method: str, params: Mapping[str, Any] | None) -> Any:
        """Ask in MLflow's whole way."""
        enforced = self._enforced(params)
        if method == PREDICT:
            return self._model.predict(parsed, enforced)
        call = self._function(method)
        data, _ = _validate_prediction_input(parsed, enforced, self._input_schema, self._params_schema)
        return call(data)

    def _ask(self, frame: pd.DataFrame, method: str, params: Mapping[str, Any] | None) -> Any:
        if method != PREDICT:
            self._enforced(params)
            return self._function(method)(frame)
        if not self._is_direct:
            return self._ask_all(frame, method, params)
        enforced = self._enforced(params)
        with set_prediction_context(self._context()):
            return self._call(frame, enforced)

    def _context(self) -> Context:
        context = Context()
        if self._model.model_id:
            context.update(model_id=self._model.model_id)  # type: ignore[no-untyped-call]
        return context

    def _function(self, method: str) -> Any:
        if method != PREDICT_PROBA or self._proba is None:
            raise unknown_method(method, dict.fromkeys(self._report.methods))
        return self._proba

    def _enforced(self, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the parameters as MLflow validates them, with the schema's defaults."""
        if not params and self._params_schema is None:
            return dict(params) if params is not None else None
        with translated():
            enforced: dict[str, Any] = _enforce_params_schema(dict(params or {}), self._params_schema)
        return enforced


def _calling(model: PyFuncModel) -> Callable[[pd.DataFrame, dict[str, Any] | None], Any]:
    """Return what calls a model as MLflow does.

    For a model of somebody's own without type hints MLflow reads the signature of its `predict` on each call, and hands
    on the frame as it is: here it is read once. Parameters that such a model does not take are left to MLflow, which
    warns.
    """
    predict, wrapper = model._predict_fn, model._model_impl
    takes_params = _takes_params(predict)

    def call(frame: pd.DataFrame, params: dict[str, Any] | None) -> Any:
        return predict(frame, params=params) if takes_params else predict(frame)

    if not isinstance(wrapper, _PythonModelPyfuncWrapper) or wrapper.python_model.predict_type_hints.input is not None:
        return call
    own: Callable[..., Any] = wrapper.python_model.predict
    parameters = inspect.signature(own).parameters
    if _is_context_in_predict_function_signature(parameters=parameters):  # type: ignore[no-untyped-call]
        own = partial(own, wrapper.context)
    if "params" in parameters:
        return lambda frame, params: own(frame, params=params)
    return lambda frame, params: call(frame, params) if params else own(frame)


def _type_hint(model: PyFuncModel) -> Any:
    """Return what a model of somebody's own declares that its `predict` takes."""
    own = model._model_impl.python_model if isinstance(model._model_impl, _PythonModelPyfuncWrapper) else None
    return own.predict_type_hints.input if own is not None else None


def _takes_params(predict: Any) -> bool:
    found = inspect.signature(predict).parameters.get("params")
    return found is not None and found.kind is not inspect.Parameter.VAR_KEYWORD


def _converts_input(metadata: Model) -> bool:
    """Return whether MLflow does more to the input than to enforce the signature."""
    declared = (metadata.metadata or {}).get("dependencies_schemas")
    from_hints: bool = metadata._is_signature_from_type_hint() or metadata._is_type_hint_from_example()  # type: ignore[no-untyped-call]
    return from_hints or bool(declared)


def methods_of(model: PyFuncModel) -> tuple[str, ...]:
    """Return what a request may ask for."""
    return (PREDICT, PREDICT_PROBA) if hasattr(fitted_estimator(model), PREDICT_PROBA) else (PREDICT,)


def columns_of(folder: Path) -> Columns | None:
    """Return the signature's columns; `None` where there is none, or requests to it do not become tables."""
    signature = stored_signature(folder)
    return Columns.of(signature.inputs) if signature is not None and is_of_columns(signature) else None


def open_mlflow(stored: StoredRunner, model_folder: Path) -> MlflowRunner:
    """Open a runner on the model as MLflow loads it."""
    model = load(model_folder)
    return MlflowRunner(stored.report, model, columns_of(model_folder))


@translated()
def load(folder: Path) -> PyFuncModel:
    """Load the model in a folder, whatever its flavor; what is wrong with its libraries, `libraries` says sooner.

    MLflow's code is told that this process serves, as MLflow's own server tells it.

    What the gate judges to run no code is loaded here with unpickling refused: the same judgement, made again.

    Raises
    ------
    NotApproved
        scikit-learn's compiled code would be led out of the model's arrays.
    """
    os.environ[SERVING] = "true"
    with held_to_its_format(folder):
        model: PyFuncModel = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    require_sound(getattr(model._model_impl, "sklearn_model", None))
    return model
