"""The commands train, tune and evaluate: also the entry points of `MLproject`.

Options are plain text here and are judged by `slipway.training.spec`, inside the run, so that a run that `mlflow run`
has already opened says what was wrong with them.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd

from slipway.registry.console import json_option, print_document, print_table, progress, say, some_text
from slipway.registry.decisions.wiring import open_decisions, open_ledger
from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.manifest import Manifest
from slipway.registry.policy.in_force import place_of_policy
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.reading import Reading
from slipway.registry.settings import decided_at_server, load_settings
from slipway.registry.text import counted
from slipway.registry.version import LoggedModel, Version, VersionRef, parse_ref
from slipway.registry.versions.mlflow_registry import MlflowRegistry
from slipway.registry.versions.mlflow_store import prepare_tables, require_usable_store
from slipway.registry.versions.register import register
from slipway.training.baseline import notes_beside_constant
from slipway.training.column_choice import ColumnChoice
from slipway.training.data import DataSources, load
from slipway.training.dataset import Dataset
from slipway.training.evaluate import Evaluation
from slipway.training.evaluate import evaluate as measure
from slipway.training.git_source import code_version
from slipway.training.importance import importance_of
from slipway.training.log import log, write_plots
from slipway.training.mlflow_run import MlflowRun, open_nested_run, open_run
from slipway.training.mlflow_run_names import estimator_name, run_name
from slipway.training.mlflow_version import loaded_version
from slipway.training.optuna_search import OptunaSearch
from slipway.training.quality import labelled, unlabelled_notes
from slipway.training.s3_data import read_object, s3_client
from slipway.training.settings import TrainingSettings
from slipway.training.space import parse_space
from slipway.training.spec import READING, TrainSpec, parse_spec, read_otherwise
from slipway.training.sql_data import read_statement
from slipway.training.train import prepare
from slipway.training.train import train as fit_and_predict
from slipway.training.tune import Trial, parse_trials, progress_of
from slipway.training.tune import tune as search_parameters

Command = Callable[..., Any]
TRAINED, TUNED = "", ", tuned"


def spec_options(command: Command) -> Command:
    """Give a command one option for each field of the spec, with the field's description."""
    for name, field in reversed(TrainSpec.model_fields.items()):
        key = field.alias or name
        option = click.option(
            f"--{key.replace('_', '-')}", key, metavar="VALUE", required=field.is_required(), help=field.description
        )
        command = option(command)
    return command


def reading_options(command: Command) -> Command:
    """Give a command those options that say how a table is read, where it is not as the training data was."""
    for name in reversed(READING):
        described = TrainSpec.model_fields[name].description
        command = click.option(f"--{name}", name, metavar="VALUE", help=f"{described}, or read as in training")(command)
    return command


@click.command("train", epilog="Example: slipway train --data customers.csv --target churned --model churn")
@spec_options
@json_option
def train(as_json: bool, **given: str | None) -> None:
    """Train one estimator, log its run and register the version."""
    with _run_of(given, TRAINED) as run:
        spec = _spec_of(given)
        _finish(run, _training_data(spec), spec, TRAINED, as_json=as_json)


@click.command("tune", epilog="Example: slipway tune --data sklearn:digits --target target --model digits --trials 30")
@spec_options
@click.option("--trials", default="20", metavar="VALUE", help="how many parameter sets to try")
@click.option("--space", default="", metavar="VALUE", help="ranges to search, as JSON; the estimator's own without it")
@json_option
def tune(trials: str, space: str, as_json: bool, **given: str | None) -> None:
    """Search an estimator's parameters, then train and register the best."""
    with _run_of(given, TUNED) as run:
        spec = _spec_of({"cv": "5", **{name: value for name, value in given.items() if value is not None}})
        count, ranges = parse_trials(trials), parse_space(space, spec.estimator)
        dataset = _training_data(spec)
        prepared, tried = prepare(dataset, spec), list[Trial]()

        def record(trial: Trial) -> None:
            tried.append(trial)
            _record_trial(trial, len(tried), run)
            progress(progress_of(tried, count, prepared.task))

        best = search_parameters(prepared, spec, space=ranges, trials=count, search=OptunaSearch(), record=record)
        say(f"best of {counted(count, 'trial')}: {dict(best.params)}")
        _finish(run, dataset, best, TUNED, as_json=as_json)


