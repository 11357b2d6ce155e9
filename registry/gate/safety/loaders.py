"""What MLflow's loaders open: for each one that can be proved to run no code, the keys that it reads and its one file.

Read from MLflow 3.17. The loaders join the folder and the name of the file, and look for `MLmodel` beside that file: a
name with a folder in it leads to another `MLmodel`, or to none, and then scikit-learn's loader takes the file for a
pickle. So only plain names in the folder itself are known here, as MLflow writes them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.registry.gate.safety.boosters import XGBOOST_ESTIMATORS
from slipway.registry.gate.safety.contents import is_catboost, is_lightgbm, is_xgboost, onnx_files

Conf = Mapping[str, Any]

OF_ALL = frozenset({"code", "extra_files"})
PYFUNC_KEYS = frozenset(
    {
        "loader_module",
        "python_version",
        "env",
        "data",
        "model_path",
        "code",
        "predict_fn",
        "streamable",
        "config",
        "model_code_path",
        "extra_files",
    }
)
PREDICT_FNS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "score")
XGBOOST_CLASSES = ("xgboost.core.Booster", *XGBOOST_ESTIMATORS)
CATBOOST_TYPES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
ONNX_PROVIDERS = ("CPUExecutionProvider", "CUDAExecutionProvider")
ONNX_OPTIONS = ("inter_op_num_threads", "intra_op_num_threads", "execution_mode", "graph_optimization_level")
BOOSTER = "lightgbm.basic.Booster"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """A loader of MLflow's: the keys of its flavor, and under which key that and python_function name its file.

    `strange` yields in words what of the flavor's settings is not known to be harmless. `serialization` returns how the
    file is unpickled, or "skops", for loaders that can do either; `None` where the loader has a format of its own, and
    then `is_own` tells whether the file is in it. `beside` returns the other files that it reads.
    """

    keys: frozenset[str]
    file_key: str
    pyfunc_key: str
    strange: Callable[[Conf], Iterator[str]]
    serialization: Callable[[Conf], str | None]
    is_own: Callable[[Path, Conf], bool] = lambda path, conf: False
    beside: Callable[[Path], tuple[str, ...]] = lambda path: ()


def _nothing(conf: Conf) -> Iterator[str]:
    yield from ()


def _own(conf: Conf) -> None:
    return None


def _of_sklearn(conf: Conf) -> str:
    return str(conf.get("serialization_format", "pickle"))


def _of_lightgbm(conf: Conf) -> str | None:
    booster = conf.get("model_class", BOOSTER) == BOOSTER
    return None if booster else str(conf.get("serialization_format", "cloudpickle"))


def _strange_xgboost(conf: Conf) -> Iterator[str]:
    made = conf.get("model_class", XGBOOST_CLASSES[0])
    if made not in XGBOOST_CLASSES:
        yield f"xgboost would make an object of the class {made!r}"


def _strange_catboost(conf: Conf) -> Iterator[str]:
    if conf.get("model_type") not in CATBOOST_TYPES:
        yield f"catboost would make an object of the type {conf.get('model_type')!r}"


def _strange_onnx(conf: Conf) -> Iterator[str]:
    """Yield what may load a library: providers take the path of one among their options."""
    providers, options = conf.get("providers") or [], conf.get("onnx_session_options") or {}
    named = [providers] if isinstance(providers, str) else providers
    if strange := [each for each in named if each not in ONNX_PROVIDERS]:
        yield f"onnxruntime would be given the provider {strange[0]!r}"
    if strange := [each for each in options if each not in ONNX_OPTIONS]:
        yield f"onnxruntime would be given the session option {strange[0]!r}"


LOADERS: Mapping[str, Loader] = {
    "sklearn": Loader(
        keys=OF_ALL | {"pickled_model", "sklearn_version", "serialization_format", "skops_trusted_types"},
        file_key="pickled_model",
        pyfunc_key="model_path",
        strange=_nothing,
        serialization=_of_sklearn,
    ),
    "xgboost": Loader(
        keys=OF_ALL | {"xgb_version", "data", "model_class", "model_format"},
        file_key="data",
        pyfunc_key="data",
        strange=_strange_xgboost,
        serialization=_own,
        is_own=lambda path, conf: is_xgboost(path),
    ),
    "lightgbm": Loader(
        keys=OF_ALL | {"lgb_version", "data", "model_class", "serialization_format", "skops_trusted_types"},
        file_key="data",
        pyfunc_key="data",
        strange=_nothing,
        serialization=_of_lightgbm,
        is_own=lambda path, conf: is_lightgbm(path),
    ),
    "catboost": Loader(
        keys=OF_ALL | {"catboost_version", "data", "model_type", "save_format"},
        file_key="data",
        pyfunc_key="data",
        strange=_strange_catboost,
        serialization=_own,
        is_own=lambda path, conf: is_catboost(path, conf.get("save_format")),
    ),
    "onnx": Loader(
        keys=OF_ALL | {"onnx_version", "data", "providers", "onnx_session_options"},
        file_key="data",
        pyfunc_key="data",
        strange=_strange_onnx,
        serialization=_own,
        # By another ending, `.ort`, onnxruntime reads another format, whatever ONNX says of the bytes.
        is_own=lambda path, conf: path.suffix == ".onnx" and onnx_files(path) is not None,
        beside=lambda path: onnx_files(path) or (),
    ),
}
