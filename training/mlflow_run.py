"""The door to MLflow's tracking: an open run that training writes into.

Under `mlflow run` the run exists before our code does, with its parameters already recorded (quoted
for the shell, as MLflow 3.17 does it); such a parameter cannot be changed and is left as it is.
"""

import importlib.metadata
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, infer_signature

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import InvalidInput, NotApproved, SlipwayError
from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.mlflow_races import repeated_after_races
from slipway.training.dataset import Dataset
from slipway.training.estimators import without_labels
from slipway.training.log import ModelToStore
from slipway.training.mlflow_experiment import experiment_of, refuse_experiment
from slipway.training.mlflow_run_names import is_generated

DIGEST_CHARACTERS = 36
REQUIRED = ("mlflow", "scikit-learn", "numpy", "pandas", "scipy")


class MlflowRun:
    """The `RunLog` of training, on MLflow's fluent API; one is open at a time."""

    def __init__(self, run: mlflow.ActiveRun, name: str | None = None) -> None:
        self._client = mlflow.MlflowClient()
        self._run = run
        self._recorded = set(run.data.params)
        self._may_be_renamed = run.info.run_name == name or is_generated(run.info.run_name)
        self._started = time.monotonic()

    @property
    def run_id(self) -> str:
        """Return the run's id."""
        return str(self._run.info.run_id)

    @property
    def experiment_id(self) -> str:
        """Return the id of the experiment that the run is in."""
        return str(self._run.info.experiment_id)

    @translated()
    def rename(self, name: str) -> None:
        """Give the run another name, unless somebody chose the one that it has."""
        if self._may_be_renamed:
            self._client.update_run(self.run_id, name=name)

    @translated()
    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters that the run does not have yet."""
        new = [Param(name, str(value)) for name, value in params.items() if name not in self._recorded]
        self._client.log_batch(self.run_id, params=new)
        self._recorded |= {param.key for param in new}

    @translated()
    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one call."""
        self._client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    @translated()
    def log_dataset(self, dataset: Dataset, *, context: str = "training") -> None:
        """Record the dataset with its own digest: MLflow's covers the first 10,000 rows only."""
        logged = from_pandas(
            dataset.frame,
            source=_source_of(dataset),
            targets=dataset.target,
            name=dataset.name,
            digest=dataset.digest.removeprefix("sha256:")[:DIGEST_CHARACTERS],
        )
        with _without_hints():
            repeated_after_races(lambda: mlflow.log_input(logged, context=context))

    @translated()
    def log_model(self, model: ModelToStore) -> str:
        """Store the pipeline in the sklearn flavor, with pinned requirements, and return its id."""
        try:
            info = mlflow.sklearn.log_model(
                model.pipeline,
                name="model",
                signature=_signature_of(model),
                input_example=model.example,
                serialization_format=model.serialization,
                skops_trusted_types=list(REVIEWED_TYPES) if model.serialization == "skops" else None,
                pip_requirements=requirements_of(model.pipeline, model.serialization),
                extra_files=[str(path) for path in model.files],
            )
        except MlflowException as error:
            if "skops_trusted_types" not in error.message and "untrusted" not in error.message.lower():
                raise
            raise InvalidInput(
                f"the model holds types that nobody reviewed for skops: {error.message.splitlines()[0]}",
                code="unreviewed-types",
                hint="choose another estimator, or serialization=cloudpickle, which the default policy refuses",
            ) from error
        return str(info.model_id)

    @translated()
    def log_metrics(self, metrics: Mapping[str, float], *, model_id: str | None = None) -> None:
        """Record metrics of the run, and of its model, in one call."""
        now_ms = int(time.time() * 1000)
        found = [Metric(name, value, now_ms, 0, model_id=model_id) for name, value in metrics.items()]
        self._client.log_batch(self.run_id, metrics=found)

    @translated()
    def log_folder(self, folder: Path) -> None:
        """Upload a folder's files into the run's artifacts."""
        self._client.log_artifacts(self.run_id, str(folder))

    def seconds(self) -> float:
        """Return the seconds since this process opened the run."""
        return time.monotonic() - self._started

    @translated()
    def fail(self, error: BaseException) -> None:
        """Say in the run why it failed, and take back the models it stored."""
        reason = error.message if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"
        self.set_tags({"slipway.error": reason, "mlflow.note.content": f"Failed: {reason}"})
        mine = f"source_run_id = '{self.run_id}'"
        for model in self._client.search_logged_models([self.experiment_id], filter_string=mine):
            self._client.delete_logged_model(model.model_id)


@contextmanager
def open_run(name: str | None = None, *, model: str | None = None) -> Iterator[MlflowRun]:
    """Open the run that `mlflow run` made, or a new one in `experiment_of` the model; what escapes marks it FAILED.

    The name is the run's, unless somebody gave it another.
    """
    with _marked(MlflowRun(_start(name, model), name)) as run:
        if name:
            run.rename(name)
        yield run


@contextmanager
def open_nested_run(name: str, *, below: MlflowRun) -> Iterator[MlflowRun]:
    """Open a run below one that is open, in its experiment; what escapes marks it FAILED with the reason."""
    with translated():
        active = mlflow.start_run(experiment_id=below.experiment_id, run_name=name, nested=True)
    with _marked(MlflowRun(active, name)) as run:
        yield run


@contextmanager
def _marked(run: MlflowRun) -> Iterator[MlflowRun]:
    try:
        yield run
    except BaseException as error:
        run.fail(error)
        status = RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
        mlflow.end_run(RunStatus.to_string(status))
        raise
    mlflow.end_run()


def _start(name: str | None, model: str | None) -> mlflow.ActiveRun:
    named = None if os.environ.get("MLFLOW_RUN_ID") else name  # MLflow would rename the run that is open already
    try:
        with translated():
            experiment = experiment_of(model)
            return repeated_after_races(lambda: mlflow.start_run(experiment_id=experiment, run_name=named))
    except NotApproved as error:
        if error.code != "mlflow-permission-denied":
            raise
        raise refuse_experiment(model) from error


def requirements_of(pipeline: Any, serialization: str) -> list[str]:
    """Return `name==version` of what loading and calling the model needs, as installed here."""
    package = type(without_labels(pipeline.named_steps["estimator"])).__module__.split(".")[0]
    # The map from package to distribution takes a third of a second to make.
    more = [] if package == "sklearn" else importlib.metadata.packages_distributions().get(package, [])
    return [f"{name}=={importlib.metadata.version(name)}" for name in dict.fromkeys([*REQUIRED, serialization, *more])]


def _signature_of(model: ModelToStore) -> ModelSignature:
    with _without_hints():
        return infer_signature(model.features, model.labels)


def _source_of(dataset: Dataset) -> DatasetSource:
    if dataset.source.startswith(("sklearn:", "sql:")):
        return CodeDatasetSource({"slipway.data": dataset.source})
    with _without_hints():
        return resolve_dataset_source(dataset.source)


@contextmanager
def _without_hints() -> Iterator[None]:
    """Silence two hints of MLflow's that do not apply: whole-number targets are never missing, paths are files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer")
        warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
        yield
