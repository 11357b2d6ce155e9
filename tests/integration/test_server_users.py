"""A guarded server with MLflow's users: who is known, who may see, and who has a role for a stage."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.server.auth.client import AuthServiceClient

from tests.servers.guarded import GuardedServer, Made, as_user, put, serve
from tests.servers.processes import environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("users")]
ADMIN, PASSWORD = "admin", "correct horse battery"
POLICY = """
stages:
  staging: {enter_from: any, checks: {lineage: {require: [run]}}}
  production:
    enter_from: any
    allow_override: true
    checks: {lineage: {require: [run]}}
    verdict_by: [ci]
    roles: {assess: [ci], approve: [bob], promote: [petra], override: [olga]}
"""
AUTH = """
[mlflow]
default_permission = READ
database_uri = {database}
grant_default_workspace_access = true
"""
USERS = ("ci", "bob", "petra", "olga", "ed", "vera", "nina")


@pytest.fixture(scope="module")
def guarded(
    database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[GuardedServer]:
    """Return a server with two workers, a policy with roles and an administrator, asked as the administrator."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "auth.ini").write_text(AUTH.format(database=f"sqlite:///{folder}/auth.db"))
    secrets = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only for this test",
    }
    with serve(folder, database(folder), app="slipway-auth", workers=2, policy=POLICY, **secrets) as running:
        monkeypatch_module.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
        monkeypatch_module.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        client = AuthServiceClient(running.url)
        for user in USERS:
            client.create_user(user, PASSWORD)
        yield replace(running, headers=as_user(ADMIN, PASSWORD))


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    """Return a monkeypatch that lasts as long as the server."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def made(guarded: GuardedServer) -> Made:
    """Return a version in staging that ed may edit, everybody may read and nina may not see."""
    found = guarded.in_stage(guarded.make("m"), "staging")
    client = AuthServiceClient(guarded.url)
    client.grant_user_permission("ed", "registered_model", "m", "EDIT")
    client.grant_user_permission("nina", "registered_model", "m", "DENY")
    return found


def of(server: GuardedServer, user: str) -> GuardedServer:
    """Return the server as a user asks it."""
    return replace(server, headers=as_user(user, PASSWORD))


def code(answer) -> tuple[int, str]:
    """Return an error's status and code."""
    return answer.status, answer.document["error"]["code"]


@pytest.mark.parametrize("headers", [{}, as_user("petra", "guessed"), as_user("nobody", PASSWORD)])
def test_whoever_is_not_known_is_asked_who_he_is(guarded: GuardedServer, made: Made, headers: dict[str, str]):
    """On every route of the API, the pages that describe it among them."""
    stranger = replace(guarded, headers=headers)
    for path in (
        "status",
        "policy",
        "models/m/history",
        "heartbeats",
        "ledger/models",
        "docs",
        "openapi.json",
        "nowhere",
    ):
        assert stranger.ask("GET", f"slipway/{path}").status == 401, path
    body = {"model": "m", "reason": "x", "actor": "petra"}
    assert stranger.ask("POST", "slipway/rollbacks", body).status == 401
    assert of(guarded, "vera").ask("GET", "slipway/openapi.json").status == 200


def test_roles_decide_and_the_user_is_on_record(guarded: GuardedServer, made: Made):
    """Whatever a user may edit in MLflow, and whatever they say that they are called."""
    verdict = guarded.verdict(made, "production")
    for user in ("ed", "petra", ADMIN):
        answer = of(guarded, user) if user != ADMIN else guarded
        assert code(answer.ask("POST", "slipway/verdicts", verdict)) == (403, "not-your-role"), user
    assert of(guarded, "ci").ask("POST", "slipway/verdicts", {**verdict, "actor": "petra"}).status == 200
    asked = {"version": str(made), "stage": "production", "reason": "x", "actor": "petra"}
    for user in ("ed", "vera", "ci"):
        assert code(of(guarded, user).ask("POST", "slipway/promotions", asked)) == (403, "not-your-role"), user
    assert of(guarded, "petra").ask("POST", "slipway/promotions", asked).status == 200
    events = of(guarded, "vera").ask("GET", "slipway/models/m/history").document["events"]
    assert [(event["kind"], event["actor"], event["actor_authenticated"]) for event in events[-2:]] == [
        ("GateAssessed", "ci", True),
        ("VersionPromoted", "petra", True),
    ]


