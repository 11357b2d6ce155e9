"""Clients in the languages of our users, each with its default settings, score on a real engine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import missing
from tests.servers.processes import environment
from tests.servers.served import Served, registered, serving

NAME = "größe(neu)[1]"
CLIENTS = Path(__file__).parent.parent / "clients"
LARGE_ROWS = 100_000  # more than a megabyte: curl asks for leave to send it, and no socket is read at once
CURL = ("curl", "--silent", "--show-error", "--write-out", "%{stderr}%{http_code}\n")
PACKAGES = {"java": "default-jdk-headless", "node": "nodejs", "go": "golang-go", "curl": "curl"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A running engine, and files to send: plain requests, a large one, one that is refused."""

    served: Served
    plain: Path
    large: Path
    refused: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Return what each client sends, one after the other."""
        return (self.plain, self.plain, self.large, self.refused, self.plain)


@pytest.fixture(scope="module")
def go_build(tmp_path_factory: pytest.TempPathFactory) -> "tuple[subprocess.Popen[bytes], Path] | None":
    """Return a build of the client in Go that is under way: the first one takes as long as the engine to be ready."""
    if shutil.which("go") is None:
        return None
    program = tmp_path_factory.mktemp("go") / "score"
    words = ("go", "build", "-o", str(program), str(CLIENTS / "score.go"))
    return subprocess.Popen(words, env=environment(CGO_ENABLED="0")), program


@pytest.fixture(scope="module")
def engine(go_build: object, tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Engine]:
    """Return an engine that serves a model with a name of letters that URLs have to encode."""
    folder = tmp_path_factory.mktemp("clients")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(empty_database, folder / "mlflow.db")
        registered(NAME)
        bodies = {
            "plain": {"inputs": [[1.0, 2.0], [-1.0, -2.0]]},
            "large": {"inputs": [[1.5, 2.5], [-1.5, -2.5]] * (LARGE_ROWS // 2)},
            "refused": {"inputs": [["secret", 2.0]]},
        }
        files = {name: folder / f"{name}.json" for name in bodies}
        for name, body in bodies.items():
            files[name].write_text(json.dumps(body))
        with serving(folder, f"{NAME}@production") as served:
            yield Engine(served=served, **files)


def require(program: str) -> None:
    """Skip loudly where a program is not installed; in CI, fail."""
    if shutil.which(program) is None:
        missing(f"{program} is not installed (Debian: apt-get install {PACKAGES[program]}): its client is NOT tested")


def said_by(engine: Engine, *words: str) -> list[tuple[int, dict]]:
    """Return status and document of each answer that a client wrote."""
    arguments = (*words, engine.served.url, NAME, ",".join(map(str, engine.files)))
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    return [(said["status"], said["body"]) for said in map(json.loads, done.stdout.splitlines())]


def said_to_curl(engine: Engine, *flags: str) -> list[tuple[int, dict]]:
    """Return status and document of each answer that curl got, all from one call of it."""
    found = []
    url = f"{engine.served.url}/models/{quote(NAME, safe='')}/invocations"
    words: list[str] = []
    for file in engine.files:
        words += [*(["--next"] if words else []), *CURL[1:], *flags, "--header", "Content-Type: application/json"]
        words += ["--data-binary", f"@{file}", url]
    done = subprocess.run(["curl", *words], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    decoder, rest = json.JSONDecoder(), done.stdout
    for status in done.stderr.split():
        document, end = decoder.raw_decode(rest)
        found.append((int(status), document))
        rest = rest[end:]
    assert rest == ""
    return found


def require_good(answers: Sequence[tuple[int, dict]]) -> None:
    """Fail unless every request got its own answer."""
    two, again, large, refused, last = answers
    assert two == again == last == (200, {"predictions": [1, 0]})
    assert large == (200, {"predictions": [1, 0] * (LARGE_ROWS // 2)})
    assert refused[0] == 400
    assert set(refused[1]["error"]) == {"kind", "code", "message", "hint", "request_id"}
    assert "secret" not in json.dumps(refused[1])


@pytest.mark.parametrize("client", ["http_client", "requests"])
def test_python_scores(engine: Engine, client: str):
    """By the standard library and by requests, on one connection."""
    require_good(said_by(engine, sys.executable, str(CLIENTS / f"score_{client}.py")))


@pytest.mark.parametrize("flags", [(), ("--http2",)])
def test_curl_scores(engine: Engine, flags: tuple[str, ...]):
    """Also when it offers HTTP/2, and asks for leave to send a large body."""
    require("curl")
    require_good(said_to_curl(engine, *flags))


def test_java_scores(engine: Engine):
    """Its own HttpClient offers HTTP/2 with every request until somebody takes it."""
    require("java")
    require_good(said_by(engine, "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(CLIENTS / "Score.java")))


def test_node_scores(engine: Engine):
    """By fetch, its name encoded by encodeURIComponent."""
    require("node")
    require_good(said_by(engine, "node", str(CLIENTS / "score.mjs")))


def test_go_scores(engine: Engine, go_build: "tuple[subprocess.Popen[bytes], Path] | None"):
    """By net/http, its name encoded by PathEscape; a file is sent in chunks."""
    require("go")
    building, program = go_build
    assert building.wait(120) == 0
    require_good(said_by(engine, str(program)))
