"""What every model registry keeps, the real one and its stand-in alike."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from slipway.registry.errors import Conflict, InvalidInput, NotFound
from slipway.registry.manifest import manifest_of
from slipway.registry.model_registry import Given, Measured, ModelRegistry
from slipway.registry.version import LoggedModel, VersionRef
from slipway.registry.versions.mlflow_registry import MlflowRegistry
from slipway.registry.versions.reader import sql_reader
from tests.doubles.fakes import FakeModelRegistry, logged_model


class Kit:
    """A registry to test, and how to prepare it."""

    def __init__(
        self,
        registry: ModelRegistry,
        log: Callable[[], LoggedModel],
        add_prompt: Callable[[str], None],
        store: Callable[[LoggedModel, Path], None],
        run_with_model_in: Callable[[str, Path], str],
    ) -> None:
        self.registry = registry
        self.log = log
        self.add_prompt = add_prompt
        self.store = store
        self.run_with_model_in = run_with_model_in

    def create(self, model: str = "m", **tags: str):
        """Register the next version."""
        return self.registry.create_version(self.log(), model=model, description="words", tags=tags)


def log_through_mlflow() -> LoggedModel:
    """Store a tiny model in a run of its own."""
    with mlflow.start_run() as run:
        stored = mlflow.create_external_model(name="tiny", source_run_id=run.info.run_id)
        MlflowClient().log_batch(run.info.run_id, params=[mlflow.entities.Param("depth", "3")])
        mlflow.log_metric("holdout_accuracy", 0.5)
    return logged_model(run_id=run.info.run_id, model_id=stored.model_id, model_uri=f"models:/{stored.model_id}")


def store_through_mlflow(logged: LoggedModel, folder: Path) -> None:
    """Store a folder's files as those of a logged model."""
    MlflowClient().log_model_artifacts(logged.model_id, str(folder))


def add_prompt_to_mlflow(name: str) -> None:
    """Make a prompt."""
    MlflowClient().register_prompt(name, "say {{x}}")


def model_in_a_run_of_mlflows(folder: str, _: Path) -> str:
    """Store a model's first file in a folder of a run's artifacts, and return the run."""
    with mlflow.start_run() as run:
        mlflow.log_text("flavors: {}", f"{folder}/MLmodel" if folder else "MLmodel")
    return run.info.run_id


def model_in_a_run_of(fake: FakeModelRegistry, folder: str, runs: Path) -> str:
    """Store it where the stand-in keeps its runs."""
    fake.folder = runs
    run_id = f"run-{folder.replace('/', '-')}"
    (runs / run_id / folder).mkdir(parents=True)
    (runs / run_id / folder / "MLmodel").write_text("flavors: {}")
    return run_id


@pytest.fixture(params=["fake", "mlflow", "sql"])
def kit(request: pytest.FixtureRequest) -> Kit:
    """Return each registry in turn."""
    if request.param == "fake":
        fake = FakeModelRegistry(folder=Path("nothing is here"))
        return Kit(
            fake,
            logged_model,
            fake.prompts.add,
            lambda logged, folder: fake.folders.update({logged.model_uri: folder}),
            partial(model_in_a_run_of, fake),
        )
    folder = request.getfixturevalue("store")
    registry = MlflowRegistry() if request.param == "mlflow" else read_by_sql(folder)
    return Kit(registry, log_through_mlflow, add_prompt_to_mlflow, store_through_mlflow, model_in_a_run_of_mlflows)


def read_by_sql(folder: Path) -> ModelRegistry:
    """Return the registry that `versions`, `compare` and `status` read."""
    found = sql_reader(os.environ, folder, whole=MlflowRegistry)
    assert found is not None
    return cast(ModelRegistry, found)


def ref(number: int | None = None, alias: str | None = None, model: str = "m") -> VersionRef:
    """Name a version."""
    return VersionRef(model=model, number=number, alias=alias)


def test_versions_are_numbered_from_one_and_listed_newest_first(kit: Kit):
    """Each with its run and tags."""
    first, second = kit.create(colour="red"), kit.create()
    assert [v.number for v in kit.registry.versions("m")] == [2, 1]
    found = kit.registry.version(ref(1))
    assert (found.run_id, found.tags["colour"], found.aliases, found.mlflow_stage) == (
        first.run_id,
        "red",
        frozenset(),
        None,
    )
    assert second.created_at.tzinfo is not None


def test_an_alias_is_on_one_version(kit: Kit):
    """Setting it moves it; deleting it twice is no error."""
    kit.create()
    kit.create()
    kit.registry.set_alias("m", "production", 1)
    kit.registry.set_alias("m", "production", 2)
    assert kit.registry.version(ref(alias="production")).number == 2
    assert [sorted(v.aliases) for v in kit.registry.versions("m")] == [["production"], []]
    kit.registry.delete_alias("m", "production")
    kit.registry.delete_alias("m", "production")
    assert all(not v.aliases for v in kit.registry.versions("m"))