def test_an_engines_word_takes_more_than_to_read_and_is_bound_to_its_user(guarded: GuardedServer, made: Made):
    """A reader neither writes nor removes any; another who may edit speaks for no engine but her own."""
    names = {"engine": "host:8080:1", "model": "m", "stage": "staging", "address": "http://host", "runner": None}
    beats = {"beats": [{**names, "version": 1, "since": None, "at": "2099-01-01T00:00:00+00:00", "problem": None}]}
    leave = {"engine": names["engine"]}
    assert code(of(guarded, "vera").ask("POST", "slipway/heartbeats", beats)) == (403, "not-your-role")
    assert of(guarded, "ed").ask("POST", "slipway/heartbeats", beats).status == 200
    assert code(of(guarded, "vera").ask("POST", "slipway/heartbeats/leave", leave)) == (403, "another-engine")
    AuthServiceClient(guarded.url).grant_user_permission("ci", "registered_model", "m", "EDIT")
    for path, body in (("heartbeats", beats), ("heartbeats/leave", leave)):
        assert code(of(guarded, "ci").ask("POST", f"slipway/{path}", body)) == (403, "another-engine")
    AuthServiceClient(guarded.url).revoke_user_permission("ci", "registered_model", "m")
    (found,) = of(guarded, "vera").ask("GET", "slipway/heartbeats").document["beats"]
    assert not found["at"].startswith("2099")
    assert guarded.ask("POST", "slipway/heartbeats/leave", leave).status == 200
    assert of(guarded, "vera").ask("GET", "slipway/heartbeats").document == {"beats": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "models/m%00/history", None, 400),
        ("GET", "models/%ED%A0%80/history", None, 404),
        ("GET", "ledger/records?model_uid=default/1/m%00", None, 400),
        ("GET", f"ledger/records?model_uid=default/1/m&version={10**30}", None, 400),
        ("GET", "ledger/anchors?model_uid=default/x", None, 400),
        ("POST", "rollbacks", {"model": "m", "reason": "a\0b"}, 400),
        ("POST", "rollbacks", {"model": "m", "reason": "\ud800"}, 400),
        ("POST", "rollbacks", {"model": "m", "reason": "x" * 5_000_000}, 400),
        ("POST", "rollbacks", {"model": "m", "reason": "x" * 17_000_000}, 413),
        ("POST", "archivals", {"version": f"m/{10**30}", "reason": "x"}, 400),
    ],
)
def test_what_no_database_could_hold_is_wrong_in_the_request(
    guarded: GuardedServer, made: Made, method: str, path: str, body: dict, status: int
):
    """On a real server and PostgreSQL, in the one shape."""
    answer = of(guarded, "petra").ask(method, f"slipway/{path}", body)
    assert (answer.status, set(answer.document["error"])) == (status, {"kind", "code", "message", "hint"})


def test_without_a_list_it_takes_mlflows_permission(guarded: GuardedServer, made: Made):
    """For staging nobody is listed: who may edit the model may, who may read it may not."""
    about = {"version": str(made), "stage": "staging", "reason": "x"}
    assert code(of(guarded, "vera").ask("POST", "slipway/approvals", about)) == (403, "not-your-role")
    assert guarded.ask("POST", "slipway/registrations", {"version": str(made), "reason": "x"}).status in (200, 409)
    assert of(guarded, "ed").ask("POST", "slipway/approvals", about).status == 200


def test_who_may_not_see_a_model_learns_nothing_of_it(guarded: GuardedServer, made: Made):
    """Neither its stages nor its history."""
    nina = of(guarded, "nina")
    assert nina.ask("GET", "slipway/status").document == {"stages": [], "problems": []}
    assert code(nina.ask("GET", "slipway/models/m/history")) == (403, "not-yours-to-see")
    assert code(nina.ask("POST", "slipway/rollbacks", {"model": "m", "reason": "x"})) == (403, "not-yours-to-see")
    about = {"version": "another/1", "stage": "staging", "reason": "x"}
    asked = [nina.ask("GET", "slipway/models/another/history"), nina.ask("POST", "slipway/approvals", about)]
    assert [each.status for each in asked] == [404, 404]
    assert not any("there are" in each.text for each in asked), "the name of a model that nina may not see"


