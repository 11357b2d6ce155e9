"""In which formats a model is stored, and which of them run code when they are loaded.

Safe are formats that hold numbers and structure only: skops with types that were reviewed, ONNX, safetensors, and the
own formats of XGBoost, LightGBM and CatBoost. Pickle and its kin can hold any code; whoever loads the file runs it.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

# Types that skops cannot know to be harmless and that were read for this list: data holders of scikit-learn in Cython,
# without code that runs on loading. Nothing is added because a model has it.
REVIEWED_TYPES = (
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
SAFE_LOADERS = ("mlflow.sklearn", "mlflow.onnx", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.catboost")
PICKLE_PROTOCOLS = (2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True, slots=True)
class RiskyPart:
    """A part of a stored model that runs code when it is loaded; `format` is what the policy would have to allow."""

    format: str
    what: str


def risky_parts(folder: Path, untrusted_types: Sequence[str]) -> tuple[RiskyPart, ...]:
    """Return what would run code, by what `MLmodel` says and by what the files begin with.

    `untrusted_types` are those that the model's skops file needs beyond the ones that skops knows.
    """
    stored = yaml.safe_load((folder / "MLmodel").read_text())
    flavors = stored.get("flavors", {})
    return (*_by_flavor(flavors), *_by_types(untrusted_types), *_by_files(folder, flavors))


def _by_flavor(flavors: dict[str, dict[str, object]]) -> Iterator[RiskyPart]:
    pyfunc = flavors.get("python_function", {})
    loader = str(pyfunc.get("loader_module", ""))
    if pyfunc.get("code") or pyfunc.get("model_code_path"):
        yield RiskyPart(format="code", what="the version ships Python code of its own, which runs when it is loaded")
    elif loader not in SAFE_LOADERS and not pyfunc.get("python_model"):
        yield RiskyPart(format="unknown", what=f"loaded by {loader or 'an unknown loader'}, of which nothing is known")


def _by_types(untrusted_types: Sequence[str]) -> Iterator[RiskyPart]:
    if strange := sorted(set(untrusted_types) - set(REVIEWED_TYPES)):
        yield RiskyPart(format="unreviewed", what=f"skops would have to trust {', '.join(strange)}")


def _by_files(folder: Path, flavors: dict[str, dict[str, object]]) -> Iterator[RiskyPart]:
    cloudpickled = "cloudpickle_version" in flavors.get("python_function", {})
    by_cloudpickle = cloudpickled or flavors.get("sklearn", {}).get("serialization_format") == "cloudpickle"
    declared = _declared_pickles(flavors)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if _is_torch(path):
            yield RiskyPart(format="torch", what=f"{name} is PyTorch's pickle")
        elif name in declared or _is_pickle(path):
            yield RiskyPart(format="cloudpickle" if by_cloudpickle else "pickle", what=f"{name} is a pickle")


def _declared_pickles(flavors: dict[str, dict[str, object]]) -> set[object]:
    """Return the files that a flavor says it unpickles, whatever they begin with."""
    sklearn = flavors.get("sklearn", {})
    unpickled = sklearn.get("pickled_model") if sklearn.get("serialization_format") != "skops" else None
    return {unpickled, flavors.get("python_function", {}).get("python_model")}


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(2)
    return (len(head) == 2 and head[0] == 0x80 and head[1] in PICKLE_PROTOCOLS) or path.suffix in (".pkl", ".pickle")


def _is_torch(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("data.pkl") for name in archive.namelist())
