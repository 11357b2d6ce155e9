"""Every state that MLflow's own client can leave has a way on by Slipway's commands: each of its calls is tried.

`WRITES` names every call of the client that changes something and what is done with it; a call that MLflow adds fails
the first test until somebody says which kind it is. Another's `status` is parsed, and what it advises is executed.
"""

import contextlib
import inspect
import io
import json
import re
import shlex
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.cli import gc

from slipway import command_line
from slipway.registry.errors import NotFound
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.situation import look
from slipway.registry.version import parse_ref
from tests.generators.deciding import Copies, Place, do, promote

MODEL = "churn"
ADVICE = re.compile(r'slipway \w+ .*?--reason "…"')
OTHERS = (  # what no decision of ours is about
    "dataset",
    "mcp",
    "prompt",
    "span",
    "trace",
    "webhook",
    "workspace",
)
READS = ("download_", "get_", "list_", "load_", "parse_", "search_", "test_")
RECORDS = {  # what a run or a logged model recorded: gates read it, decisions that were made do not depend on it
    "create_logged_model",
    "log_artifact",
    "log_artifacts",
    "log_batch",
    "log_dict",
    "log_figure",
    "log_image",
    "log_inputs",
    "log_metric",
    "log_model_params",
    "log_outputs",
    "log_param",
    "log_stream",
    "log_table",
    "log_text",
}


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry in which 1 was in production, 2 is, and 3 is in staging; `files` holds all stored files."""

    place: Place
    files: Path

    @property
    def client(self) -> MlflowClient:
        """Return MLflow's own client, as somebody uses it who knows nothing of Slipway."""
        return MlflowClient(self.place.uri, self.place.uri)

    @property
    def experiment(self) -> str:
        """Return the experiment of all runs."""
        return str(self.client.get_experiment_by_name("churn").experiment_id)

    def run_of(self, number: int) -> str:
        """Return the run of a version."""
        return str(self.client.get_model_version(MODEL, str(number)).run_id)

    def logged(self, number: int) -> str:
        """Return the logged model of a version."""
        return str(self.client.get_model_version(MODEL, str(number)).source).removeprefix("models:/")


Deed = Callable[[World], object]


def each(deed: Callable[[World, int], object]) -> dict[str, Deed]:
    """Return a deed done to what is in production, what is in staging, and what was in production before."""
    return {
        "in production": lambda world: deed(world, 2),
        "in staging": lambda world: deed(world, 3),
        "formerly there": lambda world: deed(world, 1),
    }


def transitions(label: str) -> dict[str, Deed]:
    """Return the transitions of every version into one of MLflow's stages."""

    def deed(world: World, number: int) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return world.client.transition_model_version_stage(MODEL, str(number), label)

    return {f"{label}: {name}": made for name, made in each(deed).items()}


def recreate(world: World) -> object:
    """Delete the model and make another of the same name, with one version."""
    run, source = world.run_of(3), world.client.get_model_version(MODEL, "3").source
    world.client.delete_registered_model(MODEL)
    world.client.create_registered_model(MODEL)
    return world.client.create_model_version(MODEL, source, run)


def delete_and(world: World, *more: Callable[[World], object]) -> None:
    """Delete the version in production, and do more."""
    world.client.delete_model_version(MODEL, "2")
    for deed in more:
        deed(world)


def overwrite(world: World, number: int) -> object:
    """Write other bytes over those of a version."""
    scratch = world.place.folder / "MLmodel"
    scratch.write_text("flavors: {other: {}}")
    return world.client.log_model_artifact(world.logged(number), str(scratch))


def overwrite_all(world: World, number: int) -> object:
    """Add a folder of files to those of a version."""
    scratch = world.place.folder / "more"
    scratch.mkdir()
    (scratch / "added.txt").write_text("added")
    return world.client.log_model_artifacts(world.logged(number), str(scratch))


def lose_files(world: World, number: int) -> object:
    """Remove a version's stored files."""
    shutil.rmtree(world.client.get_logged_model(world.logged(number)).artifact_location.removeprefix("file://"))
    return None