@pytest.mark.parametrize("user", ["ed", ADMIN])
def test_neither_editor_nor_administrator_moves_an_alias_by_hand(guarded: GuardedServer, made: Made, user: str):
    """MLflow would let both; the guard lets neither."""
    moved = {"name": "m", "alias": "production", "version": str(made.number)}
    asked = of(guarded, user) if user != ADMIN else guarded
    answer = asked.ask("POST", "api/2.0/mlflow/registered-models/alias", moved)
    assert (answer.status, answer.document["error_code"]) == (403, "PERMISSION_DENIED")
    assert "slipway promote" in answer.document["message"]


def test_mlflow_itself_still_refuses_whom_it_refuses(guarded: GuardedServer, made: Made):
    """Its own users, permissions and administration work as without us."""
    vera = of(guarded, "vera")
    tag = {"name": "m", "key": "owner", "value": "vera"}
    assert vera.ask("POST", "api/2.0/mlflow/registered-models/set-tag", tag).status == 403
    assert of(guarded, "ed").ask("POST", "api/2.0/mlflow/registered-models/set-tag", tag).status == 200
    assert vera.ask("POST", "api/2.0/mlflow/users/create", {"username": "x", "password": PASSWORD}).status == 403


@pytest.mark.parametrize("gone_by", ["rename", "delete"])
def test_a_name_with_a_past_is_given_to_another_model_by_an_administrator_alone(guarded: GuardedServer, gone_by: str):
    """Who has read the alias comes for the number: he is not to find what nobody decided about."""
    name, ed = f"past-{gone_by}", of(guarded, "ed")
    made = guarded.in_stage(guarded.make(name), "staging")
    AuthServiceClient(guarded.url).grant_user_permission("ed", "registered_model", name, "MANAGE")
    models = "api/2.0/mlflow/registered-models"
    demoted = {"version": str(made), "reason": "bad"}
    assert guarded.ask("POST", "slipway/demotions", demoted).status == 200
    if gone_by == "rename":
        assert ed.ask("POST", f"{models}/rename", {"name": name, "new_name": f"{name}-old"}).status == 200
    else:
        assert ed.ask("DELETE", f"{models}/delete", {"name": name}).status == 200
    answer = ed.ask("POST", f"{models}/create", {"name": name})
    assert (answer.status, answer.document["error_code"]) == (403, "PERMISSION_DENIED")
    assert "was in the protected stage staging" in answer.document["message"]
    assert ed.ask("POST", f"{models}/create", {"name": f"{name}-new"}).status == 200
    answer = ed.ask("POST", f"{models}/rename", {"name": f"{name}-new", "new_name": name})
    assert (answer.status, "staging" in answer.document["message"]) == (403, True)
    if gone_by == "rename":
        assert ed.ask("POST", f"{models}/rename", {"name": f"{name}-old", "new_name": name}).status == 200
        again = ed.ask("POST", f"{models}/create", {"name": name})
        assert again.document["error_code"] == "RESOURCE_ALREADY_EXISTS", again
    else:
        assert guarded.ask("POST", f"{models}/create", {"name": name}).status == 200


Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(guarded: GuardedServer, tmp_path: Path) -> Call:
    """Return what runs `slipway` at the server as a user."""

    def run(*words: str, user: str, password: str = PASSWORD, **variables: str) -> "subprocess.CompletedProcess[str]":
        given = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password, **variables}
        return subprocess.run(
            [sys.executable, "-m", "slipway", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            env=environment(MLFLOW_TRACKING_URI=guarded.url, PYTHONPATH=str(Path(__file__).parents[2]), **given),
        )

    return run


def test_the_commands_take_user_and_password_from_mlflows_variables(made: Made, call: Call):
    """And say what is wrong with them."""
    shown = json.loads(call("status", "--json", user="vera").stdout)["stages"]
    assert [row["model"] for row in shown] == ["m"]
    wrong = call("status", user="vera", password="guessed")
    assert (wrong.returncode, "MLFLOW_TRACKING_PASSWORD" in wrong.stderr) == (1, True), wrong
    refused = call("rollback", "m", "--reason", "x", user="ed")
    assert (refused.returncode, "the policy lets petra" in refused.stderr) == (1, True), refused


def test_a_user_trains_into_an_experiment_of_his_own(guarded: GuardedServer, made: Made, call: Call):
    """Into those of others, which everybody may read, they may not, and that is said; nothing is registered."""
    train = ("train", "--data", "sklearn:iris", "--target", "target", "--model", "iris-of-ed")
    refused = call(*train, user="ed", MLFLOW_EXPERIMENT_NAME="Default")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False), refused
    assert "does not let you log runs into this experiment" in refused.stderr
    assert "MLFLOW_EXPERIMENT_NAME" in refused.stderr
    assert guarded.ask("POST", "api/2.0/mlflow/experiments/create", {"name": "iris-of-admin"}).status == 200
    taken = call(*train[:-1], "iris-of-admin", user="ed")
    assert "does not let you log runs into experiment 'iris-of-admin'" in taken.stderr, taken
    unknown = call(*train, user="ed", password="guessed")
    assert "MLFLOW_TRACKING_USERNAME" in unknown.stderr
    done = call(*train, user="ed")
    assert done.returncode == 0, done
    assert "iris-of-ed/1" in done.stdout


