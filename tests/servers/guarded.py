"""A real, guarded tracking server, and what an ordinary client does with it."""

import json
import tempfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

from mlflow import MlflowClient

from slipway.registry.manifest import manifest_of
from tests.servers.processes import answers, free_port, process, wait_for

POLICY = """
stages:
  staging: {enter_from: any, checks: {lineage: {require: [run]}}}
  production: {enter_from: any, checks: {lineage: {require: [run]}}}
models:
  sandbox: {production: null}
"""
STARTS_WITHIN_S = 240


@dataclass(frozen=True)
class Answer:
    """What a server said; `kept` is its `Cache-Control`."""

    status: int
    text: str
    kept: str | None = field(default=None, compare=False, repr=False)

    @property
    def document(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Made:
    """A version that a client made, with what it was made from; `files` is where they lie behind the proxy."""

    model: str
    number: int
    run_id: str
    model_id: str
    experiment_id: str

    def __str__(self) -> str:
        return f"{self.model}/{self.number}"

    @property
    def files(self) -> str:
        return f"{self.experiment_id}/models/{self.model_id}/artifacts"


@dataclass(frozen=True)
class GuardedServer:
    """A running server, and where its parts are. `headers` go with each request."""

    url: str
    folder: Path
    database: str
    log: Path
    headers: Mapping[str, str] = field(default_factory=dict)

    def client(self) -> MlflowClient:
        """Return MLflow's own client."""
        return MlflowClient(self.url, self.url)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; a body that is no text is JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) or body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.url}/{path}", content, {**kind, **self.headers, **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return Answer(response.status, response.read().decode(), response.headers.get("cache-control"))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def make(self, model: str, experiment_id: str = "0") -> Made:
        """Register a version as a client does, its files stored through the server."""
        client = self.client()
        if not client.search_registered_models(filter_string=f"name='{model}'"):
            client.create_registered_model(model)
        run = client.create_run(experiment_id)
        logged = client.create_logged_model(experiment_id, name="m", source_run_id=run.info.run_id)
        put(self, f"{experiment_id}/models/{logged.model_id}/artifacts/MLmodel", b"flavors: {}")
        client.finalize_logged_model(logged.model_id, "READY")
        client.set_terminated(run.info.run_id)
        source = f"models:/{logged.model_id}"
        made = client.create_model_version(model, source, run.info.run_id, model_id=logged.model_id)
        return Made(model, int(made.version), run.info.run_id, logged.model_id, experiment_id)

    def verdict(self, made: Made, stage: str, outcome: str = "PASS", **changes: Any) -> dict[str, Any]:
        """Return a verdict on a version as its client would give it now."""
        policy = self.ask("GET", f"slipway/models/{made.model}/policy").document
        known = self.ask("GET", f"slipway/models/{made.model}/history")
        events = known.document["events"] if known.status == 200 else []
        recorded = {
            event["version"]: event["digests"]["manifest"]
            for event in events
            if event["kind"] in ("VersionRegistered", "VersionAdopted")
        }
        there = [row for row in self.ask("GET", "slipway/status").document["stages"] if row["model"] == made.model]
        occupant = next((int(row["version"]) for row in there if row["stage"] == stage and row["since"]), None)
        names = policy["stages"][stage]["checks"]
        findings = [{"check": name, "outcome": outcome, "reason": "looked at"} for name in names if name != "own"]
        return {
            "version": str(made),
            "stage": stage,
            "at": "2026-01-01T00:00:00+00:00",
            "champion": occupant,
            "digests": {
                "policy": policy["digest"],
                "manifest": recorded.get(made.number) or self._stored_digest(made),
                **({"champion_manifest": recorded[occupant]} if occupant in recorded else {}),
            },
            "findings": findings,
            **changes,
        }

    def _stored_digest(self, made: Made) -> str:
        """Return the digest of a version's files as they are stored, for one that nobody registered."""
        asked = {"name": made.model, "version": str(made.number)}
        at = self.ask("GET", query("api/2.0/mlflow/model-versions/get-download-uri", **asked)).document["artifact_uri"]
        if at.removeprefix("file://").startswith("/"):
            return manifest_of(Path(at.removeprefix("file://"))).digest
        with tempfile.TemporaryDirectory() as into:
            self._fetch(made.files, Path(into))
            return manifest_of(Path(into)).digest

    def _fetch(self, place: str, into: Path) -> None:
        """Write what is stored below a place into a folder."""
        artifacts = "api/2.0/mlflow-artifacts/artifacts"
        for found in self.ask("GET", query(artifacts, path=place)).document.get("files", []):
            below = into / found["path"].rpartition("/")[2]
            if found.get("is_dir"):
                below.mkdir()
                self._fetch(f"{place}/{below.name}", below)
            else:
                below.write_text(self.ask("GET", f"{artifacts}/{place}/{quote(below.name)}").text)

    def promote(self, made: Made, stage: str, **more: Any) -> Answer:
        """Assess a version and have it promoted."""
        given = self.ask("POST", "slipway/verdicts", self.verdict(made, stage))
        assert given.status == 200, given
        body = {"version": str(made), "stage": stage, "reason": "test", **more}
        return self.ask("POST", "slipway/promotions", body)

    def in_stage(self, made: Made, stage: str) -> Made:
        """Have a version promoted, and require that it was."""
        done = self.promote(made, stage)
        assert done.status == 200, done
        return made


def put(server: GuardedServer, path: str, content: bytes) -> None:
    """Store a file through the server."""
    done = server.ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{path}", content)
    assert done.status == 200, done


def as_user(name: str, password: str = "correct horse") -> dict[str, str]:
    """Return the header by which somebody says who they are."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


def query(path: str, /, **values: str) -> str:
    """Return a path with a query."""
    return f"{path}?{urlencode(values)}"


@contextmanager
def serve(
    folder: Path,
    database: str,
    *options: str,
    app: str = "slipway",
    workers: int = 1,
    policy: str = POLICY,
    artifacts: str | None = None,
    **more: str,
) -> Iterator[GuardedServer]:
    """Run the guarded server on a database, its artifacts in a folder unless elsewhere, until the caller is done."""
    (folder / "promotion.yaml").write_text(policy)
    port, log = free_port(), folder / "server.log"
    words = (
        *("mlflow", "server", "--app-name", app, "--backend-store-uri", f"slipway+{database}"),
        *("--artifacts-destination", f"slipway+{artifacts or (folder / 'artifacts').as_uri()}"),
        *("--port", str(port), "--workers", str(workers), *options),
    )
    url = f"http://127.0.0.1:{port}"
    with process(*words, folder=folder, log=log, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **more):
        wait_for(lambda: answers(f"{url}/health"), within_s=STARTS_WITHIN_S, log=log)
        yield GuardedServer(url=url, folder=folder, database=database, log=log)