def collect(world: World, number: int) -> object:
    """Delete the run and the logged model of a version, and have MLflow collect what was deleted."""
    world.client.delete_logged_model(world.logged(number))
    world.client.delete_run(world.run_of(number))
    with contextlib.redirect_stdout(io.StringIO()):
        return gc.main(["--backend-store-uri", world.place.uri], standalone_mode=False)


WRITES: dict[str, dict[str, Deed]] = {
    "copy_model_version": {
        "to itself": lambda w: w.client.copy_model_version(f"models:/{MODEL}/2", MODEL),
        "to another": lambda w: w.client.copy_model_version(f"models:/{MODEL}/2", "other"),
    },
    "create_experiment": {"one": lambda w: w.client.create_experiment("another")},
    "create_model_version": {
        "without a run": lambda w: w.client.create_model_version(MODEL, (w.files / "1").as_uri()),
        "of nothing": lambda w: w.client.create_model_version(MODEL, (w.files / "nothing").as_uri()),
    },
    "create_registered_model": {
        "odd name": lambda w: w.client.create_registered_model("two\nlines @ 🦉 it's"),
        "again": recreate,
    },
    "create_run": {"one": lambda w: w.client.create_run("0")},
    "delete_experiment": {"of all runs": lambda w: w.client.delete_experiment(w.experiment)},
    "delete_experiment_tag": {"one": lambda w: w.client.delete_experiment_tag(w.experiment, "team")},
    "delete_logged_model": each(lambda w, n: w.client.delete_logged_model(w.logged(n))),
    "delete_logged_model_tag": each(lambda w, n: w.client.delete_logged_model_tag(w.logged(n), "team")),
    "delete_model_version": {
        **each(lambda w, n: w.client.delete_model_version(MODEL, str(n))),
        "both of production": lambda w: delete_and(w, lambda w: w.client.delete_model_version(MODEL, "1")),
        "and the alias moved": lambda w: delete_and(
            w, lambda w: w.client.set_registered_model_alias(MODEL, "production", "1")
        ),
        "all": lambda w: [w.client.delete_model_version(MODEL, n) for n in "123"],
    },
    "delete_model_version_tag": each(lambda w, n: w.client.delete_model_version_tag(MODEL, str(n), "slipway.stage")),
    "delete_registered_model": {"whole": lambda w: w.client.delete_registered_model(MODEL)},
    "delete_registered_model_alias": {
        stage: lambda w, stage=stage: w.client.delete_registered_model_alias(MODEL, stage)
        for stage in ("production", "staging")
    },
    "delete_registered_model_tag": {"head": lambda w: w.client.delete_registered_model_tag(MODEL, "slipway.head")},
    "delete_run": each(lambda w, n: w.client.delete_run(w.run_of(n))),
    "delete_tag": each(lambda w, n: w.client.delete_tag(w.run_of(n), "team")),
    "finalize_logged_model": each(lambda w, n: w.client.finalize_logged_model(w.logged(n), "FAILED")),
    "log_model_artifact": each(overwrite),
    "log_model_artifacts": each(overwrite_all),
    "rename_experiment": {"one": lambda w: w.client.rename_experiment(w.experiment, "renamed")},
    "rename_registered_model": {"one": lambda w: w.client.rename_registered_model(MODEL, "renamed")},
    "restore_experiment": {
        "one": lambda w: (w.client.delete_experiment(w.experiment), w.client.restore_experiment(w.experiment))
    },
    "restore_run": each(lambda w, n: (w.client.delete_run(w.run_of(n)), w.client.restore_run(w.run_of(n)))),
    "set_experiment_tag": {"one": lambda w: w.client.set_experiment_tag(w.experiment, "a", "b")},
    "set_logged_model_tags": each(lambda w, n: w.client.set_logged_model_tags(w.logged(n), {"a": "b"})),
    "set_model_version_tag": each(lambda w, n: w.client.set_model_version_tag(MODEL, str(n), "slipway.stage", "none")),
    "set_registered_model_alias": {
        f"{stage} on {number}": lambda w, s=stage, n=number: w.client.set_registered_model_alias(MODEL, s, n)
        for stage, number in (("production", "1"), ("production", "3"), ("staging", "1"), ("Production", "1"))
    },
    "set_registered_model_tag": {
        "head": lambda w: w.client.set_registered_model_tag(MODEL, "slipway.head", "whatever"),
    },
    "set_tag": each(lambda w, n: w.client.set_tag(w.run_of(n), "mlflow.user", "mallory")),
    "set_terminated": each(lambda w, n: w.client.set_terminated(w.run_of(n), "FAILED")),
    "transition_model_version_stage": {
        **transitions("Production"),
        **transitions("Staging"),
        **transitions("Archived"),
        **transitions("None"),
    },
    "update_model_version": {"long": lambda w: w.client.update_model_version(MODEL, "3", "x" * 5_000)},
    "update_registered_model": {"long": lambda w: w.client.update_registered_model(MODEL, "x" * 5_000)},
    "update_run": each(lambda w, n: w.client.update_run(w.run_of(n), "FAILED", "renamed")),
    "(files)": each(lose_files),
    "(gc)": each(collect),
}
"""Call → what is done with it; the last are none: somebody removed stored files, or ran `mlflow gc`."""

