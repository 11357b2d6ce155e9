"""What a version costs its image beside its files: formats that may run code, and libraries that weigh."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.registry.gate.safety.contents import is_pickle, is_torch
from slipway.registry.manifest import files_below
from slipway.registry.mlmodel import PYFUNC, read_mlmodel
from slipway.serving.packaging.wheelhouse import Wheel

APART = "it is served in a process of its own, which takes about 200 MB of memory more and a second or more to start"
HEAVY_BYTES = 100 * 2**20
MB = 10**6


def costs_of(folder: Path, wheels: Sequence[Wheel]) -> Iterator[str]:
    """Yield what a model's formats and libraries cost, in words for people."""
    code = read_mlmodel(folder)["flavors"].get(PYFUNC, {}).get("code")
    if code:
        yield f"it ships code ({code}), which runs with the engine's rights: {APART}"
    files = sorted(files_below(folder))
    if any(map(is_torch, files)):
        yield f"it is a model of PyTorch, whose files are pickles: {APART}; torch takes 200 MB of an image and more"
    elif pickles := [path.name for path in files if is_pickle(path)]:
        yield f"it ships a pickle ({pickles[0]}), and whoever opens that runs what is in it: {APART}"
    for wheel in wheels:
        size = wheel.file.stat().st_size
        if size > HEAVY_BYTES:
            yield f"{wheel.name} {wheel.version} takes {size / MB:.0f} MB of the image, compressed"
