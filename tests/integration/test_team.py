"""A team's stack, prepared, examined and run on real servers; each thing that the doctor looks at is really broken."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from slipway.registry.setup.doctor import Health
from slipway.registry.setup.examine import Around, examine
from slipway.registry.versions.sql_store import move_artifact_locations
from tests.servers.ceph import CephServer
from tests.servers.dated_proxy import dated_proxy
from tests.servers.guarded import GuardedServer, as_user
from tests.servers.postgres import PostgresServer
from tests.servers.processes import answers, free_port, process, wait_for
from tests.servers.team import PASSWORD, SECTION, Team, name_of, run_here, with_password

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("team")]
PARTS = ("bucket", "MLflow's tables", "history's tables", "file about its users", "administrator")


@pytest.fixture(scope="module")
def prepared(postgres: PostgresServer, ceph: CephServer, tmp_path_factory: pytest.TempPathFactory) -> Team:
    """Return a stack that init prepared, for others to be copied from."""
    database = postgres.create_database()
    team = Team(folder=tmp_path_factory.mktemp("prepared"), database=database, bucket="prepared", ceph=ceph)
    team.prepared()
    return team


@pytest.fixture
def team(prepared: Team, postgres: PostgresServer, tmp_path: Path) -> Team:
    """Return a prepared stack that a test may break."""
    database = postgres.create_database(template=name_of(prepared.database))
    made = replace(prepared, folder=tmp_path, database=database, bucket=prepared.ceph.create_bucket())
    assert made.here("init", "--team").returncode == 0
    return made


def test_init_makes_what_is_missing_and_a_second_one_changes_nothing(
    postgres: PostgresServer, ceph: CephServer, tmp_path: Path
):
    """Bucket, tables, file and administrator; nothing in the database differs after the second."""
    team = Team(folder=tmp_path, database=postgres.create_database(), bucket="made-by-init", ceph=ceph)
    first = team.prepared()
    assert len(first) == len(PARTS)
    assert all(any(word in name for name in first) for word in PARTS)
    assert set(first.values()) == {False}
    rows, config = team.rows(), (tmp_path / ".slipway/mlflow_auth.ini").stat()
    assert rows["experiments"][0][2] == "mlflow-artifacts:/0"
    assert config.st_mode & 0o077 == 0
    assert set(team.prepared().values()) == {True}
    assert team.rows() == rows
    assert (tmp_path / ".slipway/mlflow_auth.ini").stat().st_mtime_ns == config.st_mtime_ns


def test_three_at_once_make_everything_once(postgres: PostgresServer, ceph: CephServer, tmp_path: Path):
    """One makes each part, the others wait and find it there."""
    team = Team(folder=tmp_path, database=postgres.create_database(), bucket="made-by-three", ceph=ceph)
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda _: team.prepared(), range(3)))
    assert {name: [report[name] for report in reports].count(False) for name in reports[0]} == dict.fromkeys(
        reports[0], 1
    )


def test_a_dry_run_says_what_is_missing_and_makes_nothing(postgres: PostgresServer, ceph: CephServer, tmp_path: Path):
    """Neither a table nor a bucket nor a file."""
    team = Team(folder=tmp_path, database=postgres.create_database(), bucket="not-made", ceph=ceph)
    done = team.here("init", "--team", "--dry-run")
    assert done.returncode == 0
    assert done.stderr.count("would be made: ") == len(PARTS)
    assert team.rows() == {}
    assert list(tmp_path.iterdir()) == []


def test_tables_of_an_older_mlflow_are_not_changed_by_init(team: Team):
    """To migrate is a decision, after a backup."""
    execute(team, "UPDATE alembic_version SET version_num = '451aebb31d03'")
    done = team.here("init", "--team")
    assert done.returncode == 1
    assert "MLflow's tables are of revision 451aebb31d03" in done.stderr
    assert "hint: back the database up, then: mlflow db upgrade" in done.stderr


def test_without_an_administrators_password_init_says_what_to_set(team: Team):
    """Nobody is made with a password that somebody could guess."""
    execute(team, "UPDATE users SET is_admin = false")
    done = team.here("init", "--team", **{f"{SECTION}ADMIN_PASSWORD": ""})
    assert done.returncode == 1
    assert "hint: set SLIPWAY_REGISTRY__SERVER__ADMIN_PASSWORD" in done.stderr


def test_a_healthy_stack_is_healthy(team: Team):
    """Nothing is wrong or left in the bucket, and what deserves attention is said: no versions, no server yet."""
    found = team.findings()
    assert {name: each["outcome"] for name, each in found.items()} == {
        "database": "ok",
        "MLflow's tables": "ok",
        "history's tables": "ok",
        "users' file": "ok",
        "users' tables": "ok",
        "administrator": "ok",
        "credentials": "ok",
        "bucket": "ok",
        "clock (S3)": "ok",
        "region": "ok",
        "bucket access": "ok",
        "bucket versioning": "warn",
        "artifact roots": "ok",
        "server": "warn",
        f"disk ({team.folder})": "ok",
        "serving cache": "ok",
    }
    assert found["bucket access"]["found"] == "can write, list, read, delete"
    assert found["administrator"]["found"] == "admin"
    assert "Contents" not in team.ceph.client().list_objects_v2(Bucket=team.bucket)


def test_a_bucket_with_versions_is_told_and_left_without_traces(team: Team):
    """The object that the doctor writes leaves neither a version nor a mark that it was deleted."""
    client = team.ceph.client()
    client.put_bucket_versioning(Bucket=team.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert team.findings()["bucket versioning"]["found"] == "on"
    left = client.list_object_versions(Bucket=team.bucket)
    assert [left.get(kind, []) for kind in ("Versions", "DeleteMarkers")] == [[], []]


def execute(team: Team, statement: str) -> None:
    """Change the database behind everybody's back."""
    with psycopg.connect(team.database) as connection:
        connection.execute(statement)