DATABASES = ("sqlite", "postgresql")
OF_THE_REGISTRY = (
    "create_model_version",
    "create_registered_model",
    "delete_model_version",
    "set_registered_model_alias",
    "transition_model_version_stage",
    "(files)",
)


def cases() -> Iterator[Any]:
    """Yield every deed on each database; in the short run one of each call, and all about the registry on one."""
    for database in DATABASES:
        for call, deeds in WRITES.items():
            for place, name in enumerate(deeds):
                is_asked = not place or (database == DATABASES[0] and call in OF_THE_REGISTRY)
                marks = [] if is_asked else [pytest.mark.long]
                yield pytest.param(database, call, name, id=f"{database}-{call}: {name}", marks=marks)


def prepare(place: Place, files: Path) -> None:
    """Register three versions with runs and logged models of their own, and promote them."""
    place.folder.joinpath("promotion.yaml").write_text(POLICY)
    place.enter()
    client = MlflowClient(place.uri, place.uri)
    experiment = client.create_experiment("churn", files.as_uri(), {"team": "t"})
    client.create_registered_model(MODEL)
    for number in (1, 2, 3):
        add(client, experiment, files / str(number))
    ledger = place.ledger()
    for number, stage in ((1, "production"), (2, "production"), (3, "staging")):
        promote(ledger, f"{MODEL}/{number}", stage)


def add(client: MlflowClient, experiment: str, files: Path, model: str = MODEL) -> int:
    """Register a version with a run and a logged model, and return its number."""
    files.mkdir(parents=True)
    (files / "MLmodel").write_text("flavors: {}")
    run = client.create_run(experiment, tags={"team": "t"})
    logged = client.create_logged_model(experiment, source_run_id=run.info.run_id, tags={"team": "t"})
    client.log_model_artifacts(logged.model_id, str(files))
    client.finalize_logged_model(logged.model_id, "READY")
    client.set_terminated(run.info.run_id)
    source = f"models:/{logged.model_id}"
    made = client.create_model_version(model, source, run.info.run_id, model_id=logged.model_id)
    return int(made.version)


