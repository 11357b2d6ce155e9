"""The files of an environment: Slipway as it runs here is added under its own name, and told from the libraries."""

import importlib.metadata
from pathlib import Path

import slipway
from slipway.registry.distribution import DISTRIBUTION
from slipway.serving.packaging.environment import add_ours, environment_files, our_files


def test_slipway_is_added_as_it_runs_here(tmp_path: Path):
    """Every module and the lock, and what Python is told of it: the distribution, whatever the package is called."""
    add_ours(tmp_path)
    (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
    assert (found.name, found.version) == (DISTRIBUTION, slipway.__version__)
    here = Path(slipway.__file__).parent
    for name in ("__main__.py", "requirements.lock", "serving/packaging/environment.py", "registry/errors.py"):
        assert (tmp_path / "slipway" / name).read_bytes() == (here / name).read_bytes(), name
    assert not list(tmp_path.rglob("__pycache__"))


def test_our_files_and_the_libraries_share_none(tmp_path: Path):
    """Ours change with each release, theirs with the lock: they lie in layers of their own."""
    add_ours(tmp_path)
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("")
    assert [file.path for file in environment_files(tmp_path, frozenset())] == ["opt/slipway/numpy/__init__.py"]
    ours = {file.path for file in our_files(tmp_path)}
    assert "opt/slipway/slipway/registry/errors.py" in ours
    assert [path for path in ours if path.endswith("METADATA")]
    assert not [path for path in ours if "numpy" in path]


def test_what_onnxruntime_asks_for_when_it_starts_stays(tmp_path: Path):
    """Its library for programs in C is spare; without the small one beside that, it warns in every log."""
    for name in ("libonnxruntime.so.1.32.0", "libonnxruntime_providers_shared.so"):
        (tmp_path / "onnxruntime" / "capi").mkdir(parents=True, exist_ok=True)
        (tmp_path / "onnxruntime" / "capi" / name).write_bytes(b"")
    kept = [file.path for file in environment_files(tmp_path, frozenset())]
    assert kept == ["opt/slipway/onnxruntime/capi/libonnxruntime_providers_shared.so"]
