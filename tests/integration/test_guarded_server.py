"""On a guarded server nothing that is in a stage is moved or removed by an ordinary client, whatever the route."""

import json
import secrets
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.server.assistant.api import assistant_router
from mlflow.server.graphql.graphql_schema_extensions import schema
from sklearn.dummy import DummyClassifier

from tests.servers.guarded import Answer, GuardedServer, Made, put, query

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("server")]
RUN = "{held.experiment_id}/{held.run_id}/artifacts"
BASES = ("api/2.0", "ajax-api/2.0")


def fresh(word: str = "m") -> str:
    """Return a name that no other test uses."""
    return f"{word}-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def held(server: GuardedServer) -> Made:
    """Return a version in production, in an experiment of its own."""
    experiment = server.client().create_experiment(fresh("e"))
    return server.in_stage(server.make(fresh(), experiment), "production")


@pytest.fixture(scope="module")
def other(server: GuardedServer, held: Made) -> Made:
    """Return another version of the same model, in no stage."""
    return server.make(held.model)


Call = Callable[[GuardedServer, str, Made, Made], Answer]


def call(method: str, path: str, /, **body: str | bool) -> Call:
    """Return a request of MLflow's REST API; values are filled in with the version that is held, or the other."""

    def ask(server: GuardedServer, base: str, held: Made, other: Made) -> Answer:
        words = {"model": held.model, "held": held, "other": other}
        filled = {key: value.format(**words) if isinstance(value, str) else value for key, value in body.items()}
        return server.ask(method, f"{base}/mlflow/{path.format(**words)}", filled)

    return ask


def artifact(method: str, path: str, content: bytes | None = None) -> Call:
    """Return a request to the artifact proxy."""
    return lambda server, base, held, other: server.ask(
        method, f"{base}/mlflow-artifacts/artifacts/{path.format(held=held)}", content
    )


def upload_by_run(server: GuardedServer, base: str, held: Made, other: Made) -> Answer:
    """Write an artifact of a run as the UI does."""
    return server.ask(
        "POST", query("ajax-api/2.0/mlflow/upload-artifact", run_uuid=held.run_id, path="slipway/manifest.json"), b"x"
    )


def in_parts(step: str) -> Call:
    """Return a request of an upload in parts."""
    return lambda server, base, held, other: server.ask(
        "POST",
        f"{base}/mlflow-artifacts/mpu/{step}/{held.files}",
        {"path": "MLmodel", "upload_id": "u", "num_parts": 1, "parts": [{"part_number": 1, "etag": "e"}]},
    )