def test_a_wrong_password_is_told_without_repeating_it(team: Team, postgres: PostgresServer):
    """One finding for the database, and nothing of the password, right or wrong."""
    secured = with_password(postgres, team.database, "secured", "right-secret")
    right, wrong = (secured.replace("secured@", f"secured:{word}-secret@") for word in ("right", "wrong"))
    assert team.findings(**{f"{SECTION}DATABASE": right})["database"]["outcome"] == "ok"
    done = team.here("doctor", **{f"{SECTION}DATABASE": wrong})
    assert done.returncode == 1
    assert "password authentication failed" in done.stdout
    assert "secured:***@" in done.stdout
    assert "-secret" not in done.stdout + done.stderr
    assert "MLflow's tables" not in done.stdout


def test_a_database_that_is_away_is_one_finding(team: Team):
    """What else could have been asked there is not repeated."""
    found = team.findings(
        **{f"{SECTION}DATABASE": "postgresql://postgres@127.0.0.1:1/mlflow", f"{SECTION}USERS": "off"}
    )
    assert found["database"]["outcome"] == "wrong"
    assert found["database"]["todo"] == "check that it runs at that address"
    assert "MLflow's tables" not in found
    assert found["bucket access"]["outcome"] == "ok"


def test_an_empty_database_has_no_tables(team: Team, postgres: PostgresServer):
    """Each kind of tables is missed, and init makes them."""
    found = team.findings(**{f"{SECTION}DATABASE": postgres.create_database()})
    for name in ("MLflow's tables", "history's tables", "users' tables"):
        assert (found[name]["outcome"], found[name]["found"]) == ("wrong", "there are none")
        assert found[name]["todo"].startswith("slipway init")
    assert found["database"]["outcome"] == "ok"


