"""The server's application with a fuse: a worker is killed before the write that a file in its folder numbers."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app as fastapi_app

from slipway.registry.server.app_routes import Keeper
from slipway.registry.server.mlflow_app import OpenAccess, keeper, with_slipway
from tests.generators.deciding import Fuse, fused

FUSE = Path("fuse")


def create_app() -> FastAPI:
    """Return the application that `mlflow server --app-name slipway-crashing` runs."""
    return with_slipway(fastapi_app, flask_app, _fused_keeper)


def _fused_keeper() -> Keeper:
    made = keeper(OpenAccess())

    return replace(made, ledger=lambda: fused(made.ledger(), Fuse(before=_place(), act=_die)))


def _place() -> int | None:
    """Return the number of the write, while there is one to die before."""
    return int(FUSE.read_text()) if FUSE.exists() else None


def _die() -> None:
    FUSE.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
