"""The settings of serving: the section `serving` of `slipway.yaml`, and `SLIPWAY_SERVING__…` in the environment."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from slipway.registry.settings import Section, load_settings


class ServingSettings(Section):
    """Where an engine listens, what it may take, and where it keeps what it prepared.

    Sizes are in MiB, times in seconds. `targets` are written as on the command line; without any, everything that has a
    version in `stage` is served. With `require_history` nothing is served that no recorded decision put there; where it
    is not set, that is so where a server guards its stages. `image` is the folder of a version that was packaged: it is
    served where the environment names no registry. `warm_mb` bounds what the versions that are kept for a
    quick way back may hold in one worker. A model has `predict_within_s` for each request. With a `grpc_port` gRPC is
    spoken as well; a connection there is ended in peace after `grpc_connection_age_s`, so that a client meets every
    worker.
    """

    targets: tuple[str, ...] = ()
    stage: str = "production"
    require_history: bool | None = None
    image: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    grpc_port: int | None = Field(None, ge=0, le=65535)
    grpc_connection_age_s: float = Field(10, gt=0)
    workers: int = Field(1, ge=1, le=256)
    poll_s: float = Field(1.0, gt=0)
    accelerate: bool = True
    cache: Path = Path(".slipway/cache")
    cache_max_mb: int = Field(20_000, ge=1)
    prepare_memory_mb: int = Field(4096, ge=1)
    prepare_within_s: float = Field(600, gt=0)
    warm_mb: int = Field(1024, ge=0)
    max_body_mb: float = Field(64, gt=0)
    predict_within_s: float = Field(60, gt=0)
    idle_s: float = Field(75, gt=0)
    drain_s: float = Field(1, ge=0)
    stop_within_s: float = Field(30, gt=0)
    beat_s: float = Field(5, gt=0)
    log_json: bool = False


def cache_place(environ: Mapping[str, str], folder: Path) -> tuple[Path, int]:
    """Return where the engine's cache is, and how many bytes it may hold."""
    settings = load_settings(ServingSettings, "serving", environ=environ, folder=folder)
    return folder / settings.cache, settings.cache_max_mb * 2**20