@pytest.mark.parametrize(
    ("name", "table", "older", "todo"),
    [
        ("MLflow's tables", "alembic_version", "451aebb31d03", "mlflow db upgrade postgresql://"),
        ("history's tables", "slipway_alembic_version", "0001", "slipway init --team"),
        ("users' tables", "alembic_version_auth", "8606fa83a998", "slipway init --team"),
    ],
)
def test_tables_of_another_revision_are_told_as_older_or_newer(
    team: Team, name: str, table: str, older: str, todo: str
):
    """Older ones are upgraded; newer ones need what made them."""
    execute(team, f"UPDATE {table} SET version_num = '{older}'")
    found = team.findings()[name]
    assert found["outcome"] == "wrong"
    assert f"revision {older}, and " in found["found"]
    assert "older" in found["found"]
    assert todo in found["todo"]
    execute(team, f"UPDATE {table} SET version_num = 'ffffffffffff'")
    found = team.findings()[name]
    assert (found["outcome"], found["todo"]) == ("wrong", "install the version that made them")


def test_users_without_an_administrator_are_told(team: Team):
    """Nobody could make an account."""
    execute(team, "UPDATE users SET is_admin = false")
    assert team.findings()["administrator"]["outcome"] == "wrong"


def test_a_missing_bucket_is_told(team: Team):
    """And nothing else is asked of it."""
    team.ceph.client().delete_bucket(Bucket=team.bucket)
    found = team.findings()
    assert found["bucket"]["outcome"] == "wrong"
    assert found["bucket"]["todo"].startswith("slipway init --team")
    assert "bucket access" not in found


