"""MLflow's own stores behind the guard, on both databases: what they answer to what is written wrongly."""

import json
import secrets
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowException
from mlflow.entities import LoggedModelStatus, LoggedModelTag, RunTag, Span, TraceInfo, TraceLocation, TraceState
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.entities.trace_status import TraceStatus
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as SqlAlchemyRegistry
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from slipway.registry.server.guard.mlflow_guarded_registry import RegistryGuard, open_registry
from slipway.registry.server.guard.mlflow_guarded_tracking import TrackingGuard, open_tracking


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Return what copies a guarded database into a folder, or beside it; its tables are made once."""
    folder = tmp_path_factory.mktemp("guarded")
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = postgres.create_database() if postgres else f"sqlite:///{folder}/mlflow.db"
    open_tracking(f"slipway+{made}", f"{folder}/artifacts")
    open_registry(f"slipway+{made}")

    def copy(into: Path) -> str:
        if postgres is None:
            shutil.copy(folder / "mlflow.db", into)
            return f"sqlite:///{into}/mlflow.db"
        name = made.rpartition("/")[2]
        postgres.cut_connections(name)
        return str(postgres.create_database(name))

    return copy


@pytest.fixture
def url(copied: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a guarded database, from whose folder the server is run."""
    monkeypatch.chdir(tmp_path)
    return f"slipway+{copied(tmp_path)}"


@pytest.fixture
def registry(url: str) -> RegistryGuard:
    """Return the guarded registry, with a model."""
    made = open_registry(url)
    made.create_registered_model("m")
    return made


@pytest.mark.parametrize("version", ["x", "1.0", "1e0", ""])
@pytest.mark.parametrize("call", ["alias", "stage", "delete"])
def test_what_is_no_versions_number_is_the_callers_fault(registry: RegistryGuard, call: str, version: str):
    """By MLflow's own check, which comes before ours."""
    calls = {
        "alias": lambda: registry.set_registered_model_alias("m", "live", version),
        "stage": lambda: registry.transition_model_version_stage("m", version, "None", False),
        "delete": lambda: registry.delete_model_version("m", version),
    }
    with pytest.raises(MlflowException) as caught:
        calls[call]()
    assert caught.value.get_http_status_code() == 400


@pytest.mark.parametrize("call", ["alias", "stage", "prompt", "tag"])
def test_a_model_that_is_not_there_yet_is_not_passed_on(
    registry: RegistryGuard, call: str, monkeypatch: pytest.MonkeyPatch
):
    """One that is renamed to the name between our look and MLflow's would be in a stage that nobody decided."""
    registry.create_registered_model("draft")
    registry.create_model_version("draft", "file:///nowhere/m")
    calls = {
        "alias": lambda: registry.set_registered_model_alias("late", "production", "1"),
        "stage": lambda: registry.transition_model_version_stage("late", "1", "Production", False),
        "prompt": lambda: registry.set_registered_model_tag(
            "late", RegisteredModelTag("mlflow.prompt.is_prompt", "true")
        ),
        "tag": lambda: registry.set_registered_model_tag("late", RegisteredModelTag("slipway.head", "7:abc")),
    }
    look = registry.protection.tables.model

    def renamed_after(workspace: str, name: str):
        found = look(workspace, name)
        if name == "late" and found is None:
            SqlAlchemyRegistry.rename_registered_model(registry, "draft", "late")
        return found

    monkeypatch.setattr(registry.protection.tables, "model", renamed_after)
    with pytest.raises(MlflowException) as caught:
        calls[call]()
    assert caught.value.get_http_status_code() == 404
    late = registry.get_registered_model("late")
    assert (late.aliases, late.tags, late.latest_versions[0].current_stage) == ({}, {}, "None")


def test_an_experiment_among_the_artifacts_of_others_is_refused(url: str, tmp_path: Path):
    """A run's and a logged model's, by MLflow's own tables."""
    store = open_tracking(url, f"{tmp_path}/artifacts")
    experiment = store.create_experiment("mine", f"{tmp_path}/mine")
    run = store.create_run(experiment, "ann", 0, [], "r")
    logged = store.create_logged_model(experiment, "m", run.info.run_id)
    for root in (run.info.artifact_uri, logged.artifact_location):
        for location in (root, f"{root}/deep", f"file://{root}/x"):
            with pytest.raises(MlflowException, match="has its artifacts at") as caught:
                store.create_experiment(f"in {location}", location)
            assert caught.value.get_http_status_code() == 403
    store.create_experiment("beside", f"{tmp_path}/mine/beside")


def archived_at(place: Path) -> dict[str, str]:
    """Return tags by which MLflow would look for a trace's files there."""
    return {
        "mlflow.trace.spansLocation": "ARCHIVE_REPO",
        "mlflow.trace.archiveLocation": f"file://{place}",
        "mine": "x",
    }


