"""The BentoML service that people write, with adaptive batching: an array, a frame of it, the model's own predict."""

import os

import bentoml
import numpy as np
import pandas as pd
from skops import io


@bentoml.service(workers=1, metrics={"enabled": False})
class Forest:
    """A scikit-learn model behind BentoML."""

    def __init__(self) -> None:
        path = os.environ["MODEL"]
        self.model = io.load(path, trusted=io.get_untrusted_types(file=path))

    @bentoml.api(batchable=True, max_batch_size=256)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predict."""
        return self.model.predict(pd.DataFrame(rows, columns=self.model.feature_names_in_))
