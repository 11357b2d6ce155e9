"""The door to a stored model: load it as it is served, and give it rows in the types that its signature declares.

`MLmodel` may name one file for scikit-learn's flavor and another for scoring servers, and another method: what is
measured is therefore taken out of what a scoring server would load. What is judged to run no code is loaded with
unpickling refused: `slipway.registry.gate.safety.judged_loading`. What was loaded is looked through before anybody asks
it: `slipway.registry.gate.safety.native_content`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.pyfunc.scoring_server import _parse_json_data
from mlflow.types import DataType, Schema

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import InvalidInput
from slipway.registry.gate.safety.judged_loading import held_to_its_format
from slipway.registry.gate.safety.native_content import require_sound, require_steady
from slipway.registry.gate.scoring_request import request_of
from slipway.registry.mlflow_fitted import fitted_estimator
from slipway.registry.mlmodel import PYFUNC

PREDICT = "predict"
WHOLE_NUMBERS = {DataType.integer: "int32", DataType.long: "int64"}
SMALL_FLOATS = {DataType.float: "float32"}
NUMBERS = (DataType.integer, DataType.long, DataType.float, DataType.double)


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A loaded model: the object with scikit-learn's interface where that is served, MLflow's wrapper else.

    `method` is the one by which the object answers callers; those columns that are `optional` they may leave out.
    """

    model: Any
    types: dict[str, DataType]
    method: str
    served: Any
    optional: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it takes; none where its signature does not name them."""
        return tuple(self.types)

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return whole numbers as such, and doubles as floats, where the signature wants them so.

        Raises
        ------
        InvalidInput
            A column that callers send as text holds something else: the model would be asked what nobody asks it; or
            one of numbers holds text.
        """
        there = {name: kind for name, kind in self.types.items() if name in features.columns}
        if odd := [name for name, kind in there.items() if kind is DataType.string and not _is_text(features[name])]:
            raise InvalidInput(
                f"the model takes text in {', '.join(odd)}, and the rows hold something else there",
                code="not-text",
                hint="name rows that hold what callers send: words for missing values may make numbers of a column",
            )
        for name, kind in there.items():
            if kind in NUMBERS:
                _require_numbers(features[name])
        wanted = {name: _cast(features[name], kind) for name, kind in there.items()}
        return features.astype({name: dtype for name, dtype in wanted.items() if dtype})

    def called(self, features: pd.DataFrame) -> Any:
        """Return what MLflow's scoring server answers to the features as JSON; `None` where it refuses them.

        Of a request it knows no more than is in it: a column of one row without a value is of another type than one of
        many rows.
        """
        document, metadata = json.loads(request_of(features)), self.served.metadata
        try:
            asked = _parse_json_data(document, metadata, metadata.get_input_schema())  # type: ignore[no-untyped-call]
            return self.served.predict(asked.data)
        except Exception:  # whatever a model raises is an error to its caller: no answer to compare
            return None


@translated()
def load_model(folder: str) -> StoredModel:
    """Load the model in a folder."""
    served = load_as_served(Path(folder))
    signature, model = served.metadata.signature, _scikit_learns(served)
    method = PREDICT if model is served else served.metadata.flavors[PYFUNC].get("predict_fn", PREDICT)
    inputs = signature.inputs if signature else None
    return StoredModel(model, _types_of(inputs), str(method), served, _optional_in(inputs))


def load_steady_model(folder: str) -> StoredModel:
    """Load a model to judge it; raises NotApproved where it answers by chance."""
    loaded = load_model(folder)
    require_steady(loaded.model)
    return loaded


@translated()
def load_as_served(folder: Path) -> Any:
    """Load a model as MLflow's scoring server does: its `predict` enforces the signature."""
    with held_to_its_format(folder):
        model = mlflow.pyfunc.load_model(str(folder))
    require_sound(_scikit_learns(model))
    return model


@translated()
def input_example(folder: Path) -> Any:
    """Return the rows that were stored as an example of what the model takes, a table or an array of them.

    `None` without any, and where the example is something else.

    Raises
    ------
    NotApproved
        Compiled code would be led out of them.
    """
    example = Model.load(str(folder)).load_input_example(str(folder))
    require_sound(example, called="its input example")
    return example if isinstance(example, pd.DataFrame | np.ndarray) else None


def _scikit_learns(model: Any) -> Any:
    """Return the object with scikit-learn's interface, where MLflow's wrapper is around it."""
    within = fitted_estimator(model)
    return model if within is None else within


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column.dropna().astype(object)) in ("string", "empty")


def _require_numbers(column: pd.Series) -> None:
    if pd.api.types.is_numeric_dtype(column) or column.isna().all():
        return
    wrong = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
    shown = wrong if len(wrong) else column.dropna()  # numbers, all of them, that are text
    raise InvalidInput(
        f"the model takes numbers in '{column.name}', and {len(shown):,} of {len(column):,} rows hold something else "
        f"there, such as {str(shown.iloc[0])!r}",
        code="not-numbers",
        hint="leave missing values empty; dtype reads numbers that are written as text, decimal their decimal sign",
    )


def _cast(column: pd.Series, kind: DataType) -> str | None:
    if kind in NUMBERS and not pd.api.types.is_numeric_dtype(column):
        return "float64"  # without a single value
    if kind in SMALL_FLOATS:
        return SMALL_FLOATS[kind]
    whole = kind in WHOLE_NUMBERS and column.notna().all() and (column % 1 == 0).all()
    return WHOLE_NUMBERS[kind] if whole else None


def _types_of(schema: Schema | None) -> dict[str, DataType]:
    """Return column name → type; nothing for tensors and where there is no signature."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return dict(zip(schema.input_names(), schema.input_types(), strict=True))  # type: ignore[arg-type]


def _optional_in(schema: Schema | None) -> frozenset[str]:
    """Return the columns that may be left out, of those that `_types_of` gives."""
    return frozenset(map(str, schema.optional_input_names())) if schema and _types_of(schema) else frozenset()