def trace_in(store: TrackingGuard, experiment: str, tags: dict[str, str]) -> str:
    """Begin a trace with tags, and return its id."""
    return store.start_trace(
        TraceInfo(
            trace_id=f"tr-{uuid.uuid4().hex}",
            trace_location=TraceLocation.from_experiment_id(experiment),
            request_time=1_700_000_000_000,
            state=TraceState.OK,
            tags=tags,
        )
    ).trace_id


def older_trace_in(store: TrackingGuard, experiment: str, tags: dict[str, str]) -> str:
    """Begin and end a trace as older clients do, with tags each time."""
    started = store.deprecated_start_trace_v2(experiment, 1, {}, dict(tags))
    store.deprecated_end_trace_v2(started.request_id, 2, TraceStatus.OK, {}, dict(tags))
    return str(started.request_id)


@pytest.mark.parametrize("begin", [trace_in, older_trace_in])
def test_a_trace_names_no_place_whose_files_the_server_would_delete(
    url: str, tmp_path: Path, begin: Callable[[TrackingGuard, str, dict[str, str]], str]
):
    """Nor by a tag that is set later, nor by a span; what a user's own tags say stays."""
    victim = tmp_path / "victim" / "traces.pb"
    victim.parent.mkdir()
    victim.write_bytes(b"in production")
    store = open_tracking(url, f"{tmp_path}/artifacts")
    experiment = store.create_experiment("mine")
    forged = archived_at(victim.parent)
    trace = begin(store, experiment, {**forged, "mlflow.artifactLocation": f"file://{victim.parent}"})
    tags = store.get_trace_info(trace).tags
    assert tags["mine"] == "x"
    assert not any(str(victim.parent) in value for value in tags.values())
    for key, value in {**forged, "mlflow.artifactLocation": f"file://{victim.parent}"}.items():
        if key != "mine":
            with pytest.raises(MlflowException, match="the server says where") as caught:
                store.set_trace_tag(trace, key, value)
            assert caught.value.get_http_status_code() == 403
            with pytest.raises(MlflowException, match="the server says where"):
                store.log_spans(experiment, [span_with({f"mlflow.traceTag.{key}": value})])
    store.log_spans(experiment, [span_with({"mlflow.traceTag.team": "a"})])
    store.delete_traces(experiment, trace_ids=[trace])
    assert victim.read_bytes() == b"in production"


@pytest.mark.parametrize(
    "name", ["../../5/s", "..%2F5", "a/b", "..", "", "a\\b", "tr-\0", "tr-1?x", "tr-\u2025", "x" * 251]
)
def test_a_trace_has_a_name_that_leads_nowhere(url: str, tmp_path: Path, name: str):
    """MLflow makes a path of it, by which somebody could read the files of others."""
    store = open_tracking(url, f"{tmp_path}/artifacts")
    experiment = store.create_experiment("mine")
    info = TraceInfo(
        trace_id=name,
        trace_location=TraceLocation.from_experiment_id(experiment),
        request_time=1_700_000_000_000,
        state=TraceState.OK,
    )
    span = span_with({}, trace=name)
    for begin in (lambda: store.start_trace(info), lambda: store.log_spans(experiment, [span])):
        with pytest.raises(MlflowException, match="a trace has a name of letters") as caught:
            begin()
        assert caught.value.get_http_status_code() == 400


def span_with(attributes: dict[str, str], trace: str | None = None) -> Span:
    """Return the root span of a new trace, as it comes over OTLP."""
    trace_id, span_id = secrets.randbits(128), secrets.randbits(64)
    trace = f"tr-{trace_id:032x}" if trace is None else trace
    return Span(
        ReadableSpan(
            name="root",
            context=SpanContext(trace_id=trace_id, span_id=span_id, is_remote=False),
            attributes={
                "mlflow.traceRequestId": json.dumps(trace),
                **{name: json.dumps(value) for name, value in attributes.items()},
            },
            start_time=1,
            end_time=2,
        )
    )


NUL = "a\0b"
NOWHERE = {
    "a stage": lambda registry, _: registry.transition_model_version_stage(NUL, "1", "Staging", False),
    "a version's deletion": lambda registry, _: registry.delete_model_version(NUL, "1"),
    "a model's deletion": lambda registry, _: registry.delete_registered_model(NUL),
    "a rename": lambda registry, _: registry.rename_registered_model(NUL, "b"),
    "an alias": lambda registry, _: registry.set_registered_model_alias(NUL, "live", "1"),
    "a run's deletion": lambda _, tracking: tracking.delete_run(NUL),
    "an experiment's deletion": lambda _, tracking: tracking.delete_experiment(NUL),
    "a run's tag": lambda _, tracking: tracking.log_batch(NUL, [], [], [RunTag("slipway.x", "y")]),
    "a logged model's status": lambda _, tracking: tracking.finalize_logged_model(NUL, LoggedModelStatus.READY),
    "a logged model's deletion": lambda _, tracking: tracking.delete_logged_model(NUL),
}


