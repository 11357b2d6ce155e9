"""What an engine follows: the registry that the environment names, or the version that an image holds.

An image is served where no registry is named. It needs nothing that reads one: neither SQLAlchemy nor the whole of
MLflow is imported then, so that they need not be installed.
"""

import importlib
import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipway.registry.engines.heartbeats import Heartbeats
from slipway.registry.errors import InvalidInput, Unavailable
from slipway.registry.late import call
from slipway.registry.policy.in_force import policies_in_force
from slipway.registry.reachable import require_store
from slipway.registry.settings import decided_at_server, registry_view
from slipway.registry.versions.occupants import Views
from slipway.serving.preparation.packaged import STAGE, PackagedViews, packaged_version
from slipway.serving.settings import ServingSettings

NAMES_REGISTRY = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
DOORS = "slipway.serving.registry_doors"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingSource:
    """Where an engine reads what to serve, and where it leaves its word.

    `registry` tells it from every other for the cache; `stages_of` are the stages that a model may be served from;
    `require_store` raises where no store is there now (NotFound), or nobody would answer (Unavailable).
    """

    settings: ServingSettings
    registry: str
    views: Views
    heartbeats: Heartbeats | None
    decided_at_server: bool
    stages_of: Callable[[str], Collection[str]]
    require_store: Callable[[], object]


def source_of(settings: ServingSettings, environ: Mapping[str, str], folder: Path) -> ServingSource:
    """Return what an engine with these settings follows; `image` is left in them where that is what it is.

    Raises
    ------
    NotFound, Corrupt
        The image holds no version, or its card was changed.
    InvalidInput
        Nothing can be prepared, since nothing can be written.
    Unavailable
        A registry is named, and what reads one is not installed, as in an image without it.
    """
    if settings.image is not None and not any(environ.get(name) for name in NAMES_REGISTRY):
        return _image(settings, folder / settings.image)
    require_readers(environ, DOORS)
    return ServingSource(
        settings=settings.model_copy(update={"image": None}),
        registry=registry_view(environ, folder),
        views=call(DOORS, "open_stage_views", environ, folder),
        heartbeats=call(DOORS, "open_heartbeats", environ, folder),
        decided_at_server=decided_at_server(environ, folder),
        stages_of=lambda model: policies_in_force(environ, folder).of(model).names,
        require_store=partial(require_store, environ, folder),
    )


def require_readers(environ: Mapping[str, str], doors: str) -> None:
    """Refuse to follow a registry without the libraries that read one.

    Raises
    ------
    Unavailable
        A module of theirs is not installed.
    """
    try:
        importlib.import_module(doors)
    except ModuleNotFoundError as error:
        named = next((name for name in NAMES_REGISTRY if environ.get(name)), None)
        asked = f"{named} names a registry" if named else "no image is named, so that a registry is followed"
        raise Unavailable(
            f"{asked}, and {error.name}, which reads one, is not installed here",
            code="no-tracking",
            hint="slipway image … --with tracking makes an image that follows one; without the variable, an image"
            " serves the version in it",
        ) from error


def _image(settings: ServingSettings, image: Path) -> ServingSource:
    version = packaged_version(image)
    require_writable(settings.cache)
    return ServingSource(
        settings=settings.model_copy(update={"image": image, "stage": STAGE}),
        registry=f"image:{version.manifest.digest}",
        views=PackagedViews(version),
        heartbeats=None,
        decided_at_server=False,
        stages_of=lambda model: (STAGE,),
        require_store=lambda: None,
    )


def require_writable(cache: Path) -> None:
    """Refuse to start where nothing can be prepared, as under a read-only root with no room of its own.

    Raises
    ------
    InvalidInput
        Nothing can be written there.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise InvalidInput(
            f"the engine prepares versions in {cache.absolute()}, and cannot write there: {why}",
            code="cache-not-writable",
            hint="name another place: --cache, SLIPWAY_SERVING__CACHE; in a container, mount one: --tmpfs /tmp",
        ) from error
