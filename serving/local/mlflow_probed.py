"""What the check servable probes where the policy says `server: mlflow`: MLflow's scoring server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.registry.programs import SAFE_PATH, program
from slipway.serving.local.probe import HOST, Started, free_port, stop_group


@contextmanager
def started(folder: Path, log: int) -> Iterator[Started]:
    """Start `mlflow models serve` on the model in a folder, in this environment."""
    with free_port() as bound:
        port = bound.getsockname()[1]
    words = ["models", "serve", "-m", str(folder), "--env-manager", "local", "--host", HOST, "--port", str(port)]
    beside = str(Path(sys.executable).parent)
    process = subprocess.Popen(
        program("mlflow", *words),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        process_group=0,
        env={**os.environ, **SAFE_PATH, "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"},
    )
    try:
        yield Started(port, process.pid, lambda: process.poll() is not None)
    finally:
        stop_group(process.pid, lambda seconds: _ended(process, seconds))
        process.wait()


def _ended(process: "subprocess.Popen[bytes]", within_s: float) -> bool:
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True