@pytest.mark.parametrize("call", NOWHERE)
def test_a_name_that_no_database_could_hold_is_the_callers_fault(url: str, registry: RegistryGuard, call: str):
    """Nothing has it: MLflow's own answer, and no error of the server's."""
    with pytest.raises(MlflowException) as caught:
        NOWHERE[call](registry, open_tracking(url))
    assert 400 <= caught.value.get_http_status_code() < 500, caught.value


@pytest.mark.parametrize("written", ["1", "01", "00000001", "+1", " 1", "1 ", "1\n", "\u0661", "\uff11", "0_1"])
def test_an_experiment_is_guarded_however_its_number_is_written(url: str, tmp_path: Path, written: str):
    """MLflow makes a number of each of these; what is in production comes from that experiment."""
    tracking, registry = open_tracking(url, f"{tmp_path}/artifacts"), open_registry(url)
    experiment = tracking.create_experiment("mine")
    assert experiment == "1"
    run = tracking.create_run(experiment, "ann", 0, [], "r").info
    registry.create_registered_model("m")
    registry.create_model_version("m", f"{run.artifact_uri}/model", run.run_id)
    SqlAlchemyRegistry.set_registered_model_alias(registry, "m", "production", "1")  # as a promotion does
    with pytest.raises(MlflowException, match="m/1") as caught:
        tracking.delete_experiment(written)
    assert caught.value.get_http_status_code() == 403
    assert tracking.get_experiment(experiment).lifecycle_stage == "active"


@pytest.mark.parametrize("at", ["run", "experiment"])
@pytest.mark.parametrize(
    "written", ["{place}/model", "mlflow-artifacts:///1/{id}/artifacts", "MLFLOW-ARTIFACTS:/1/{id}/artifacts/m"]
)
def test_a_run_is_guarded_whose_files_a_version_has_without_naming_it(url: str, tmp_path: Path, at: str, written: str):
    """And its experiment: what is in production comes from there."""
    tracking, registry = open_tracking(url, f"{tmp_path}/artifacts"), open_registry(url)
    experiment = tracking.create_experiment("mine")
    run = tracking.create_run(experiment, "ann", 0, [], "r").info
    other = tracking.create_run(tracking.create_experiment("other"), "ann", 0, [], "r").info
    registry.create_registered_model("m")
    source = written.format(place=run.artifact_uri, id=run.run_id)
    SqlAlchemyRegistry.create_model_version(registry, "m", source)
    SqlAlchemyRegistry.set_registered_model_alias(registry, "m", "production", "1")  # as a promotion does
    delete = {"run": tracking.delete_run, "experiment": tracking.delete_experiment}[at]
    with pytest.raises(MlflowException, match="m/1") as caught:
        delete({"run": run.run_id, "experiment": experiment}[at])
    assert caught.value.get_http_status_code() == 403
    delete({"run": other.run_id, "experiment": other.experiment_id}[at])


LOGGED_AT = [
    "models:/{id}",
    "{place}",
    "{place}/",
    "{place}/sub",
    "{place}/sub/deeper",
    "mlflow-artifacts:///1/models/{id}/artifacts",
    "MLFLOW-ARTIFACTS:/1/models/{id}/artifacts",
    "mlflow-artifacts:/1/models/{id}/artifacts/sub",
]


@pytest.mark.parametrize("source", LOGGED_AT)
def test_a_logged_model_is_guarded_wherever_in_it_a_versions_files_lie(
    url: str, tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
):
    """It would be gone for what is in production; nobody deletes it, ends its upload or sets our tags."""
    tracking, registry = open_tracking(url, f"{tmp_path}/artifacts"), open_registry(url)
    experiment = tracking.create_experiment("mine")
    logged = tracking.create_logged_model(experiment, "model")
    other = tracking.create_logged_model(experiment, "other")
    registry.create_registered_model("m")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url.removeprefix("slipway+"))  # where MLflow looks for `models:/ID`
    stored = source.format(id=logged.model_id, place=logged.artifact_location)
    SqlAlchemyRegistry.create_model_version(registry, "m", stored)
    SqlAlchemyRegistry.set_registered_model_alias(registry, "m", "production", "1")  # as a promotion does
    changes = (
        tracking.delete_logged_model,
        lambda model_id: tracking.finalize_logged_model(model_id, LoggedModelStatus.FAILED),
        lambda model_id: tracking.set_logged_model_tags(model_id, [LoggedModelTag("slipway.x", "y")]),
    )
    for change in changes:
        with pytest.raises(MlflowException) as caught:
            change(logged.model_id)
        assert caught.value.get_http_status_code() == 403
    tracking.delete_logged_model(other.model_id)
    assert tracking.get_logged_model(logged.model_id).model_id == logged.model_id