@click.command("evaluate", epilog="Example: slipway evaluate cancer/3 --data last_month.csv --target target")
@click.argument("version")
@click.option(
    "--data", required=True, callback=some_text, metavar="VALUE", help=TrainSpec.model_fields["data"].description
)
@click.option("--target", required=True, callback=some_text, metavar="VALUE", help="the column with the true values")
@reading_options
@json_option
def evaluate(version: str, data: str, target: str, as_json: bool, **given: str | None) -> None:
    """Measure a registered version on a dataset."""
    prepare_tables()
    there = _registered(version)
    model = there.model if there else None
    require_usable_store(model)
    with open_run(run_name(str(there or version), "evaluation"), model=model) as run:
        ledger = open_ledger(os.environ, Path.cwd())
        with loaded_version(ledger.registry.version(parse_ref(version)), ledger) as loaded:
            reading = read_otherwise(loaded.reading(), given)
            dataset = labelled(_load(data, target, reading))
            for note in (*dataset.form_notes, *unlabelled_notes(dataset)):
                say(f"warning: {note}")
            found = measure(loaded, dataset)
        _log_evaluation(run, found, dataset)
    _show_evaluation(run.run_id, found, as_json=as_json)


@contextmanager
def _run_of(given: Mapping[str, str | None], how: str) -> Iterator[MlflowRun]:
    """Open the run of a training; what is wrong with the options is said in it, so they are not judged here.

    A version is registered in the end, which asks for the policy: one that cannot be read is told before all the work.
    """
    if not decided_at_server(os.environ, Path.cwd()):
        load_policy(place_of_policy(os.environ, Path.cwd()))
    prepare_tables()
    model = _possible(given["model"] or "")
    require_usable_store(model)
    estimator = given["estimator"] or TrainSpec.model_fields["estimator"].default
    with open_run(_name_of_run(given["model"] or "", estimator, how), model=model) as run:
        yield run


def _name_of_run(subject: str, estimator: str, how: str) -> str:
    return run_name(subject, estimator_name(estimator) + how)


def _possible(model: str) -> str | None:
    """Return a model's name for its experiment; none for one that is refused in the run."""
    try:
        MlflowRegistry().require_model_name(model)
    except InvalidInput:
        return None
    return model


def _registered(version: str) -> Version | None:
    """Return a version for the names of run and experiment; none where there is no such one, as the run says then."""
    try:
        return MlflowRegistry().version(parse_ref(version))
    except (InvalidInput, NotFound):
        return None


def _spec_of(given: Mapping[str, str | None]) -> TrainSpec:
    spec = parse_spec({name: value for name, value in given.items() if value is not None})
    if spec.register_version:
        MlflowRegistry().require_model_name(spec.model)
    return spec


def _settings() -> TrainingSettings:
    return load_settings(TrainingSettings, "training", environ=os.environ, folder=Path.cwd())


def _training_data(spec: TrainSpec) -> Dataset:
    needed = tuple(name for name in (spec.key, spec.time_column) if name)
    columns = ColumnChoice(drop=spec.drop, features=spec.features, also=needed)
    return labelled(_load(spec.data, spec.target, spec.reading(), columns))


def _load(data: str, target: str, reading: Reading, columns: ColumnChoice | None = None) -> Dataset:
    connections = {name: url.get_secret_value() for name, url in _settings().connections.items()}
    sources = DataSources(
        read_object=lambda uri, reading: read_object(uri, s3_client(), reading),
        read_statement=read_statement,
        connections=connections,
    )
    dataset = load(data, target, sources=sources, reading=reading, columns=columns)
    rows, features = counted(len(dataset.frame), "row"), counted(len(dataset.schema), "feature")
    say(f"data: {rows}, {features} from {dataset.source}")
    return dataset


def read_rows(data: str, target: str, reading: Reading) -> tuple[pd.DataFrame, str]:
    """Return the rows of a source with their target, and the digest of their content: a port of the gate."""
    dataset = _load(data, target, reading)
    return dataset.frame, dataset.digest


