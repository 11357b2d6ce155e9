"""The servers that the engine is measured beside, each started as its users start it, one worker each."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.artifacts import download_artifacts

from benchmarks.measure import ROOT
from tests.servers.processes import answers, free_port, process, wait_for

APPS = Path(__file__).parent / "apps"
READY_WITHIN_S = 300.0
BENTO_NEEDS = ("bentoml==1.4.40", "skops", "pandas")


@contextmanager
def started(words: list[str], folder: Path, *, port: int, ready: str, **environment: str) -> Iterator[str]:
    """Run a server until the block ends, and yield its address."""
    url = f"http://127.0.0.1:{port}"
    log = folder / f"{Path(words[0]).name}-{port}.log"
    with process(*words, folder=folder, log=log, PYTHONPATH=str(ROOT), **environment):
        wait_for(lambda: answers(url + ready), within_s=READY_WITHIN_S, log=log)
        yield url


@contextmanager
def slipway(folder: Path, model: str, *more: str) -> Iterator[str]:
    """Yield where our engine takes requests for a model in production."""
    port = free_port()
    words = [sys.executable, "-m", "slipway", "serve", f"{model}@production", "--port", str(port), *more]
    with started(words, folder, port=port, ready="/ready") as url:
        yield f"{url}/invocations"


@contextmanager
def bare(folder: Path, body: bytes) -> Iterator[str]:
    """Yield where our HTTP stack answers with these bytes."""
    port = free_port()
    words = [sys.executable, "-m", "benchmarks.apps.bare", str(port), body.decode()]
    with started(words, folder, port=port, ready="/ping") as url:
        yield f"{url}/invocations"


@contextmanager
def naked(folder: Path, model: str) -> Iterator[str]:
    """Yield where our engine's fast path answers with nothing else around it."""
    port = free_port()
    words = [sys.executable, "-m", "benchmarks.apps.naked", str(port), model]
    with started(words, folder, port=port, ready="/ping") as url:
        yield f"{url}/invocations"


@contextmanager
def mlflow_server(folder: Path, model: str) -> Iterator[str]:
    """Yield where `mlflow models serve` takes requests."""
    port = free_port()
    uri = f"models:/{model}@production"
    words = [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local"]
    with started([*words, "--port", str(port)], folder, port=port, ready="/ping") as url:
        yield f"{url}/invocations"


@contextmanager
def flask(folder: Path, model: str) -> Iterator[str]:
    """Yield where the plain Flask app takes requests, under gunicorn with threads."""
    port = free_port()
    words = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-w", "1", "--threads", "8"]
    app = "benchmarks.apps.flask_app:app"
    with started([*words, app], folder, port=port, ready="/ping", MODEL=f"models:/{model}@production") as url:
        yield f"{url}/invocations"


@contextmanager
def fastapi(folder: Path, model: str) -> Iterator[str]:
    """Yield where the plain FastAPI app takes requests, under uvicorn."""
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--port", str(port), "--no-access-log", "benchmarks.apps.fastapi_app:app"]
    with started(words, folder, port=port, ready="/ping", MODEL=f"models:/{model}@production") as url:
        yield f"{url}/invocations"


@contextmanager
def bentoml(folder: Path, model: str) -> Iterator[str]:
    """Yield where a BentoML service takes requests, from an environment of its own that is made first."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    stored = Path(download_artifacts(artifact_uri=f"models:/{model}@production"))
    (file,) = stored.glob("*.skops")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        own = _environment(Path(name) / "venv")
        words = [str(own / "bentoml"), "serve", "bento_service:Forest", "--port", str(port), "--host", "127.0.0.1"]
        shutil.copy(APPS / "bento_service.py", name)
        with started(words, Path(name), port=port, ready="/readyz", MODEL=str(file.absolute())) as url:
            yield f"{url}/predict"


def _environment(folder: Path) -> Path:
    """Make an environment with BentoML and this scikit-learn, bytecode compiled; return its programs' folder."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    sklearn = subprocess.run(
        [sys.executable, "-c", "import sklearn; print(sklearn.__version__)"], check=True, capture_output=True, text=True
    ).stdout.strip()
    needs = [*BENTO_NEEDS, f"scikit-learn=={sklearn}"]
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *needs], check=True)
    return folder / "bin"
