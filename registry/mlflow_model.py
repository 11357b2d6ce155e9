"""The door to a stored model: load it, and give it rows in the types that its signature declares.

What is judged to run no code is loaded with unpickling refused: `registry.judged_loading`. What was loaded is looked
through before anybody asks it: `registry.native_content`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
from mlflow.models import Model
from mlflow.types import DataType, Schema

from registry.judged_loading import held_to_its_format
from registry.mlflow_errors import translated
from registry.native_content import require_sound

WHOLE_NUMBERS = {DataType.integer: "int32", DataType.long: "int64"}
SMALL_FLOATS = {DataType.float: "float32"}


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A loaded model: scikit-learn's own object where it has that flavor, MLflow's wrapper else."""

    model: Any
    types: dict[str, DataType]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it takes; none where its signature does not name them."""
        return tuple(self.types)

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return whole numbers as such, and doubles as floats, where the signature wants them so."""
        wanted = {name: _cast(features[name], kind) for name, kind in self.types.items()}
        return features.astype({name: dtype for name, dtype in wanted.items() if dtype})


@translated()
def load_model(folder: str) -> StoredModel:
    """Load the model in a folder."""
    info = Model.load(folder)
    load = mlflow.sklearn.load_model if "sklearn" in info.flavors else mlflow.pyfunc.load_model
    with held_to_its_format(Path(folder)):
        model = load(folder)
    require_sound(_scikit_learns(model))
    return StoredModel(model, _types_of(info.signature.inputs if info.signature else None))


@translated()
def load_as_served(folder: Path) -> Any:
    """Load a model as MLflow's scoring server does: its `predict` enforces the signature."""
    with held_to_its_format(folder):
        model = mlflow.pyfunc.load_model(str(folder))
    require_sound(_scikit_learns(model))
    return model


@translated()
def input_example(folder: Path) -> pd.DataFrame | None:
    """Return the rows that were stored as an example of what the model takes; `None` without any."""
    example = Model.load(str(folder)).load_input_example(str(folder))
    return example if isinstance(example, pd.DataFrame) else None


def _scikit_learns(model: Any) -> Any:
    """Return scikit-learn's own object, where MLflow's wrapper is around it."""
    return getattr(getattr(model, "_model_impl", None), "sklearn_model", model)


def _cast(column: pd.Series, kind: DataType) -> str | None:
    if kind in SMALL_FLOATS:
        return SMALL_FLOATS[kind]
    whole = kind in WHOLE_NUMBERS and column.notna().all() and (column % 1 == 0).all()
    return WHOLE_NUMBERS[kind] if whole else None


def _types_of(schema: Schema | None) -> dict[str, DataType]:
    """Return column name → type; nothing for tensors and where there is no signature."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return dict(zip(schema.input_names(), schema.input_types(), strict=True))  # type: ignore[arg-type]
