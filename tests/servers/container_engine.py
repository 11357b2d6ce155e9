"""A real container engine for tests: dockerd with its networks in a namespace of its own, stopped by its own pid."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.processes import wait_for

PROGRAMS = ("dockerd", "docker", "skopeo", "mmdebstrap", "nsenter", "unshare")
# Root without CAP_SYS_RESOURCE may not raise limits, which dockerd does unless it is told some that are low.
LIMITS = ("--default-ulimit", "nofile=4096:4096", "--default-ulimit", "nproc=4096:4096")


def missing_programs() -> list[str]:
    """Return what has to be installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class ContainerEngine:
    """dockerd, below a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-engine-"))
        self.log = self.folder / "log"
        words = ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"]
        words += ["--pidfile", f"{self.folder}/pid", "-H", f"unix://{self.folder}/sock", *LIMITS]
        words += ["--exec-opt", "native.cgroupdriver=cgroupfs"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "-n", "-m", "sh", "-c", f"ip link set lo up; exec {' '.join(words)}"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: self.run("version", check=False).returncode == 0, within_s=60, log=self.log)

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command of docker's on this engine."""
        environ = {**os.environ, "DOCKER_HOST": f"unix://{self.folder}/sock"}
        done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, env=environ)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def inspect(self, name: str) -> Any:
        """Return what the engine says of an image or a container."""
        return json.loads(self.run("inspect", name).stdout)[0]

    @contextmanager
    def container(self, image: str, *options: str) -> Iterator["Container"]:
        """Run a container until the block ends; without any network but loopback, any right, and any disk but /tmp."""
        confined = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
        if "--network" not in options:
            confined += ["--network", "none"]
        name = self.run("run", "--detach", *confined, *options, image).stdout.strip()
        try:
            yield Container(self, name)
        finally:
            self.run("rm", "--force", "--volumes", name)

    def inside(self, *words: str) -> list[str]:
        """Return the words that run a program of this machine in the engine's network, which `--network host` is."""
        return ["nsenter", "-t", str(self._process.pid), "-n", *words]

    def stop(self) -> None:
        """End the engine, and what it mounted."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        subprocess.run(["umount", f"{self.folder}/exec/netns/default"], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Container:
    """A container that runs."""

    def __init__(self, engine: ContainerEngine, name: str) -> None:
        self.engine, self.name = engine, name

    @property
    def pid(self) -> int:
        """Return its first process, as this machine numbers it."""
        return self.engine.inspect(self.name)["State"]["Pid"]

    @property
    def log(self) -> str:
        """Return what it said."""
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr

    def inside(self, *words: str) -> list[str]:
        """Return the words that run a program of this machine in the container's network."""
        return ["nsenter", "-t", str(self.pid), "-n", *words]

    def execute(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the container's in it."""
        return self.engine.run("exec", self.name, *words, check=False)

    def ask(self, path: str, body: str | None = None, kind: str = "application/json") -> tuple[int, Any]:
        """Return status and document that the engine in it answers."""
        sent = ["-H", f"Content-Type: {kind}", "--data-binary", body] if body is not None else []
        words = ["curl", "-sS", "-w", "\n%{http_code}", *sent, f"http://127.0.0.1:8080{path}"]
        done = subprocess.run(self.inside(*words), capture_output=True, text=True, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), json.loads(text) if text.startswith(("{", "[")) else text

    def wait_until_ready(self, *, within_s: float = 180) -> None:
        """Wait until it answers for its version; fail with its log where it ends or takes too long."""
        deadline = time.monotonic() + within_s
        while self.ask("/ready")[0] != 200:
            assert self.engine.inspect(self.name)["State"]["Running"], self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.2)
