"""The door to a registered version's stored model, for evaluation."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.errors import Corrupt
from slipway.registry.gate.holdout_record import HoldoutRecord, read_holdout
from slipway.registry.gate.mlflow_model import StoredModel, load_model
from slipway.registry.gate.safety.judged_loading import require_allowed
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.manifest import copied
from slipway.registry.reading import Reading
from slipway.registry.version import Version
from slipway.registry.versions.file_integrity import records_about, require_whole
from slipway.registry.versions.provenance import holdout_digest, recorded_provenance


class StoredVersion:
    """The `LoadedVersion` of evaluation."""

    def __init__(self, version: Version, stored: StoredModel, holdout: HoldoutRecord | None) -> None:
        self.version = version
        self._stored = stored
        self._holdout = holdout

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
        holdout = self._holdout
        return (holdout.train_ids, holdout.columns) if holdout and holdout.train_ids is not None else None

    def reading(self) -> Reading:
        """Return how its training data was read, for other data to be read alike; as it is where no run says."""
        return self._holdout.reading.of_another_file() if self._holdout else Reading()

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return whole numbers as such, and doubles as floats, where the signature wants them so."""
        return self._stored.fitting(features)


@contextmanager
def loaded_version(version: Version, ledger: Ledger) -> Iterator[StoredVersion]:
    """Yield a version that is loaded: scikit-learn's own object where that is served, MLflow's wrapper else.

    Before anything of its files is loaded, they are copied, compared with what the ledger recorded, and their format
    with what the policy allows; raises as `require_whole` and `require_allowed`, and Corrupt where its run says
    something else of the rows that it was trained on than when it was registered.
    """
    about = records_about(version, ledger)
    with tempfile.TemporaryDirectory(prefix="slipway-evaluate-") as scratch:
        into = Path(scratch) / "files"
        folder = require_whole(version, about, ledger.registry, else_do="evaluate another version", into=into)
        require_allowed(version, folder, ledger.policies().of(version.model))
        stored = ledger.registry.run_files(version.run_id, "holdout") if version.run_id else None
        holdout = copied(stored, Path(scratch) / "holdout") if stored else None
        recorded = recorded_provenance(about)
        if recorded is not None and recorded.holdout != holdout_digest(holdout):
            raise Corrupt(
                f"what the run of {version} says of the rows that it was trained on is not what was recorded",
                code="evidence-changed",
                hint="restore the holdout/ files of its run, or evaluate another version",
            )
        yield StoredVersion(version, load_model(str(folder)), read_holdout(holdout))