def test_credentials_that_may_only_read_are_told(team: Team):
    """What they can and cannot do, each by its verb."""
    key, secret = team.ceph.create_user()
    arn = f"arn:aws:s3:::{team.bucket}"
    rule = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam:::user/{key}"]},
        "Action": ["s3:ListBucket", "s3:GetObject", "s3:GetBucketVersioning"],
        "Resource": [arn, f"{arn}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    team.ceph.client().put_bucket_policy(Bucket=team.bucket, Policy=policy)
    found = team.findings(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret)
    assert found["bucket"]["outcome"] == "ok"
    assert found["bucket access"]["outcome"] == "wrong"
    assert found["bucket access"]["found"].startswith("can list; cannot write: ")
    assert "AccessDenied" in found["bucket access"]["found"]


def test_a_wrong_secret_key_is_told_without_repeating_it(team: Team):
    """With the variables to check."""
    done = team.here("doctor", "--json", AWS_SECRET_ACCESS_KEY="no-such-key")
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert "AWS_SECRET_ACCESS_KEY" in found["bucket access"]["todo"]
    assert "no-such-key" not in done.stdout + done.stderr


def test_missing_credentials_are_told(team: Team):
    """Before anything is asked of S3."""
    found = team.findings(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert found["credentials"]["outcome"] == "wrong"
    assert "bucket" not in found


def test_an_endpoint_where_nobody_answers_is_told(team: Team):
    """One finding, within seconds."""
    found = team.findings(**{f"{SECTION}S3_ENDPOINT": "http://127.0.0.1:1"})
    assert found["bucket"]["outcome"] == "wrong"
    assert "MLFLOW_S3_ENDPOINT_URL" in found["bucket"]["todo"]


@pytest.mark.parametrize(("ahead", "outcome"), [(1, "ok"), (60, "warn"), (-1000, "wrong")])
def test_a_clock_that_differs_from_the_stores_is_told(team: Team, ahead: int, outcome: str):
    """Everything is signed with this machine's time."""
    with dated_proxy(team.ceph.endpoint, timedelta(seconds=ahead)) as endpoint:
        found = team.findings(**{f"{SECTION}S3_ENDPOINT": endpoint})
    assert found["clock (S3)"]["outcome"] == outcome
    assert found["bucket access"]["outcome"] == "ok"


def test_a_region_that_nobody_configured_is_told(team: Team):
    """Signatures name one."""
    assert team.findings(AWS_DEFAULT_REGION="")["region"]["outcome"] == "warn"


def test_an_experiment_on_one_machines_disk_is_told(team: Team):
    """Others could not reach what its runs keep there."""
    execute(team, "UPDATE experiments SET artifact_location = '/home/ann/mlruns/0'")
    found = team.findings()["artifact roots"]
    assert found["outcome"] == "wrong"
    assert "'Default' (/home/ann/mlruns/0)" in found["found"]


def test_wrong_settings_are_a_finding_too(team: Team):
    """All of them, and this machine is examined nevertheless; the secret is not repeated."""
    found = team.findings(**{f"{SECTION}DATABASE": "mysql://ann:hunter2@db", f"{SECTION}PORT": "many"})
    assert "SLIPWAY_REGISTRY__SERVER__DATABASE=(hidden): expected postgresql://" in found["settings"]["found"]
    assert "SLIPWAY_REGISTRY__SERVER__PORT='many'" in found["settings"]["found"]
    assert "serving cache" in found


def test_artifacts_in_a_folder_are_examined_too(team: Team):
    """A team with one server and a disk."""
    place = {f"{SECTION}ARTIFACTS": str(team.folder / "artifacts")}
    assert team.findings(**place)["artifacts"]["outcome"] == "wrong"
    assert team.here("init", "--team", **place).returncode == 0
    assert team.findings(**place)["artifacts access"]["outcome"] == "ok"


def test_the_cache_is_examined(team: Team):
    """Too large, with leftovers, and where nobody can write."""
    left = team.folder / ".slipway/cache/files/trash-1"
    left.mkdir(parents=True)
    assert "files/trash-1" in team.findings()["serving cache"]["found"]
    left.rmdir()
    (left.parent / "model").write_bytes(b"0" * (2 << 20))
    found = team.findings(SLIPWAY_SERVING__CACHE_MAX_MB="1")["serving cache"]
    assert (found["outcome"], found["found"].split(" in ")[0]) == ("warn", "2 of 1 MiB")
    assert team.findings(SLIPWAY_SERVING__CACHE="/dev/null/cache")["serving cache"]["outcome"] == "wrong"


def test_a_server_is_not_started_on_what_is_not_ready(team: Team):
    """What is wrong is said before any process is started."""
    team.ceph.client().delete_bucket(Bucket=team.bucket)
    execute(team, "UPDATE slipway_alembic_version SET version_num = '0001'")
    done = team.run("up", "--team")
    assert done.returncode == 1
    assert "error: the server is not started: history's tables: revision 0001" in done.stderr
    assert f"bucket: s3://{team.bucket}/models is not there" in done.stderr
    assert "hint: slipway init --team" in done.stderr
    assert not (team.folder / ".slipway/logs").exists()


def test_without_settings_there_is_no_server_to_start(tmp_path: Path, team: Team):
    """And the settings that it takes are named."""
    environ = {name: value for name, value in team.variables.items() if not name.startswith(SECTION)}
    for words in (("up", "--team"), ("init", "--team")):
        done = run_here(words, tmp_path, environ)
        assert done.returncode == 1
        assert "the settings name no server of a team" in done.stderr


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def in_session(leader: int) -> list[int]:
    """Return the processes in a session, from /proc; those that ended and wait to be noticed aside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z" and int(session) == leader:
                found.append(int(entry.name))
    return found


def test_the_server_runs_is_used_from_a_laptop_and_leaves_nothing_behind(
    team: Team, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
):
    """Started by one command, it answers with Slipway's API to its users alone; no password is on a command line."""
    secured = with_password(postgres, team.database, "server", "hidden-word")
    database = {f"{SECTION}DATABASE": secured.replace("server@", "server:hidden-word@")}
    assert team.findings(**database)["users' file"]["outcome"] == "wrong"
    assert team.here("init", "--team", **database).returncode == 0
    started = team.start("up", "--team", **database)
    try:
        assert started.stdout.readline() == f"MLflow UI  {team.url}\n", started.stderr.read()
        (session,) = children_of(started.pid)
        lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in in_session(session)]
        assert any("uvicorn" in line for line in lines)
        assert not any("hidden-word" in line or PASSWORD in line for line in lines)

        server = GuardedServer(url=team.url, folder=team.folder, database=team.database, log=team.folder / "log")
        assert server.ask("GET", "slipway/status").status == 401
        admin = as_user("admin", PASSWORD)
        assert server.ask("GET", "slipway/status", **admin).document == {"stages": [], "problems": []}
        path = "api/2.0/mlflow-artifacts/artifacts/0/a.txt"
        assert server.ask("PUT", path, b"through the server", **admin).status == 200
        stored = team.ceph.client().get_object(Bucket=team.bucket, Key="models/0/a.txt")
        assert stored["Body"].read() == b"through the server"

        laptop = tmp_path_factory.mktemp("laptop")
        user = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        done = run_here(("doctor", "--json"), laptop, {"MLFLOW_TRACKING_URI": team.url, **user})
        assert done.returncode == 0, done.stdout
        outcomes = {each["name"]: each["outcome"] for each in json.loads(done.stdout)["checks"]}
        for name in ("MLflow versions", "Slipway's API", "clock (server)", "artifact roots"):
            assert outcomes[name] == "ok"
        wrong = {**user, "MLFLOW_TRACKING_PASSWORD": "wrong"}
        done = run_here(("doctor",), laptop, {"MLFLOW_TRACKING_URI": team.url, **wrong})
        assert done.returncode == 1
        assert "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stdout
        assert team.findings(**database)["Slipway's API"]["outcome"] == "ok"
        with dated_proxy(team.url, timedelta(hours=1)) as behind:
            found = team.findings(MLFLOW_TRACKING_URI=behind, **user, **database)
            assert found["clock (server)"]["outcome"] == "wrong"

        started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0
        assert in_session(session) == []
        said = started.stderr.read()
        assert f"slipway+postgresql://server:***@127.0.0.1:{postgres.port}/" in said
        assert "mlflow server --app-name slipway-auth" in said
        assert "hidden-word" not in said
    finally:
        started.terminate()
        started.communicate()


def test_a_plain_server_of_mlflows_lacks_our_api(store: Path):
    """The stages there are guarded by nobody; that its artifacts are on this machine's disk is as it should be."""
    port = free_port()
    words = ("mlflow", "server", "--port", str(port), "--workers", "1", "--default-artifact-root", f"{store}/mlruns")
    with process(*words, folder=store, log=store / "log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), within_s=120, log=store / "log")
        done = run_here(("doctor", "--json"), store, {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert found["Slipway's API"]["outcome"] == "wrong"
    assert "mlflow server --app-name slipway" in found["Slipway's API"]["todo"]
    assert (found["MLflow versions"]["outcome"], found["artifact roots"]["outcome"]) == ("ok", "ok")


def test_alone_a_store_behind_a_server_is_told(store: Path):
    """Runs without the server would fail in the middle; init mends it."""
    move_artifact_locations(f"sqlite:///{store}/mlflow.db", {"0": "mlflow-artifacts:/0"})
    found = {each["name"]: each for each in json.loads(run_here(("doctor", "--json"), store, {}).stdout)["checks"]}
    assert (found["artifact roots"]["outcome"], "history's tables" in found) == ("wrong", False)
    assert run_here(("init",), store, {}).returncode == 0
    done = run_here(("doctor",), store, {})
    assert done.returncode == 0, done.stdout


def test_an_empty_folder_is_examined_and_stays_empty(tmp_path: Path):
    """The doctor makes no store."""
    done = run_here(("doctor",), tmp_path, {})
    assert done.returncode == 0
    assert "slipway init makes it" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path):
    """By an injected figure: nobody fills a disk for a test."""
    around = Around(
        environ={},
        folder=tmp_path,
        cache=lambda: (tmp_path / "cache", 1),
        now=lambda: datetime.now(UTC),
        room=lambda paths: dict.fromkeys(paths, 10**8),
    )
    found = {each.name: each for each in examine(around)}
    assert found[f"disk ({tmp_path})"].outcome is Health.WRONG
    assert found[f"disk ({tmp_path})"].found == "0.1 GB free"