def test_the_newest_versions_can_be_asked_for_alone(kit: Kit):
    """The newest first, and no more than there are."""
    for _ in range(3):
        kit.create()
    assert [v.number for v in kit.registry.versions("m", at_most=2)] == [3, 2]
    assert [v.number for v in kit.registry.versions("m", at_most=5)] == [3, 2, 1]


def test_what_runs_recorded_is_the_same_for_many_as_for_each(kit: Kit):
    """In the order of the versions, in whatever experiment; a version without a run has nothing."""
    versions = [kit.create(), kit.create()]
    versions = [versions[1], replace(versions[0], run_id=None), versions[0]]
    found = kit.registry.measured_each(versions)
    assert found == tuple(kit.registry.measured(version) for version in versions)
    assert found[1] == Measured(metrics={}, params={})
    assert kit.registry.measured_each([]) == ()


def test_a_deleted_run_recorded_nothing(store: Path):
    """Asked for alone or among others."""
    registry = MlflowRegistry()
    kit = Kit(registry, log_through_mlflow, add_prompt_to_mlflow, store_through_mlflow, model_in_a_run_of_mlflows)
    deleted, kept = kit.create(), kit.create()
    MlflowClient().delete_run(deleted.run_id)
    nothing = Measured(metrics={}, params={})
    assert registry.measured(deleted) == nothing
    gone, there = registry.measured_each([deleted, kept])
    assert gone == nothing
    assert (there.metrics, there.params, there.status) == ({"holdout_accuracy": 0.5}, {"depth": "3"}, "FINISHED")


def test_models_with_an_alias_are_found_by_name(kit: Kit):
    """What `slipway up` serves."""
    for model in ("b", "a", "c"):
        kit.create(model)
    for model in ("b", "a"):
        kit.registry.set_alias(model, "production", 1)
    assert [str(v) for v in kit.registry.models_with_alias("production")] == ["a/1", "b/1"]


def test_mlflows_label_is_set_on_one_version_only(kit: Kit):
    """Others keep theirs: which of them change is the promotion's decision."""
    kit.create()
    kit.create()
    kit.registry.set_mlflow_stage("m", 1, "Production")
    kit.registry.set_mlflow_stage("m", 2, "Production")
    assert [v.mlflow_stage for v in kit.registry.versions("m")] == ["Production", "Production"]


def test_tags_are_set_over_earlier_ones(kit: Kit):
    """And others stay."""
    kit.create(kept="1", changed="2")
    kit.registry.set_tags("m", 1, {"changed": "3"})
    tags = kit.registry.version(ref(1)).tags
    assert (tags["kept"], tags["changed"]) == ("1", "3")


def test_what_does_not_exist_is_said_with_what_does(kit: Kit):
    """An unknown model, version and alias."""
    kit.create()
    with pytest.raises(NotFound, match=r"no model 'n'.*there are: m"):
        kit.registry.versions("n")
    with pytest.raises(NotFound, match="model 'm' has no version 7; the latest is 1"):
        kit.registry.version(ref(7))
    with pytest.raises(NotFound, match="model 'm' has no alias 'live'"):
        kit.registry.version(ref(alias="live"))


def test_a_prompt_is_no_model(kit: Kit):
    """MLflow keeps prompts in the same tables."""
    kit.add_prompt("greeting")
    with pytest.raises(Conflict, match="'greeting' is a prompt"):
        kit.registry.versions("greeting")
    with pytest.raises(Conflict, match="'greeting' is a prompt"):
        kit.registry.require_model_name("greeting")


@pytest.mark.parametrize("name", ["a/b", "a:b", "a@b", ""])
def test_a_name_that_could_not_be_written_is_refused(kit: Kit, name: str):
    """`a/b` would read as version b of a."""
    with pytest.raises(InvalidInput, match="cannot be a model's name"):
        kit.registry.require_model_name(name)


@pytest.mark.parametrize(
    "name",
    [
        """m' AND name != '"'""",
        """m" AND name != "'\"""",
        "m' OR name LIKE '%",
        'm" OR name LIKE "%',
        "m\\",
        "m\\' OR name LIKE '%",
        'm\\" OR name LIKE "%',
        "m'' OR name LIKE ''%",
        "x`m`",
    ],
)
def test_a_name_finds_no_other_model(store: Path, name: str):
    """MLflow's search takes a filter, into which a name could be written as a part of it."""
    registry, client = MlflowRegistry(), MlflowClient()
    for each in ("m", "mm", name):
        client.create_registered_model(each)
        client.create_model_version(each, store.as_uri())
    try:
        assert registry.model(name).name == name
        assert {version.model for version in registry.versions(name)} == {name}
    except (InvalidInput, NotFound) as error:
        assert name in error.message  # noqa: PT017 - one of both, and never another model
    assert registry.model("m").name == "m"
    assert {version.model for version in registry.versions("m")} == {"m"}


def test_a_new_name_is_accepted(kit: Kit):
    """And so is that of a model that exists."""
    kit.registry.require_model_name("new")
    kit.create()
    kit.registry.require_model_name("m")