def version_by_ed(guarded: GuardedServer) -> Made:
    """Have ed register a version whose run, logged model and version say that bob made it."""
    ed = of(guarded, "ed")

    def ask(path: str, method: str = "POST", **body: object) -> dict:
        answer = ed.ask(method, f"api/2.0/mlflow/{path}", body)
        assert answer.status == 200, answer
        return answer.document

    experiment = ask("experiments/create", name="tried by ed")["experiment_id"]
    bob = [{"key": "mlflow.user", "value": "bob"}]
    run = ask("runs/create", experiment_id=experiment, user_id="bob", start_time=0, tags=bob)["run"]["info"]
    assert run["user_id"] == "ed"
    said = [{"key": "slipway.logged_by", "value": "bob"}]
    logged = ask("logged-models", experiment_id=experiment, name="m", source_run_id=run["run_id"], tags=said)
    model_id = logged["model"]["info"]["model_id"]
    put(ed, f"{experiment}/models/{model_id}/artifacts/MLmodel", b"flavors: {}")
    ask(f"logged-models/{model_id}", "PATCH", model_id=model_id, status="LOGGED_MODEL_READY")
    ask("registered-models/create", name="of-ed")
    registered = [{"key": "slipway.registered_by", "value": "bob"}]
    source = f"models:/{model_id}"
    ask("model-versions/create", name="of-ed", source=source, model_id=model_id, run_id=run["run_id"], tags=registered)
    return Made("of-ed", 1, run["run_id"], model_id, experiment)


def test_who_trained_is_whom_the_server_knows(guarded: GuardedServer):
    """Whatever run, logged model and version say of themselves: ed is their author, and bob may approve."""
    made = version_by_ed(guarded)
    AuthServiceClient(guarded.url).grant_user_permission("bob", "registered_model", "of-ed", "EDIT")
    about = {"version": str(made), "stage": "staging", "reason": "x"}
    assert code(of(guarded, "bob").ask("POST", "slipway/approvals", about)) == (409, "not-registered")
    recorded = of(guarded, "bob").ask("POST", "slipway/registrations", {"version": str(made), "reason": "x"})
    assert recorded.status == 200, recorded
    (event,) = guarded.ask("GET", "slipway/models/of-ed/history").document["events"]
    assert event["details"]["provenance"]["people"] == ["ed"]
    assert event["details"]["location"] == f"mlflow-artifacts:/{made.files}"
    tags = {"tags": [{"key": "slipway.logged_by", "value": "ci"}]}
    refused = of(guarded, "ed").ask("PATCH", f"api/2.0/mlflow/logged-models/{made.model_id}/tags", tags)
    assert (refused.status, refused.document["error_code"]) == (403, "PERMISSION_DENIED")
    tag = {"run_id": made.run_id, "key": "mlflow.user", "value": ADMIN}
    assert of(guarded, "ed").ask("POST", "api/2.0/mlflow/runs/set-tag", tag).status == 200
    assert guarded.ask("POST", "slipway/approvals", about).status == 200
    assert code(of(guarded, "ed").ask("POST", "slipway/approvals", about)) == (403, "own-version")