POLICY = """
stages:
  staging: {enter_from: any, checks: {lineage: {require: [run]}}}
  production: {enter_from: any, checks: {lineage: {require: [run]}}}
"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def command(*words: str) -> Said:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command_line.run(list(words))
    return Said(code=code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture(scope="module")
def templates() -> dict[str, tuple[Copies, World]]:
    """Return the worlds that were made to be copied, by their databases."""
    return {}


@pytest.fixture(params=DATABASES)
def template(
    request: pytest.FixtureRequest,
    templates: dict[str, tuple[Copies, World]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Copies, World]:
    """Return a world to be copied; its files stay at their place, and are put back there for each test.

    It is made once for each database: pytest would make a fixture of the module anew for every parameter beside it.
    """
    if request.param not in templates:
        server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
        copies = Copies(folder=tmp_path_factory.mktemp(request.param), postgres=server)
        world = World(place=copies.empty("template"), files=copies.folder / "files")
        assert do(prepare, world.place, world.files) == 0
        shutil.copytree(world.files, copies.folder / "backup")
        templates[request.param] = copies, world
    return templates[request.param]


@pytest.fixture
def make(template: tuple[Copies, World], request: pytest.FixtureRequest) -> Callable[[], World]:
    """Return what makes a new copy of the world, and works in it."""
    copies, world = template
    count = iter(range(1_000))

    def made() -> World:
        shutil.rmtree(world.files, ignore_errors=True)
        shutil.copytree(copies.folder / "backup", world.files)
        name = re.sub(r"\W+", "-", f"{request.node.name}-{next(count)}")
        copy = World(place=copies.copy(world.place, name), files=world.files)
        copy.place.enter()
        return copy

    return made


def test_every_call_of_mlflows_client_is_known_here():
    """What can a new one leave, and what is the way on: somebody has to say."""
    calls = {name for name, _ in inspect.getmembers(MlflowClient, inspect.isfunction) if not name.startswith("_")}
    left = {
        name for name in calls if not name.startswith(READS) and not any(other in name for other in OTHERS)
    } - RECORDS
    assert left == {call for call in WRITES if not call.startswith("(")}


def advised(status: Said) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each command that status advises, with the model and stage that it is about."""
    for row in status.document["stages"]:
        if row["wrong"]:
            found = ADVICE.findall(row["mend"])
            assert found, f"what is wrong has no way on: {row}"
            yield from ((row["model"], row["stage"], shlex.split(each)[1:]) for each in found)


def answered(world: World) -> Said:
    """Require that everything that only reads answers, and return the status."""
    status = command("status", "--json")
    assert status.code in (0, 1), status.err
    assert status.document["problems"] == [], status.out
    said = command("history", MODEL)
    assert said.code == 0 or "another model had that name, and has a history of its own" in said.err, said.err
    for each_ in world.client.search_registered_models():
        if world.client.search_model_versions(f'name="{each_.name}"'):
            assert command("versions", each_.name).code == 0
    return status


@pytest.mark.parametrize(("template", "call", "name"), list(cases()), indirect=["template"])
def test_there_is_a_way_on(make: Callable[[], World], call: str, name: str):
    """Status answers, each command that it advises settles its stage, and every verb goes on from there."""
    world = make()
    WRITES[call][name](world)
    advice = list(advised(answered(world)))
    for model, stage, words in advice:
        again = make()
        WRITES[call][name](again)
        done = command(*words)
        assert done.code == 0, (words, done.err)
        rows = {(row["model"], row["stage"]): row for row in answered(again).document["stages"]}
        assert rows.get((model, stage), {"wrong": None})["wrong"] is None, (words, rows)
        goes_on(again)
    if not advice:
        goes_on(world)


def goes_on(world: World) -> None:
    """Require that a new version goes up and out again, by every verb, and that the ledger is whole."""
    settle(world)
    names = [each_.name for each_ in world.client.search_registered_models()]
    model = next((name for name in names if name in (MODEL, "renamed")), MODEL)
    if model not in names:
        world.client.create_registered_model(model)
    experiment = world.client.create_experiment("new", (world.files / "new").as_uri())
    numbers = [add(world.client, experiment, world.files / f"new-{i}", model) for i in range(2)]
    ledger = world.place.ledger()
    for number in numbers:
        promote(ledger, f"{model}/{number}", "staging")
        promote(ledger, f"{model}/{number}", "production")
    for words in (
        ("rollback", model),
        ("archive", f"{model}/{numbers[1]}"),
        ("demote", f"{model}/{numbers[0]}", "--to", "staging"),
        ("demote", f"{model}/{numbers[0]}"),
    ):
        done = command(*words, "--reason", "test")
        assert done.code == 0, (words, done.err)
    situation = look(model, ledger)
    records = ledger.history.records(situation.model_uid)
    assert verify(situation.model_uid, records, ledger.history.anchors(situation.model_uid)) == ()
    status = command("status", "--json").document
    assert status["problems"] == []
    assert [row for row in status["stages"] if row["wrong"]] == []