def test_a_version_is_read_where_its_logged_model_lies(kit: Kit, tmp_path: Path):
    """The location is one by itself: whoever has it needs to ask no name any more."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    logged = kit.log()
    kit.store(logged, folder)
    version = kit.registry.create_version(logged, model="m", description="", tags={})
    kit.registry.require_fixed(version)
    location = kit.registry.location(version)
    assert manifest_of(kit.registry.stored_files(location)) == manifest_of(folder)
    assert kit.registry.origin(f"{tmp_path}/nowhere/of/any/run") is None


def test_the_origin_of_files_is_told_by_where_they_lie(store: Path):
    """A logged model's source run, or the run itself; a path that leads out of it is nobody's."""
    registry, logged, client = MlflowRegistry(), log_through_mlflow(), MlflowClient()
    root = client.get_logged_model(logged.model_id).artifact_location
    found = registry.origin(root)
    assert (found.run_id, found.experiment_id, found.people) == (logged.run_id, "0", ())
    assert abs(found.logged_at.timestamp() * 1000 - client.get_run(logged.run_id).info.start_time) < 60_000
    of_run = client.get_run(logged.run_id).info.artifact_uri
    assert registry.origin(f"{of_run}/model").run_id == logged.run_id
    for elsewhere in (f"{of_run}/../../other", f"{of_run}-more/x", "/0/" + 32 * "0" + "/artifacts/model", "/tmp/model"):
        assert registry.origin(elsewhere) is None, elsewhere


def test_files_are_those_of_the_innermost_run_and_of_all_people_around(store: Path):
    """Whoever keeps an experiment among the files of another's run does not hide behind it, nor does that one."""
    client = MlflowClient()
    outer = store_run(client, "0", "carl")
    inside = client.create_experiment("inside", outer.artifact_uri)
    inner = store_run(client, inside, "ann")
    logged = client.create_logged_model(inside, name="m", source_run_id=inner.run_id)
    for location, run in (
        (f"{inner.artifact_uri}/model", inner),
        (f"{outer.artifact_uri}/model", outer),
        (logged.artifact_location, inner),
        (f"{inner.artifact_uri}/{32 * '0'}/artifacts/model", inner),
    ):
        found = MlflowRegistry().origin(location)
        assert (found.run_id, found.experiment_id) == (run.run_id, run.experiment_id), location
        people = ("carl", "ann") if location.startswith(inner.artifact_uri) else ("carl",)
        assert found.people == people, location


def store_run(client: MlflowClient, experiment_id: str, user: str) -> Any:
    """Make a run of a user's, as a server does that knows its users."""
    made = client._tracking_client.store.create_run(experiment_id, user, start_time=0, tags=[], run_name="r")
    return made.info


def test_what_a_run_was_given_and_who_opened_it_are_recorded(store: Path):
    """Datasets with digest and context, and MLflow's user."""
    with mlflow.start_run() as run:
        rows = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0]}), name="rows", digest="d1")
        mlflow.log_input(rows, context="training")
    MlflowClient().create_registered_model("m")
    MlflowClient().create_model_version("m", f"{run.info.artifact_uri}/model", run.info.run_id)
    found = MlflowRegistry().measured(MlflowRegistry().version(ref(1)))
    assert (found.inputs, found.user) == ((Given(name="rows", digest="d1", context="training"),), run.info.user_id)
    assert found.started_at <= found.ended_at


def test_stored_files_are_shown_and_fetched(kit: Kit, tmp_path: Path):
    """Whole, over what an earlier fetch left of them."""
    folder, into = tmp_path / "model", tmp_path / "into"
    for each in (folder / "data", into):
        each.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights").write_bytes(b"123")
    (into / "MLmodel").write_text("fla")
    logged = kit.log()
    kit.store(logged, folder)
    assert manifest_of(kit.registry.stored_files(logged.model_uri)) == manifest_of(folder)
    kit.registry.fetch_files(logged.model_uri, into, manifest_of(folder))
    assert manifest_of(into) == manifest_of(folder)


def test_what_is_not_stored_is_said(kit: Kit, tmp_path: Path):
    """Nobody gets an empty folder for a model."""
    uri = f"runs:/{kit.log().run_id}/nothing"
    with pytest.raises(NotFound):
        kit.registry.stored_files(uri)
    with pytest.raises(NotFound):
        kit.registry.fetch_files(uri, tmp_path, None)


def test_no_text_is_stored_in_a_folder_of_a_model(kit: Kit, tmp_path: Path):
    """Wherever around the text it lies, also at the root of its run's artifacts; beside it there is room."""
    for folder in ("", "slipway", "slipway/gate"):
        run_id = kit.run_with_model_in(folder, tmp_path)
        with pytest.raises(Conflict) as refused:
            kit.registry.log_text(run_id, "x", "slipway/gate/m/1.json")
        assert refused.value.code == "inside-a-model"
        if folder:
            kit.registry.log_text(run_id, "x", "beside.json")
    kit.registry.log_text(kit.run_with_model_in("model", tmp_path), "x", "slipway/gate/m/1.json")
