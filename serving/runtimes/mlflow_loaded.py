"""The door to a stored model that is to be prepared: what it ships and is, and whether it answers its own example."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel

from slipway.registry.errors import NotApproved, SlipwayError
from slipway.registry.gate.safety.native_content import require_sound
from slipway.registry.mlmodel import FILE, PYFUNC, read_mlmodel
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.isolated import ModelProcessError
from slipway.serving.runtimes.mlflow_runner import columns_of, load, methods_of

SKLEARN = "mlflow.sklearn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """What was stored as an example of a request, as MLflow reads it, and the parameters that go with it."""

    given: Any
    params: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedByMlflow:
    """A model that MLflow loaded. `fitted` is scikit-learn's own object where the model has that flavor, else `None`.

    `predict_fn` is which of its methods the model was logged to predict with; `columns` is `None` where a table cannot
    hold what the signature declares.
    """

    model: PyFuncModel
    fitted: Any
    predict_fn: str
    columns: Columns | None
    methods: tuple[str, ...]
    has_params: bool
    example: Example | None


def ships_code(folder: Path) -> bool:
    """Return whether the model brings modules of its own, without loading it."""
    return (folder / FILE).is_file() and bool(read_mlmodel(folder)["flavors"].get(PYFUNC, {}).get("code"))


def is_sklearn(folder: Path) -> bool:
    """Return whether MLflow loads it by its flavor for scikit-learn, without loading it."""
    return bool(read_mlmodel(folder)["flavors"].get(PYFUNC, {}).get("loader_module") == SKLEARN)


def load_model(folder: Path) -> LoadedByMlflow:
    """Load a model of any flavor.

    Raises
    ------
    NotApproved, InvalidInput, NotFound, Unavailable
        It cannot be loaded here.
    """
    try:
        model = load(folder)
        columns = columns_of(folder)
        return LoadedByMlflow(
            model=model,
            fitted=model._model_impl.sklearn_model if is_sklearn(folder) else None,
            predict_fn=str(model.metadata.flavors[PYFUNC].get("predict_fn", "predict")),
            columns=columns,
            methods=methods_of(model),
            has_params=model.metadata.get_params_schema() is not None,  # type: ignore[no-untyped-call]
            example=example_of(folder),
        )
    except SlipwayError:
        raise
    except Exception as error:  # whatever unpickling and a model's own constructor raise
        raise NotApproved(
            f"the model cannot be loaded: {_words(error)}",
            code="model-not-loadable",
            hint="load it with mlflow.pyfunc.load_model in the environment that serves",
        ) from error


def example_of(folder: Path) -> Example | None:
    """Return the example that is stored with a model; `None` where there is none.

    Raises
    ------
    NotApproved
        Compiled code would be led out of it.
    """
    metadata = Model.load(str(folder))
    try:
        given = metadata.load_input_example(str(folder))
    except FileNotFoundError:
        return None
    require_sound(given, called="its input example")
    return None if given is None else Example(given=given, params=metadata.load_input_example_params(str(folder)))


def answer_example(model: Any, example: Example | None) -> None:
    """Ask a model about its own example, as MLflow would.

    Raises
    ------
    NotApproved
        It fails.
    """
    if example is None:
        return
    try:
        model.predict(example.given, params=dict(example.params) if example.params else None)
    except Exception as error:  # whatever the model raises
        raise NotApproved(
            f"the model fails on its own input example: {_words(error)}",
            code="model-fails",
            hint="log the model anew with an example that it answers",
        ) from error


def _words(error: Exception) -> str:
    first = str(error).strip().splitlines()
    if first and isinstance(error, ModelProcessError):  # which names what the model raised
        return first[0][:300]
    return f"{type(error).__name__}: {first[0][:300]}" if first else type(error).__name__
