"""`slipway image` on a real container engine: one image of an iris forest, built by the command, run as it is meant."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.servers.container_engine import Container, ContainerEngine, missing_programs
from tests.servers.processes import environment, process, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("image")]
# A word that is nowhere in any library, so that it can be looked for in every layer.
STAGE = "zuerich-live"
POLICY = f"stages: {{{STAGE}: {{checks: {{lineage: {{}}}}}}}}"
TRAIN = "train --data sklearn:iris --target target --model iris --importance-seconds 0.1"
SERVER_PORT = 5000
SERVER = f"http://127.0.0.1:{SERVER_PORT}"
LARGEST_BYTES, LARGEST_COMPRESSED_BYTES = 450e6, 150e6
# What is there is root's, and nothing new can be made, even where anybody may.
WRITES = {
    **dict.fromkeys(("/models/MLmodel", "/etc/passwd"), "Permission denied"),
    **dict.fromkeys(("/models/new", "/opt/slipway/new", "/new", "/var/tmp/new"), "Read-only file system"),
}
INSTALLED = """
import importlib.metadata as m, json
print(json.dumps({d.name.lower().replace("_", "-").replace(".", "-"): d.version for d in m.distributions()}))
"""
LOAD = """
import http.client, json, sys, threading, time
port, body, out = 8080, sys.argv[1], []
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while True:
        began = time.monotonic()
        try:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        except OSError:
            return  # nobody took it: the engine has ended, which is no request lost
        try:
            answer = connection.getresponse()
            answer.read()
            out.append(answer.status)
            if answer.headers.get("Connection") == "close":
                connection.close()
        except (http.client.RemoteDisconnected, ConnectionResetError):
            connection.close()  # sent to a connection that was closed as idle: a client of HTTP asks again, once
            try:
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                out.append(connection.getresponse().status)
            except ConnectionRefusedError:
                return
            except Exception as error:
                out.append(repr(error))
                return
        time.sleep(max(0, 0.05 - (time.monotonic() - began)))
threads = [threading.Thread(target=ask) for _ in range(10)]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps(out))
"""


@dataclass
class Built:
    """An archive, and the folder that it was built in."""

    folder: Path
    archive: Path
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return self.document["images"][-1]["name"]

    def listed(self) -> dict[str, Any]:
        """Return Docker's list of the image."""
        with tarfile.open(self.archive) as tar:
            return json.loads(tar.extractfile("manifest.json").read())[-1]