def _finish(run: MlflowRun, dataset: Dataset, spec: TrainSpec, how: str, *, as_json: bool) -> None:
    """Train, log and register, and say what came of it."""
    progress(f"fitting {spec.estimator} …")
    trained = fit_and_predict(dataset, spec)
    sides = trained.prepared.split
    say(f"held out: {len(sides.holdout):,} of {len(dataset.frame):,} rows")
    if time_format := sides.scheme.time_format:
        say(f"time column '{spec.time_column}' was read by the format {time_format}")
    if trained.prepared.dates.formats:
        say(trained.prepared.dates.describe())
    say(f"trained: {spec.estimator} for {trained.prepared.task} in {trained.fit_seconds:.1f} s")
    for note in (*trained.prepared.notes, *trained.notes):
        say(f"warning: {note}")
    progress("measuring and logging …")
    importance = importance_of(trained)
    for note in importance.notes():
        say(f"warning: {note}")
    logged = log(
        trained,
        importance,
        run=run,
        code=code_version(Path.cwd()),
        holdout_rows_max_bytes=_settings().holdout_rows_max_bytes,
    )
    for note in notes_beside_constant(logged.headline, logged.constant):
        say(f"warning: {note}")
    version = register_trained(logged, spec.model) if spec.register_version else None
    if version:
        run.rename(_name_of_run(str(version), spec.estimator, how))
    _show_trained(logged, version, as_json=as_json)


def register_trained(logged: LoggedModel, model: str) -> Version:
    """Register what was logged as the next version of a model, and have that recorded."""
    decisions = open_decisions()

    def note(version: Version, manifest: Manifest) -> None:
        decisions.register(VersionRef(model=model, number=version.number), "trained", manifest)

    return register(logged, model=model, registry=MlflowRegistry(), note=note)


def _show_trained(logged: LoggedModel, version: Version | None, *, as_json: bool) -> None:
    if as_json:
        print_document(
            {
                "run_id": logged.run_id,
                "model_uri": logged.model_uri,
                "version": str(version) if version else None,
                "metrics": dict(logged.headline),
                "constant": dict(logged.constant),
            }
        )
        return
    title = f"{version or 'not registered'}, run {logged.run_id}"
    rows = [[name, f"{value:.4g}", _shown(logged.constant.get(name))] for name, value in logged.headline.items()]
    print_table(title, ["metric", "value", "a constant"], rows)
    if version:
        say(f"next: slipway versions {version.model}")


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _record_trial(trial: Trial, number: int, below: MlflowRun) -> None:
    """Record a trial as a nested run; one that failed as FAILED, with its reason."""
    try:
        with open_nested_run(f"trial {number}", below=below) as run:
            run.log_params({f"estimator.{name}": value for name, value in trial.params.items()})
            run.log_metrics({f"cv_{name}": value for name, value in trial.scores.items()})
            if trial.failure:
                raise trial.failure
    except InvalidInput as error:
        if error is not trial.failure:
            raise
        say(f"warning: a trial failed: {error.message}")


def _log_evaluation(run: MlflowRun, found: Evaluation, dataset: Dataset) -> None:
    run.log_params({"version": str(found.version), "data": dataset.source, "target": dataset.target})
    run.set_tags({"slipway.evaluated_version": str(found.version), "slipway.data_digest": dataset.digest})
    if warning := _warning_of(found):
        run.set_tags({"mlflow.note.content": f"- warning: {warning}"})
    run.log_dataset(dataset, context="evaluation")
    unseen = {f"eval_unseen_{name}": value for name, value in found.scores_unseen.items()}
    run.log_metrics(
        {**{f"eval_{name}": value for name, value in found.scores.items()}, **unseen, "eval_rows": found.rows}
    )
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        write_plots(found.predictions, Path(folder))
        run.log_folder(Path(folder))


def _show_evaluation(run_id: str, found: Evaluation, *, as_json: bool) -> None:
    if warning := _warning_of(found):
        say(f"warning: {warning}")
    if as_json:
        print_document(
            {
                "version": str(found.version),
                "run_id": run_id,
                "rows": found.rows,
                "rows_trained_on": found.rows_trained_on,
                "rows_trained_on_unknown": found.why_unknown,
                "metrics": dict(found.scores),
                "metrics_unseen": dict(found.scores_unseen),
            }
        )
        return
    unseen = ["rows never seen"] if found.scores_unseen else []
    rows = [
        [name, f"{value:.4g}", *([_shown(found.scores_unseen.get(name))] if unseen else [])]
        for name, value in found.scores.items()
    ]
    print_table(f"{found.version} on {counted(found.rows, 'row')}, run {run_id}", ["metric", "value", *unseen], rows)


def _warning_of(found: Evaluation) -> str | None:
    if found.why_unknown:
        return f"it cannot be told whether {found.version} was trained on these rows: {found.why_unknown}"
    if not found.rows_trained_on:
        return None
    others = found.rows - found.rows_trained_on
    apart = "are measured apart" if found.scores_unseen else "are too few or too alike to be measured apart"
    return f"{found.version} was trained on {found.rows_trained_on:,} of these rows; the {others:,} others {apart}"
