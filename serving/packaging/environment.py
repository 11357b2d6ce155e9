"""The files of an environment as they go into an image: what serving needs of them, and bytecode of what it imports.

Left out are tests, headers and sources of what is compiled: a fifth of all. Bytecode of all would be another third of
the image and more, none at all costs seconds at each start; so it is made of the modules that serving imports, without
times (`unchecked-hash`), by a process that does nothing else: what it writes depends on what it compiled before.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.registry.distribution import DISTRIBUTION
from slipway.registry.errors import Unavailable
from slipway.serving.packaging.layers import LayerFile, files_of
from slipway.serving.packaging.wheelhouse import PYTHON, machine_of

PLACE = "opt/slipway"
OURS, ABOUT = "slipway", DISTRIBUTION.replace("-", "_")
TESTS = frozenset({"tests", "test"})
SOURCES = (".pyi", ".h", ".hpp", ".c", ".cpp", ".cc", ".pyx", ".pxd", ".pxi", ".pyx.in", ".a")
# The library for programs in C: Python's own extension has all of it once more. And what makes and quantizes graphs.
SPARE = (
    "onnxruntime/capi/libonnxruntime.so",
    "onnxruntime/transformers/",
    "onnxruntime/quantization/",
    "onnxruntime/tools/",
)
# What an engine in an image runs, and the estimators that most models are made of.
RUN = (
    "slipway.command_line",
    "slipway.serving.supervision.serve_commands",
    "slipway.serving.local.health_commands",
    "slipway.serving.supervision.worker",
    "slipway.serving.preparation.prepare_packaged",
    "slipway.serving.slow_lane.mlflow_lane",
    "slipway.serving.runtimes.isolated_child",
    "slipway.serving.runtimes.mlflow_isolated_model",
    "mlflow.sklearn",
    "skops.io",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
)
IMPORTED = """
import importlib, json, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
files = [getattr(each, "__file__", None) for each in list(sys.modules.values())]
json.dump(sorted({f for f in files if f and f.startswith(sys.argv[1]) and f.endswith(".py")}), sys.stdout)
"""


def add_ours(into: Path) -> None:
    """Write Slipway itself into an environment, as it runs here, wherever it was installed from."""
    for top, folders, names in os.walk(Path(sys.modules[OURS].__path__[0]), followlinks=True):
        folders[:] = [each for each in folders if each != "__pycache__"]
        place = into / OURS / Path(top).relative_to(Path(sys.modules[OURS].__path__[0]))
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name.endswith((".py", ".lock", ".typed")):
                (place / name).write_bytes((Path(top) / name).read_bytes())
    release = sys.modules[OURS].__version__
    about = into / f"{ABOUT}-{release}.dist-info"
    about.mkdir()
    # Without what it requires elsewhere: an image holds what serving needs of that.
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {release}\n")
    (about / "INSTALLER").write_text("slipway image\n")


def compile_imported(environment: Path, work: Path, *, platform: str) -> frozenset[str]:
    """Compile the modules that serving imports, and return them; none where this Python is not the image's.

    Raises
    ------
    Unavailable
        Serving could not be imported in this environment: the image would not start.
    """
    here = f"{sys.version_info[0]}.{sys.version_info[1]}", os.uname().machine, sys.platform
    if here != (PYTHON, machine_of(platform), "linux"):
        return frozenset()
    alone = {**os.environ, "PYTHONPATH": str(environment), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(work)}
    imported = _run([sys.executable, "-S", "-c", IMPORTED, f"{environment}/", *RUN], alone, work)
    files: list[str] = json.loads(imported)
    (work / "imported.txt").write_text("\n".join(files))
    words = [sys.executable, "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    alone.pop("PYTHONDONTWRITEBYTECODE")
    _run([*words, "-s", str(environment), "-p", f"/{PLACE}", "-i", str(work / "imported.txt")], alone, work)
    return frozenset(os.path.relpath(file, environment) for file in files)


def environment_files(environment: Path, imported: frozenset[str]) -> Iterator[LayerFile]:
    """Yield what goes into an image of the libraries in a folder."""
    for file in files_of(environment, PLACE):
        path = file.path.removeprefix(f"{PLACE}/")
        if not is_ours(path) and (_is_needed(path) or path in imported):
            yield file


def our_files(environment: Path) -> Iterator[LayerFile]:
    """Yield what goes into an image of Slipway itself."""
    return (file for file in files_of(environment, PLACE) if is_ours(file.path.removeprefix(f"{PLACE}/")))


def is_ours(path: str) -> bool:
    """Return whether a file of an environment is Slipway's own."""
    return path.startswith((f"{OURS}/", f"{ABOUT}-"))


def _is_needed(path: str) -> bool:
    """Return whether a library's file is of use in an image; scripts are made for the Python that installs them."""
    parts = path.split("/")
    return not (
        parts[0] in ("bin", ".lock")
        or TESTS.intersection(parts[:-1])
        or path.endswith(SOURCES)
        or path.startswith(SPARE)
    )


def _run(words: Sequence[str], environ: dict[str, str], work: Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=work, env=environ)
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-800:]
        raise Unavailable(
            f"serving does not start with these libraries: {said}",
            code="no-environment",
            hint="see which release of a library the version recorded; name another one: --with 'NAME==RELEASE'",
        )
    return done.stdout