def slipway(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "slipway", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return the image of an iris forest that a gate passed, built from nothing by the command."""
    if absent := missing_programs():
        missing(
            f"no container engine: {', '.join(absent)} not installed (docker.io, skopeo, mmdebstrap): tests NOT run"
        )
    folder = tmp_path_factory.mktemp("image")
    (folder / "promotion.yaml").write_text(POLICY)
    for words in (TRAIN, f"promote iris/1 --to {STAGE} --reason good"):
        done = slipway(folder, *words.split())
        assert done.returncode == 0, done.stdout + done.stderr
    return build(folder, folder / "iris.tar")


def build(folder: Path, archive: Path, *words: str) -> Built:
    output = f"oci-archive:{archive}"
    done = slipway(folder, "image", f"iris@{STAGE}", "--baked", "--output", output, "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(folder, archive, json.loads(done.stdout))


@pytest.fixture(scope="module")
def engine(built: Built) -> Iterator[ContainerEngine]:
    """Return a real engine that has the image."""
    started = ContainerEngine()
    started.run("load", "--input", str(built.archive))
    yield started
    started.stop()


def contents(built: Built) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield every entry of every layer, with what it holds."""
    with tarfile.open(built.archive) as tar:
        for name in built.listed()["Layers"]:
            with tarfile.open(fileobj=tar.extractfile(name), mode="r:gz") as layer:
                for entry in layer:
                    yield entry, layer.extractfile(entry).read() if entry.isreg() else b""


def test_it_serves_confined_and_lets_nobody_in(built: Built, engine: ContainerEngine):
    """As nobody's user, with a read-only root, no capability and no network: it scores, and refuses all else."""
    with engine.container(built.name) as container:
        container.wait_until_ready()
        row = json.dumps({"features": dict.fromkeys(container.ask("/models/iris")[1]["inputs"], 1.4)})
        assert container.ask("/models/iris/predict", row)[1]["predictions"] == [0]
        assert container.ask("/predict", row)[0] == 200
        assert container.ask("/invocations", '{"inputs": [[1]]}')[0] == 400
        status, refused = container.ask("/invocations", "x", "application/vnd.apache.parquet")
        assert (status, refused["error"]["code"]) == (400, "no-parquet")
        served = container.ask("/models/iris")[1]
        assert (served["version"], served["digest"]) == (1, built.document["manifest"])
        assert served["runner"]["kind"] == "compiled"
        assert (
            container.execute("python3.11", "-c", "import os; print(os.getuid(), os.getgid())").stdout
            == "65532 65532\n"
        )
        for place, why in WRITES.items():
            written = container.execute("python3.11", "-c", f"open({place!r}, 'a')")
            assert why in written.stderr, place
        for shell in ("sh", "bash", "/bin/sh", "/bin/dash", "busybox"):
            assert container.execute(shell, "-c", "true").returncode != 0, shell
        assert container.execute("python3.11", "-P", "-m", "slipway", "health").stdout == "ready\n"
        require_bill_is_what_is_installed(container)
        require_loses_nothing(container, row)


def require_bill_is_what_is_installed(container: Container) -> None:
    """Compare the bill of materials with what Python and Debian say of themselves in there."""
    text = container.execute("python3.11", "-c", "print(open('/usr/share/slipway/sbom.cdx.json').read())").stdout
    bill = json.loads(text)
    kinds = {kind: {} for kind in ("pypi", "deb")}
    for each in bill["components"]:
        kinds[each["purl"].partition(":")[2].partition("/")[0]][each["name"]] = each["version"]
    assert kinds["pypi"] == json.loads(container.execute("python3.11", "-c", INSTALLED).stdout)
    listed = container.execute("python3.11", "-c", "import os; print(*sorted(os.listdir('/var/lib/dpkg/status.d')))")
    assert sorted(kinds["deb"]) == listed.stdout.split()
    assert all(each.get("hashes") for each in bill["components"] if each["name"] == "numpy")


def require_loses_nothing(container: Container, row: str) -> None:
    """Stop it while 200 requests a second come: each that was taken is answered with 200, and it ends by itself."""
    client = subprocess.Popen(
        container.inside(sys.executable, "-c", LOAD, row), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with pytest.raises(subprocess.TimeoutExpired):
        client.wait(3)
    container.engine.run("stop", "--time", "60", container.name)
    said, wrong = client.communicate(timeout=60)
    answers = json.loads(said)
    assert set(answers) == {200}, (answers, wrong)
    assert len(answers) > 100
    assert container.engine.inspect(container.name)["State"]["ExitCode"] == 0, container.log


def test_it_is_small_and_says_what_it_is(built: Built, engine: ContainerEngine):
    """Its size has a bound; labels name the version, never a stage; engines agree with us on its id and digest."""
    shown = engine.inspect(built.name)
    image = built.document["images"][-1]
    assert shown["Size"] <= LARGEST_BYTES
    assert image["size_bytes"] <= LARGEST_COMPRESSED_BYTES
    assert shown["Id"] == image["config"]
    labels, config = shown["Config"]["Labels"], shown["Config"]
    assert (labels["io.slipway.version"], labels["io.slipway.digest"]) == ("iris/1", built.document["manifest"])
    assert labels["org.opencontainers.image.version"] == "1"
    assert (config["User"], config["StopSignal"], config["Cmd"]) == ("65532:65532", "SIGTERM", ["serve"])
    assert config["Healthcheck"]["Test"][-2:] == ["slipway", "health"]
    words = ["skopeo", "inspect", "--format", "{{.Digest}}", f"oci-archive:{built.archive}"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == image["digest"]


def test_no_layer_holds_an_alias_or_what_raises_rights(built: Built):
    """The stage by which it was named is nowhere, in no file and no document; no file runs as another user."""
    for entry, content in contents(built):
        assert STAGE.encode() not in content, entry.name
        assert STAGE not in entry.name
        assert not (entry.isreg() and entry.mode & 0o6000), entry.name
    with tarfile.open(built.archive) as tar:
        assert STAGE.encode() not in tar.extractfile(built.listed()["Config"]).read()
        assert STAGE.encode() not in tar.extractfile("index.json").read()


def test_the_history_has_the_image(built: Built):
    """Once, with its digest and the verdict that it rests on."""
    events = json.loads(slipway(built.folder, "history", "iris", "--json").stdout)["events"]
    (packaged,) = [each for each in events if each["kind"] == "VersionPackaged"]
    assert packaged["digests"]["image"] == built.document["image"]
    assert list(packaged["details"]["verdicts"]) == [STAGE]


def test_a_changed_byte_is_served_nowhere(built: Built, engine: ContainerEngine, tmp_path: Path):
    """Not beside its card, and not in the archive: the engine in it is never ready, and nobody takes such a tar."""
    models = tmp_path / "models"
    models.mkdir(mode=0o755)
    for entry, content in contents(built):
        if entry.name.startswith("models/") and entry.isreg():
            place = tmp_path / entry.name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(bytes([content[0] ^ 1]) + content[1:] if entry.name.endswith(".skops") else content)
    with engine.container(built.name, "--volume", f"{models}:/models:ro") as container:
        wait_for(lambda: problem_of(container), within_s=120)
        assert "is not as iris/1 was packaged: changed: model.skops" in problem_of(container), container.log
        assert container.ask("/ready")[0] == 503
    spoiled = tmp_path / "spoiled.tar"
    content = bytearray(built.archive.read_bytes())
    with tarfile.open(built.archive) as tar:
        last = tar.getmember(built.listed()["Layers"][-1])
    content[last.offset_data + last.size // 2] ^= 1
    spoiled.write_bytes(content)
    words = ["skopeo", "copy", "--quiet", f"oci-archive:{spoiled}", f"dir:{tmp_path}/taken"]
    taken = subprocess.run(words, capture_output=True, text=True, check=False)
    assert taken.returncode != 0
    assert "igest did not match" in taken.stderr, taken.stderr


def problem_of(container: Container) -> str:
    """Return why the engine in a container does not serve the version, as it says itself."""
    shown = container.ask("/models/iris")[1]
    return (shown.get("problem") or "") if isinstance(shown, dict) else ""


def test_a_version_whose_stored_bytes_changed_is_not_packaged(built: Built):
    """What is stored is compared with what was registered before anything is built."""
    (model,) = built.folder.glob("mlruns/**/model.skops")
    before = model.read_bytes()
    model.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        refused = slipway(built.folder, "image", "iris/1", "--baked", "--output", "oci-archive:other.tar")
    finally:
        model.write_bytes(before)
    assert refused.returncode == 1
    assert "is not stored as it was registered: changed: model.skops" in refused.stderr
    assert not (built.folder / "other.tar").exists()


@pytest.fixture(scope="module")
def tracked(engine: ContainerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of a guarded tracking server in the engine's network, which has a version in production."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "promotion.yaml").write_text("stages: {production: {checks: {lineage: {}}}}")
    program = engine.inside(sys.executable, "-m")
    stores = ("--backend-store-uri", f"slipway+sqlite:///{folder}/mlflow.db")
    artifacts = ("--artifacts-destination", f"slipway+file://{folder}/artifacts", "--port", str(SERVER_PORT))
    words = (*program, "mlflow", "server", "--app-name", "slipway", *stores, *artifacts, "--workers", "1")
    with process(*words, folder=folder, log=folder / "log"):
        asked = engine.inside("curl", "-sf", f"{SERVER}/health")
        wait_for(lambda: is_done(asked), within_s=120, log=folder / "log")
        for command in (TRAIN, "promote iris/1 --to production --reason good"):
            at_server(engine, folder, command)
        yield folder


def is_done(words: list[str]) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def at_server(engine: ContainerEngine, folder: Path, command: str) -> str:
    words = engine.inside(sys.executable, "-m", "slipway", *command.split())
    environ = environment(MLFLOW_TRACKING_URI=SERVER)
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_where_a_server_is_named_its_registry_is_followed(built: Built, engine: ContainerEngine, tracked: Path):
    """With what reads one in the image, confined as ever; without that, the error says which image can."""
    follows = build(built.folder, built.folder / "follows.tar", "--with", "tracking", "--name", "slipway/follows:1")
    engine.run("load", "--input", str(follows.archive))
    where = ("--network", "host", "--env", f"MLFLOW_TRACKING_URI={SERVER}")
    with engine.container("slipway/follows:1", *where) as container:
        container.wait_until_ready()
        served = container.ask("/models/iris")[1]
        assert (served["stage"], served["runner"]["kind"]) == ("production", "compiled")
        assert served["digest"] != built.document["manifest"], "the server's version, not the one in the image"
        wait_for(lambda: json.loads(at_server(engine, tracked, "status --json"))["stages"][0]["served"], within_s=60)
    with engine.container(built.name, *where) as container:
        wait_for(lambda: not engine.inspect(container.name)["State"]["Running"], within_s=60)
        assert "sqlalchemy, which reads one, is not installed here" in container.log
        assert "Traceback" not in container.log


@pytest.mark.long
def test_two_builds_have_one_digest(built: Built, tmp_path: Path):
    """In another folder, offline, from the wheels of the first; and the history has no more than it had."""
    again = build(built.folder, tmp_path / "deeper" / "again.tar", "--offline")
    assert again.document["images"] == built.document["images"]
    assert again.document["seq"] == built.document["seq"]
    assert again.archive.read_bytes() == built.archive.read_bytes()
