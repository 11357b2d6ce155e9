"""The door to a registered version's stored model, for evaluation."""

import json
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info
from mlflow.types import DataType, Schema

from registry.mlflow_errors import translated
from registry.version import Version

WHOLE_NUMBERS = {DataType.integer: "int32", DataType.long: "int64"}
SMALL_FLOATS = {DataType.float: "float32"}


class StoredVersion:
    """The `LoadedVersion` of evaluation."""

    def __init__(self, version: Version, model: Any, schema: Schema | None) -> None:
        self.version = version
        self.model = model
        self._types = _types_of(schema)
        self.columns = tuple(self._types)

    def train_ids(self) -> tuple[npt.NDArray[np.uint64], tuple[str, ...]] | None:
        """Return the ids of the rows it was trained on, from its run; `None` where that does not say."""
        if not self.version.run_id:
            return None
        try:
            uri = f"runs:/{self.version.run_id}/holdout"
            folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
            columns = json.loads((folder / "holdout.json").read_text())["id_columns"]
        except (MlflowException, OSError):
            return None  # trained elsewhere, or its run is gone
        with np.load(folder / "row_ids.npz") as ids:
            return ids["train"], tuple(columns)

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return whole numbers as such, and doubles as floats, where the signature wants them so."""
        wanted = {name: self._cast(features[name], kind) for name, kind in self._types.items()}
        return features.astype({name: dtype for name, dtype in wanted.items() if dtype})

    def _cast(self, column: pd.Series, kind: DataType) -> str | None:
        if kind in SMALL_FLOATS:
            return SMALL_FLOATS[kind]
        whole = kind in WHOLE_NUMBERS and column.notna().all() and (column % 1 == 0).all()
        return WHOLE_NUMBERS[kind] if whole else None


@translated()
def load_version(version: Version) -> StoredVersion:
    """Load a version: scikit-learn's own object where it has that flavor, MLflow's wrapper else."""
    uri = f"models:/{version}"
    info = get_model_info(uri)
    load = mlflow.sklearn.load_model if "sklearn" in info.flavors else mlflow.pyfunc.load_model
    return StoredVersion(version, load(uri), info.signature.inputs if info.signature else None)


def _types_of(schema: Schema | None) -> dict[str, DataType]:
    """Return column name → type; nothing for tensors and where there is no signature."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return dict(zip(schema.input_names(), schema.input_types(), strict=True))  # type: ignore[arg-type]
