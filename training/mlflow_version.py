"""The door to a registered version's stored model, for evaluation."""

import json
from pathlib import Path
from typing import Any

import mlflow.artifacts
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException

from registry.mlflow_model import StoredModel, load_model
from registry.version import Version


class StoredVersion:
    """The `LoadedVersion` of evaluation."""

    def __init__(self, version: Version, stored: StoredModel) -> None:
        self.version = version
        self._stored = stored

    @property
    def model(self) -> Any:
        """Return what predicts."""
        return self._stored.model

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it takes."""
        return self._stored.columns

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
        return self._stored.fitting(features)


def load_version(version: Version) -> StoredVersion:
    """Load a version: scikit-learn's own object where it has that flavor, MLflow's wrapper else."""
    return StoredVersion(version, load_model(f"models:/{version}"))