def settle(world: World) -> None:
    """Do what status advises until nothing is wrong."""
    for _ in range(3):
        if not (left := list(advised(command("status", "--json")))):
            return
        assert command(*left[0][2]).code == 0, left[0]
    raise AssertionError(f"what status advises leads nowhere: {left}")


@pytest.mark.parametrize("reason", ["a\0b", "x" * 5_000_000])
def test_a_reason_from_before_there_were_rules_stops_nothing(make: Callable[[], World], reason: str):
    """It is in the history for good; its tag is written as far as the database can hold it, and all goes on."""
    ledger = make().place.ledger()
    situation = look(MODEL, ledger)
    last = ledger.history.records(situation.model_uid)[-1].event
    ledger.history.append(replace(last, reason=reason, actor="a\0b"), after_seq=situation.seq)
    assert command("status", "--json").document["problems"] == []
    assert command("rollback", MODEL, "--reason", "go back").code == 0
    assert command("history", MODEL, "--verify").code == 0
    tags = ledger.registry.version(parse_ref(f"{MODEL}/3")).tags
    assert tags["slipway.reason"] in ("a\ufffdb", "x" * 499 + "…")
    assert tags["slipway.by"] == "a\ufffdb"


WRONG = [
    ["promote", f"{MODEL}/{'9' * 20}", "--to", "staging", "--reason", "x"],
    ["promote", f"{MODEL}/{2**31}", "--to", "staging", "--reason", "x"],
    ["promote", f"{MODEL}/0", "--to", "staging", "--reason", "x"],
    ["promote", f"{MODEL}/-1", "--to", "staging", "--reason", "x"],
    ["promote", f"{MODEL}/1\0", "--to", "staging", "--reason", "x"],
    ["promote", f"{MODEL}/\u0661", "--to", "staging", "--reason", "x"],
    ["promote", f"{MODEL}/1", "--to", "\udcff", "--reason", "x"],
    ["demote", f"{MODEL}\udcff/1", "--reason", "x"],
    ["rollback", f"{MODEL}\0", "--reason", "x"],
    ["rollback", f"{MODEL}\udcff", "--reason", "x"],
    ["rollback", MODEL, "--reason", "a\0b"],
    ["rollback", MODEL, "--reason", "a\udcffb"],
    ["rollback", MODEL, "--reason", "x" * 5_000_000],
    ["rollback", MODEL, "--reason", "x", "--from", "9" * 20],
    ["rollback", MODEL, "--reason", "x", "--to-version", "0"],
    ["versions", f"{MODEL}\0"],
    ["versions", "n" * 5_000],
    ["history", f"{MODEL}\0"],
    ["history", MODEL, "--at", "9" * 5_000],
    ["history", MODEL, "--verify", "--head", f"\u0661:{'a' * 64}"],
    ["adopt", f"{MODEL}@\0", "--reason", "x"],
    ["approve", f"{MODEL}/1", "--to", "staging", "--reason", "\x1b[2J"],
]


def test_what_no_database_could_hold_is_an_error_of_the_command_line(make: Callable[[], World]):
    """In a line that can be printed, with nothing recorded."""
    ledger = make().place.ledger()
    before = look(MODEL, ledger).head
    for words in WRONG:
        said = command(*words)
        assert said.code in (1, 2), words
        assert said.err.startswith("error: "), words
        assert len(said.err) < 1_000
        said.err.encode()
    assert look(MODEL, ledger).head == before
    assert command("versions", MODEL, "--most", "9" * 30).code == 0


def test_the_history_of_a_model_that_was_made_again_can_be_read(make: Callable[[], World]):
    """By its name that of the newer, and by its identity that of the one before."""
    world = make()
    ledger = world.place.ledger()
    before = look(MODEL, ledger).model_uid
    recreate(world)
    said = command("history", MODEL)
    assert said.code == 1, "nothing was decided about the new one"
    assert before in said.err
    assert command("register", f"{MODEL}/1", "--reason", "new").code == 0
    (event,) = command("history", MODEL, "--json").document["events"]
    assert event["kind"] == "VersionRegistered"
    assert len(command("history", before, "--json").document["events"]) == len(ledger.history.records(before))
    assert before in command("history", MODEL).err
    with pytest.raises(NotFound):
        ledger.registry.model("nobody")