HARM: dict[str, Call] = {
    "set the alias": call(
        "POST", "registered-models/alias", name="{model}", alias="production", version="{other.number}"
    ),
    "set the alias in another case": call(
        "POST", "registered-models/alias", name="{model}", alias="Production", version="{other.number}"
    ),
    "set the alias of an empty stage": call(
        "POST", "registered-models/alias", name="{model}", alias="staging", version="{other.number}"
    ),
    "remove the alias": call("DELETE", "registered-models/alias", name="{model}", alias="production"),
    "give another its label": call(
        "POST", "model-versions/transition-stage", name="{model}", version="{other.number}", stage="Production"
    ),
    "give another its label, archiving": call(
        "POST",
        "model-versions/transition-stage",
        name="{model}",
        version="{other.number}",
        stage="production",
        archive_existing_versions=True,
    ),
    "take its label": call(
        "POST", "model-versions/transition-stage", name="{model}", version="{held.number}", stage="Archived"
    ),
    "delete the version": call("DELETE", "model-versions/delete", name="{model}", version="{held.number}"),
    "delete the model": call("DELETE", "registered-models/delete", name="{model}"),
    "rename the model": call("POST", "registered-models/rename", name="{model}", new_name="{model}-2"),
    "set our tag of the version": call(
        "POST", "model-versions/set-tag", name="{model}", version="{held.number}", key="slipway.stage", value="x"
    ),
    "remove our tag of the version": call(
        "DELETE", "model-versions/delete-tag", name="{model}", version="{held.number}", key="slipway.stage"
    ),
    "set our tag of another version": call(
        "POST", "model-versions/set-tag", name="{model}", version="{other.number}", key="Slipway.Stage", value="x"
    ),
    "set our tag of the model": call(
        "POST", "registered-models/set-tag", name="{model}", key="slipway.head", value="0:0"
    ),
    "remove our tag of the model": call("DELETE", "registered-models/delete-tag", name="{model}", key="slipway.head"),
    "make it a prompt": call(
        "POST", "registered-models/set-tag", name="{model}", key="mlflow.prompt.is_prompt", value="true"
    ),
    "make its version a prompt's": call(
        "POST",
        "model-versions/set-tag",
        name="{model}",
        version="{held.number}",
        key="mlflow.prompt.is_prompt",
        value="true",
    ),
    "delete its run": call("POST", "runs/delete", run_id="{held.run_id}"),
    "delete its experiment": call("POST", "experiments/delete", experiment_id="{held.experiment_id}"),
    "delete its logged model": call("DELETE", "logged-models/{held.model_id}"),
    "call its logged model failed": call(
        "PATCH", "logged-models/{held.model_id}", model_id="{held.model_id}", status="LOGGED_MODEL_UPLOAD_FAILED"
    ),
    "make a version that is a prompt's": lambda server, base, held, other: server.ask(
        "POST",
        f"{base}/mlflow/model-versions/create",
        {"name": held.model, "source": "dummy-source", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
    ),
    "set our tag of its run": call("POST", "runs/set-tag", run_id="{held.run_id}", key="slipway.data", value="x"),
    "remove our tag of its run": call("POST", "runs/delete-tag", run_id="{held.run_id}", key="slipway.data"),
    "overwrite its file": artifact("PUT", "{held.files}/MLmodel", b"flavors: {other: {}}"),
    "add a file to it": artifact("PUT", "{held.files}/more/extra.py", b"x"),
    "delete its file": artifact("DELETE", "{held.files}/MLmodel"),
    "delete its folder": artifact("DELETE", "{held.files}"),
    "delete a folder around it": artifact("DELETE", "{held.experiment_id}"),
    "overwrite its manifest": artifact("PUT", RUN + "/slipway/manifest.json", b"x"),
    "overwrite its held-out rows": artifact("PUT", RUN + "/holdout/rows.parquet", b"x"),
    "write its run's artifact": upload_by_run,
    "have an experiment write into it": call(
        "POST", "experiments/create", name="into {held.model_id}", artifact_location="mlflow-artifacts:/{held.files}/x"
    ),
}


def shown(server: GuardedServer, held: Made) -> tuple[Any, ...]:
    """Return everything that must not change."""
    client = server.client()
    version = client.get_model_version(held.model, str(held.number))
    model = client.get_registered_model(held.model)
    stored = server.ask("GET", f"api/2.0/mlflow-artifacts/artifacts/{held.files}/MLmodel")
    return (
        dict(model.aliases),
        dict(model.tags),
        version.current_stage,
        dict(version.tags),
        client.get_run(held.run_id).info.lifecycle_stage,
        client.get_logged_model(held.model_id).status,
        client.get_experiment(held.experiment_id).lifecycle_stage,
        (stored.status, stored.text),
        sorted(path.name for path in (server.folder / "artifacts" / held.files).rglob("*")),
    )


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("harm", HARM)
def test_it_is_refused_with_403_and_the_command_to_use(
    server: GuardedServer, held: Made, other: Made, harm: str, base: str
):
    """Through the API and through that of the UI; nothing has changed."""
    before = shown(server, held)
    answer = HARM[harm](server, base, held, other)
    assert answer.status == 403, answer
    assert answer.document["error_code"] == "PERMISSION_DENIED"
    assert "slipway " in answer.document["message"] or "register it anew" in answer.document["message"]
    assert shown(server, held) == before


OCTETS = {"Content-Type": "application/octet-stream"}


ROUTE = "ajax-api/2.0/mlflow/upload-artifact"


def made_at(server: GuardedServer, place: str) -> Made:
    """Return a version whose run keeps its artifacts at a place that the server reaches, and does not pass on."""
    client, model = server.client(), fresh()
    run = client.create_run(client.create_experiment(fresh("e"), place)).info
    stored = server.ask("POST", query(ROUTE, run_uuid=run.run_id, path="model/MLmodel"), b"flavors: {}", **OCTETS)
    assert stored.status == 200, stored
    client.set_terminated(run.run_id)
    client.create_registered_model(model)
    made = client.create_model_version(model, f"{run.artifact_uri}/model", run.run_id)
    return Made(model, int(made.version), run.run_id, "", run.experiment_id)


def test_an_upload_past_the_proxy_is_refused_however_its_path_is_written(server: GuardedServer):
    """MLflow decodes the path once more before it writes."""
    place = server.folder / "trusted" / fresh("e")
    held = server.in_stage(made_at(server, str(place)), "production")
    for path in ("model/MLmodel", "m%6fdel/MLmodel", "m%256fdel/MLmodel", "./model/MLmodel"):
        answer = server.ask("POST", query(ROUTE, run_uuid=held.run_id, path=path), b"other", **OCTETS)
        assert answer.status == 403, (path, answer)
    assert [each.read_text() for each in place.rglob("MLmodel")] == ["flavors: {}"]


def test_no_experiment_has_the_server_write_elsewhere(server: GuardedServer, tmp_path: Path):
    """Into a folder of its own that it neither keeps artifacts in nor is told to trust."""
    with pytest.raises(MlflowException, match="is not among what the server keeps") as found:
        made_at(server, f"{tmp_path}/direct")
    assert (found.value.get_http_status_code(), "artifact_places" in str(found.value)) == (403, True)


@pytest.mark.parametrize("scheme", ["RUNS:/", "runs:///", "Models:/", "models:///"])
def test_a_reference_is_written_as_one(server: GuardedServer, scheme: str):
    """MLflow takes other spellings for the same, and the guard would see no place in them."""
    made = server.make(fresh())
    source = f"{scheme}{made.run_id}/model" if scheme.lower().startswith("runs") else f"{scheme}{made.model_id}"
    asked = {"name": made.model, "source": source, "run_id": made.run_id, "model_id": made.model_id}
    answer = server.ask("POST", "api/2.0/mlflow/model-versions/create", asked)
    assert answer.status in (400, 403), answer
    assert len(server.client().search_model_versions(f"name='{made.model}'")) == 1


@pytest.mark.parametrize("step", ["create", "complete"])
def test_no_upload_goes_past_the_server(server: GuardedServer, held: Made, other: Made, step: str):
    """Neither in parts nor to an address, whether to a bucket or a folder."""
    assert in_parts(step)(server, "api/2.0", held, other).status == 501
    asked = {"model_id": other.model_id, "path": "MLmodel"}
    assert server.ask("POST", "api/2.0/mlflow/artifacts/presigned-upload-url", asked).status == 501


@pytest.fixture(scope="module")
def former(server: GuardedServer) -> Made:
    """Return a version that was in production, and that a rollback may go back to."""
    experiment = server.client().create_experiment(fresh("e"))
    former = server.in_stage(server.make(fresh(), experiment), "production")
    server.in_stage(server.make(former.model), "production")
    return former


FORMER_HARM = (
    "delete the version",
    "delete its run",
    "delete its experiment",
    "delete its logged model",
    "overwrite its file",
    "add a file to it",
    "delete its folder",
    "overwrite its held-out rows",
    "write its run's artifact",
)


@pytest.mark.parametrize("harm", FORMER_HARM)
def test_what_a_rollback_may_go_back_to_is_guarded(server: GuardedServer, former: Made, harm: str):
    """Refused with the command that gives it up; the rollback is possible all the while."""
    answer = HARM[harm](server, "api/2.0", former, former)
    assert answer.status == 403, answer
    said = answer.document["message"]
    assert f"{former} was in production, and a rollback may go back to it" in said
    assert f"slipway archive {former}" in said
    shown = server.ask("POST", "slipway/rollbacks", {"model": former.model, "reason": "x", "dry_run": True})
    assert shown.document["version"] == str(former)


def test_what_was_archived_is_free(server: GuardedServer):
    """Nothing goes back to it."""
    former = server.in_stage(server.make(fresh()), "production")
    server.in_stage(server.make(former.model), "production")
    assert HARM["add a file to it"](server, "api/2.0", former, former).status == 403
    assert server.ask("POST", "slipway/archivals", {"version": str(former), "reason": "old"}).status == 200
    put(server, f"{former.files}/extra.py", b"x")
    server.client().delete_model_version(former.model, str(former.number))


ALIKE = ("product\u0456on", "\uff50roduction", "produ\u0441tion", "pr0duction", "production_", "production\n")


@pytest.mark.parametrize("alias", ALIKE, ids=ascii)
def test_an_alias_that_looks_like_a_stage_is_refused(server: GuardedServer, held: Made, other: Made, alias: str):
    """People would take it for what was decided."""
    body = {"name": held.model, "alias": alias, "version": str(other.number)}
    answer = server.ask("POST", "api/2.0/mlflow/registered-models/alias", body)
    assert (answer.status, "looks like the protected stage production" in answer.text) == (403, True), answer


def test_a_model_that_looks_like_a_protected_one_is_refused(server: GuardedServer, held: Made, other: Made):
    """By creating it, and by giving another its name."""
    alike = held.model.replace("m", "\u043c", 1)
    created = server.ask("POST", "api/2.0/mlflow/registered-models/create", {"name": alike})
    assert (created.status, f"it looks like {held.model}" in created.text) == (403, True), created
    free = server.make(fresh())
    body = {"name": free.model, "new_name": f"{held.model}\u200b"}
    assert server.ask("POST", "api/2.0/mlflow/registered-models/rename", body).status == 403


def test_a_rename_puts_nothing_into_a_stage(server: GuardedServer):
    """Where the policy leaves the name free, alias and label may be set; a rename carries them to no protected one."""
    made = server.make(f"sandbox-{secrets.token_hex(4)}")
    for name, body in (
        ("alias", {"name": "sandbox", "alias": "production", "version": "1"}),
        ("label", {"name": "sandbox", "version": "1", "stage": "Production"}),
    ):
        sandbox = server.make("sandbox")
        body = {**body, "version": str(sandbox.number)}
        path = "registered-models/alias" if name == "alias" else "model-versions/transition-stage"
        assert server.ask("POST", f"api/2.0/mlflow/{path}", body).status == 200
        moved = {"name": "sandbox", "new_name": fresh("pricing")}
        answer = server.ask("POST", "api/2.0/mlflow/registered-models/rename", moved)
        assert (answer.status, "model sandbox is not renamed" in answer.text) == (403, True), answer
        server.client().delete_registered_model("sandbox")
    server.client().rename_registered_model(made.model, fresh("pricing"))


def test_nobody_has_anothers_run_held_for_a_version_of_his_own(server: GuardedServer, held: Made, other: Made):
    """Its owner could not end it any more: neither a version nor a logged model names a run that did not store it."""
    create = "api/2.0/mlflow/model-versions/create"
    body = {
        "name": other.model,
        "source": f"models:/{other.model_id}",
        "run_id": held.run_id,
        "model_id": other.model_id,
    }
    answer = server.ask("POST", create, body)
    assert (answer.status, "did not store them" in answer.text) == (403, True), answer
    elsewhere = server.client().create_experiment(fresh("e"))
    logged = {"experiment_id": elsewhere, "name": "m", "source_run_id": held.run_id}
    answer = server.ask("POST", "api/2.0/mlflow/logged-models", logged)
    assert (answer.status, "did not store them" in answer.text) == (403, True), answer


TWO_MEANINGS = {
    "query and body": ("DELETE", "model-versions/delete?name=x&version=1", "text/plain", {"name": "{held}"}),
    "two names": ("POST", "runs/set-tag", "application/json", {"run_uuid": "{run}", "runId": "x", "key": "k"}),
    "two names in the query": ("POST", "upload-artifact?run_uuid={run}&run_id=x&path=a", "text/plain", {}),
    "one name twice": ("GET", "runs/get?run_id={run}&run_id=x", "text/plain", {}),
}


@pytest.mark.parametrize("how", TWO_MEANINGS)
@pytest.mark.parametrize("base", BASES)
def test_a_request_says_one_thing_of_what_it_is_about(server: GuardedServer, held: Made, base: str, how: str):
    """MLflow asks for permission by the one and does the other."""
    method, path, kind, body = TWO_MEANINGS[how]
    names = {"held": held.model, "run": held.run_id}
    content = json.dumps({key: value.format(**names) for key, value in body.items()}).encode()
    answer = server.ask(method, f"{base}/mlflow/{path.format(**names)}", content, **{"Content-Type": kind})
    assert (answer.status, "says two things" in answer.text) == (400, True), answer


def test_the_server_runs_no_commands_for_whoever_asks(server: GuardedServer):
    """MLflow's assistant does, with the server's environment; nothing of it is there."""
    found = {route.path: route.methods for route in assistant_router.routes}
    assert found, "MLflow has its assistant elsewhere: look for it"
    for path, methods in found.items():
        for method in methods:
            answer = server.ask(method, path.strip("/").format_map(defaultdict(lambda: "x")), {})
            assert answer.status in (404, 405), (method, path, answer)


def test_graphql_changes_nothing():
    """A mutation that a later MLflow brings has to be looked at."""
    mutations = schema.graphql_schema.mutation_type
    assert set(mutations.fields if mutations else ()) <= {"testMutation", "mlflowSearchDatasets", "mlflowSearchRuns"}


def test_mlflows_client_learns_what_to_do(server: GuardedServer, held: Made, other: Made):
    """Its exception carries the message."""
    with pytest.raises(mlflow.exceptions.MlflowException) as refused:
        server.client().set_registered_model_alias(held.model, "production", str(other.number))
    assert refused.value.error_code == "PERMISSION_DENIED"
    assert f"{held} is in production (put there by" in refused.value.message
    assert f"slipway promote {other} --to production" in refused.value.message


def test_prompt_calls_do_not_reach_models(server: GuardedServer, held: Made, other: Made):
    """MLflow's prompts share the registry's tables."""
    client = server.client()
    for act in (
        lambda: client.set_prompt_alias(held.model, "production", other.number),
        lambda: client.delete_prompt_alias(held.model, "production"),
        lambda: client.delete_prompt(held.model),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException):
            act()
    assert client.get_registered_model(held.model).aliases == {"production": str(held.number)}


def test_a_path_that_no_store_takes_is_refused_at_once(server: GuardedServer, held: Made):
    """All folders above one are looked up: for 30,000 of them a worker was busy for half a minute."""
    run = f"{held.experiment_id}/{held.run_id}/artifacts"
    answer = server.ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{run}/{'a/' * 30_000}b", b"x")
    assert (answer.status, "characters is longer than any store takes" in answer.text) == (400, True)


def test_mlflows_client_works_for_everything_else(
    server: GuardedServer, held: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Runs, models, versions, aliases, tags, copies, deletions, prompts."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    name, client = fresh(), MlflowClient(server.url, server.url)
    with mlflow.start_run() as run:
        mlflow.log_param("p", 1)
        mlflow.log_metrics({"m": 1.0})
        mlflow.set_tag("slipway.data", "of a run that nothing in a stage comes from")
        (tmp_path / "note.txt").write_text("a")
        mlflow.log_artifact(str(tmp_path / "note.txt"))
        model = DummyClassifier(strategy="constant", constant=1).fit([[0.0], [1.0]], [0, 1])
        mlflow.sklearn.log_model(model, name="m", registered_model_name=name, pip_requirements=["mlflow"])
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict([[3.0]]).tolist() == [1]
    client.set_registered_model_alias(name, "live", "1")
    client.set_model_version_tag(name, "1", "owner", "ann")
    client.set_registered_model_tag(name, "owner", "ann")
    client.update_model_version(name, "1", "described")
    copied = client.copy_model_version(f"models:/{held}", name)
    assert (copied.current_stage, "slipway.stage" in client.get_model_version(name, copied.version).tags) == (
        "None",
        False,
    )
    with pytest.warns(FutureWarning):
        client.transition_model_version_stage(name, "1", "Archived")
    client.delete_registered_model_alias(name, "live")
    client.delete_model_version(name, copied.version)
    client.rename_registered_model(name, f"{name}-2")
    client.delete_registered_model(f"{name}-2")
    client.delete_run(run.info.run_id)
    client.restore_run(run.info.run_id)
    put(server, f"{RUN.format(held=held)}/plots/later.txt", b"a plot")
    prompt = mlflow.genai.register_prompt(fresh("prompt"), "Hello {{name}}")
    mlflow.genai.set_prompt_alias(prompt.name, "production", prompt.version)
    assert mlflow.genai.load_prompt(f"prompts:/{prompt.name}@production").template == "Hello {{name}}"
    mlflow.genai.delete_prompt_alias(prompt.name, "production")
    client.delete_prompt_version(prompt.name, str(prompt.version))
    client.delete_prompt(prompt.name)


def test_what_has_left_its_stage_is_free(server: GuardedServer):
    """Demoted by Slipway, it may be deleted with all that it comes from."""
    made = server.in_stage(server.make(fresh()), "staging")
    assert server.ask("DELETE", f"api/2.0/mlflow/logged-models/{made.model_id}").status == 403
    done = server.ask("POST", "slipway/demotions", {"version": str(made), "reason": "done"})
    assert done.status == 200, done
    client = server.client()
    client.delete_logged_model(made.model_id)
    client.delete_run(made.run_id)
    client.delete_model_version(made.model, str(made.number))
    client.delete_registered_model(made.model)


def test_a_copy_protects_what_it_points_to(server: GuardedServer):
    """Its files are the original's, whose model and name it has not."""
    original = server.make(fresh())
    copied = server.client().copy_model_version(f"models:/{original}", fresh("copy"))
    made = Made(copied.name, int(copied.version), original.run_id, original.model_id, "0")
    server.in_stage(made, "production")
    for harm in ("delete its logged model", "delete its run", "overwrite its file"):
        answer = HARM[harm](server, "api/2.0", made, made)
        assert (answer.status, str(made) in answer.text) == (403, True), harm


def test_a_verdict_on_what_nobody_registered_holds_for_the_files_that_were_judged(server: GuardedServer):
    """Others that are stored after it are promoted by nobody, with or without a check of the files."""
    made = server.make("unregistered")
    assert server.ask("POST", "slipway/verdicts", server.verdict(made, "production")).status == 200
    put(server, f"{made.experiment_id}/models/{made.model_id}/artifacts/MLmodel", b"flavors: {}  # others")
    about = {"version": str(made), "stage": "production", "reason": "test"}
    refused = server.ask("POST", "slipway/promotions", about)
    assert refused.status == 409, refused
    assert server.client().get_registered_model("unregistered").aliases == {}
    assert server.promote(made, "production").status == 200
