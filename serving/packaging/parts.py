"""What an image is made of: its layers, the lowest first, how it is run, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from slipway.registry.manifest import CARD
from slipway.serving.packaging.base_image import Base
from slipway.serving.packaging.image_names import runtime_name
from slipway.serving.packaging.layers import Layer, LayerFile, write_layer
from slipway.serving.packaging.oci_layout import Image, Platform
from slipway.serving.preparation.packaged import PackagedVersion

MODELS = "models"
PORT = 8080
UID = 65532
PROGRAM = ("python3.11", "-P", "-m", "slipway")
SECOND_NS = 10**9
ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": "/opt/slipway",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "HOME": "/tmp",
    "SLIPWAY_SERVING__IMAGE": f"/{MODELS}",
    "SLIPWAY_SERVING__HOST": "0.0.0.0",
    "SLIPWAY_SERVING__CACHE": "/tmp/slipway/cache",
    "SLIPWAY_REGISTRY__CACHE": "/tmp/slipway/files",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """What serves: a base and the layers above it."""

    base: Base
    layers: Sequence[Layer]

    @property
    def all_layers(self) -> list[Layer]:
        """Return the layers with the base's."""
        return [*self.base.layers, *self.layers]


def model_layer(folder: Path, version: PackagedVersion, into: Path) -> Layer:
    """Write the layer that holds a version: exactly the files of its manifest, and its card."""
    files = [LayerFile(path=f"{MODELS}/{each.path}", content=folder / each.path) for each in version.manifest.files]
    return write_layer([*files, LayerFile(path=f"{MODELS}/{CARD}", content=version.to_json().encode())], into)


def images_of(
    version: PackagedVersion,
    held: Sequence[Layer],
    runtime: Runtime,
    *,
    name: str,
    created: str,
    platform: Platform,
    baked: bool,
) -> list[Image]:
    """Return the images to write, the one that holds the version last: one of all, or one that serves and a model's.

    `held` are the layers of the version: its files, and where they were signed their signature.
    """
    said = annotations(version, created, runtime.base if baked else None)
    made = partial(Image, platform=platform, created=created)
    config = run_config(runtime.base)
    if baked:
        return [made(name=name, layers=[*runtime.all_layers, *held], config=config, annotations=said)]
    serves = {"org.opencontainers.image.title": "slipway", **_of_base(runtime.base)}
    return [
        made(name=runtime_name(name), layers=runtime.all_layers, config=config, annotations=serves),
        made(name=name, layers=held, annotations=said),
    ]


def run_config(base: Base) -> dict[str, Any]:
    """Return how a runtime is run: by nobody's user, without a shell, stopped by SIGTERM, asked by our own command."""
    environment = {**base.environment, **ENVIRONMENT}
    health = {"Test": ["CMD", *PROGRAM, "health"], "Interval": 10 * SECOND_NS, "Timeout": 5 * SECOND_NS}
    return {
        "User": f"{UID}:{UID}",
        "WorkingDir": "/",
        "Env": [f"{key}={value}" for key, value in sorted(environment.items())],
        "Entrypoint": list(PROGRAM),
        "Cmd": ["serve"],
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "StopSignal": "SIGTERM",
        "Healthcheck": {**health, "StartPeriod": 120 * SECOND_NS, "Retries": 3},
    }


def annotations(version: PackagedVersion, created: str, base: Base | None) -> dict[str, str]:
    """Return what an image says of itself: the version and its digest, its run and commit; no stage, for that moves."""
    said = {
        "org.opencontainers.image.title": version.model,
        "org.opencontainers.image.version": str(version.number),
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.revision": version.git_commit,
        "io.slipway.model": version.model,
        "io.slipway.version": f"{version.model}/{version.number}",
        "io.slipway.digest": version.manifest.digest,
        "io.slipway.run": version.run_id,
    }
    return {**{name: text for name, text in said.items() if text}, **(_of_base(base) if base else {})}


def _of_base(base: Base) -> dict[str, str]:
    return {"org.opencontainers.image.base.name": base.name, "org.opencontainers.image.base.digest": base.digest}
