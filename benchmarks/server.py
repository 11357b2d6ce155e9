"""What a team's server costs: commands over HTTP as whole processes, and MLflow's calls with and without the guard."""

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from benchmarks.measure import markdown_table, median_seconds_side_by_side, python
from tests.servers.ceph import CephServer
from tests.servers.guarded import GuardedServer, Made, put, serve
from tests.servers.postgres import PostgresServer, binaries
from tests.servers.processes import answers, free_port, process, wait_for

REPEATS = 9
CALLS = 300
ARTIFACT = b"x" * 100_000
LIMIT_S = 0.7


def run() -> str:
    """Return the section of the report."""
    programs = binaries()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed (Debian: apt-get install postgresql): this benchmark needs it")
    with ExitStack() as stack:
        postgres, ceph = PostgresServer(programs), CephServer()
        stack.callback(postgres.stop)
        stack.callback(ceph.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        guarded, plain = folder / "guarded", folder / "plain"
        guarded.mkdir()
        plain.mkdir()
        at = f"s3://{ceph.create_bucket()}"
        ours = stack.enter_context(serve(guarded, postgres.create_database(), artifacts=at, **ceph.environment))
        theirs = stack.enter_context(_unguarded(plain, postgres.create_database(), at, **ceph.environment))
        return "\n\n".join(["## A team's server", _calls(ours, theirs), _commands(ours, folder)])


@contextmanager
def _unguarded(folder: Path, database: str, artifacts: str, **keys: str) -> Iterator[GuardedServer]:
    """Run MLflow's server as it comes, with one worker, on a database and a bucket."""
    port, log = free_port(), folder / "server.log"
    words = ("mlflow", "server", "--backend-store-uri", database, "--port", str(port), "--workers", "1")
    at = ("--artifacts-destination", artifacts)
    url = f"http://127.0.0.1:{port}"
    with process(*words, *at, folder=folder, log=log, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **keys):
        wait_for(lambda: answers(f"{url}/health"), within_s=240, log=log)
        yield GuardedServer(url=url, folder=folder, database=database, log=log)


def _calls(ours: GuardedServer, theirs: GuardedServer) -> str:
    """Compare calls of MLflow's client in turn, on a model with a version in production beside one in no stage."""
    made = {"guarded": _prepared(ours), "plain": _prepared(theirs)}
    held = ours.in_stage(made["guarded"][0], "production")
    _show_alike(ours.client(), theirs.client(), held.number)
    servers = {"guarded": ours, "plain": theirs}
    rows = []
    for label in _ways(theirs, made["plain"][1]):
        ways = {name: _ways(server, made[name][1])[label] for name, server in servers.items()}
        seconds = median_seconds_side_by_side(ways, repeats=CALLS)
        ratio = seconds["guarded"] / seconds["plain"]
        rows.append([label, f"{seconds['plain'] * 1e3:.1f}", f"{seconds['guarded'] * 1e3:.1f}", f"{ratio:.2f}"])
    headers = ["call of MLflow's client", "ms plain", "ms guarded", "ratio"]
    return (
        f"One worker each, on PostgreSQL and one bucket of Ceph RGW, {CALLS} calls in turn (medians):\n\n"
        + markdown_table(headers, rows)
    )


def _prepared(server: GuardedServer) -> tuple[Made, Made]:
    """Return the version that is to be held, and one that is free."""
    return server.make("m"), server.make("m")


def _show_alike(ours: MlflowClient, theirs: MlflowClient, number: int) -> None:
    """Set by hand what a promotion set: MLflow reads all of it with each model and version."""
    for alias in ours.get_registered_model("m").aliases:
        theirs.set_registered_model_alias("m", alias, str(number))
    for key, value in ours.get_registered_model("m").tags.items():
        theirs.set_registered_model_tag("m", key, value)
    version = ours.get_model_version("m", str(number))
    theirs.transition_model_version_stage("m", str(number), version.current_stage)
    for key, value in version.tags.items():
        theirs.set_model_version_tag("m", str(number), key, value)


def _ways(server: GuardedServer, made: Made) -> dict[str, Callable[[], object]]:
    client, number = MlflowClient(server.url, server.url), str(made.number)
    return {
        "get a registered model": lambda: client.get_registered_model("m"),
        "search versions": lambda: client.search_model_versions("name = 'm'"),
        "set an alias": lambda: client.set_registered_model_alias("m", "free", number),
        "set a version's tag": lambda: client.set_model_version_tag("m", number, "owner", "ann"),
        "set a run's tag": lambda: client.set_tag(made.run_id, "owner", "ann"),
        "log a batch": lambda: client.log_batch(
            made.run_id, metrics=[Metric("m", 1.0, 0, 0)], tags=[RunTag("owner", "ann")]
        ),
        "create a run": lambda: client.create_run("0"),
        "store 100 kB": lambda: put(
            server, f"{made.experiment_id}/{made.run_id}/artifacts/{secrets.token_hex(8)}", ARTIFACT
        ),
    }


def _commands(server: GuardedServer, folder: Path) -> str:
    """Measure commands as whole processes at the server."""
    ask = {"MLFLOW_TRACKING_URI": server.url}
    words = {"slipway status": ("status",), "slipway history m": ("history", "m")}
    calls: dict[str, Callable[[], object]] = {
        label: (lambda words=words: python("-m", "slipway", *words, folder=folder, **ask))
        for label, words in words.items()
    }
    calls["python -c pass"] = lambda: python("-c", "pass", folder=folder)
    seconds = median_seconds_side_by_side(calls, repeats=REPEATS)
    rows = [[label, f"{taken:.2f}", "yes" if taken <= LIMIT_S else "no"] for label, taken in seconds.items()]
    headers = ["whole process, over HTTP", "seconds (median)", f"at most {LIMIT_S}"]
    return markdown_table(headers, rows)
