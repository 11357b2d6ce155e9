"""Stored models for comparing what two servers make of a request: probes that tell their input, and scikit-learn's."""

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import Model, infer_signature

from slipway.registry.signature import stored_signature
from tests.generators import probe
from tests.generators.mutated_models import fitted_models
from tests.generators.scoring_requests import Case, Dice, any_body, any_csv, any_model, any_parquet

KINDS = {"json": "application/json", "csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
# What is written from a row that a model was fitted on: as it is, whole, missing, out of every range, as text.
ODD_VALUES = (None, 0, -1, 1e300, -1e-300, 10**15, "1.5", "x", True, float("nan"))
Sent = tuple[bytes, str]


class Probe(mlflow.pyfunc.PythonModel):
    """Answers with all there is to know of its input."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> list[str]:
        return [*probe.told(model_input), f"params {sorted(params.items()) if params else params!r}"]


def stored_probe(dice: Dice, folder: Path) -> Case:
    """Store a probe with a signature of any kind; return the signature."""
    # A model's process knows nothing of tests: the classes are stored themselves, not their names.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cloudpickle.register_pickle_by_value(probe)
    made = any_model(dice)
    mlflow.pyfunc.save_model(str(folder), python_model=Probe(), signature=made.metadata.signature, pip_requirements=[])
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    cloudpickle.unregister_pickle_by_value(probe)
    return made


def any_request(dice: Dice, of: Case) -> Sent:
    """Return a request in any form, right or wrong, and its media type."""
    form = dice.choice(("json", "json", "json", "csv", *(["parquet"] if _takes_files(of) else [])))
    made = {"json": any_body, "csv": any_csv, "parquet": any_parquet}[form](dice, of)
    return made, KINDS[form]


def _takes_files(of: Case) -> bool:
    return of.signature is not None and not any(field.shape for field in of.signature.inputs)


def sklearn_models(names: Sequence[str] = ()) -> Iterator[tuple[str, Any, pd.DataFrame]]:
    """Yield scikit-learn's estimators that predict from a table of numbers, one of each class, and the rows of each."""
    seen: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for described, model, _, rows in fitted_models(names):
            name, what = described.split("#")[0], described.split(" of ")[1]
            if name in seen or what != "numbers" or not hasattr(model, "predict"):
                continue
            seen.add(name)
            yield name, model, pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])


def stored_sklearn(model: Any, frame: pd.DataFrame, folder: Path) -> Case:
    """Store a fitted estimator with its signature and an example; return the signature."""
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(frame, model.predict(frame)),
        input_example=frame.head(2),
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    return Case(metadata=Model.load(str(folder)), signature=stored_signature(folder))


def likely_request(dice: Dice, frame: pd.DataFrame) -> Sent:
    """Return a request of rows like those that a model was fitted on, in any form, now and then with an odd value."""
    rows = frame.sample(dice.choice((0, 1, 1, 2, 5)), random_state=dice.randrange(1000), replace=True)
    rows = rows.reset_index(drop=True).astype(object)
    for _ in dice.seldom(True, often=0.3) if len(rows) else []:
        rows.iloc[dice.randrange(len(rows)), dice.randrange(rows.shape[1])] = dice.choice(ODD_VALUES)
    for name in dice.seldom(*frame.columns):
        rows = rows.drop(columns=name)
    if dice.random() < 0.2:
        rows = rows.set_axis([dice.choice(("r", "s", 7)) for _ in range(len(rows))])
    return _written(dice, rows)


def _written(dice: Dice, rows: pd.DataFrame) -> Sent:
    match dice.choice(("split", "records", "instances", "inputs", "csv", "parquet")):
        case "split":
            return _json(dataframe_split=rows.to_dict(orient="split")), KINDS["json"]
        case "records" | "instances" as form:
            key = "dataframe_records" if form == "records" else form
            return _json(**{key: rows.to_dict(orient="records")}), KINDS["json"]
        case "inputs":
            return _json(inputs=rows.to_dict(orient="list")), KINDS["json"]
        case "csv":
            return rows.to_csv(index=False).encode(), KINDS["csv"]
        case _:
            columns = {name: _column(rows[name].reset_index(drop=True)) for name in rows}
            frame = pd.DataFrame(columns, index=range(len(rows)))
            return frame.set_axis(rows.index.astype(str)).to_parquet(), KINDS["parquet"]


def _column(values: pd.Series) -> pd.Series:
    """Return a column as Parquet can hold it: numbers, or text where one is none."""
    inferred = values.infer_objects()
    return inferred.astype(str) if inferred.dtype == object else inferred


def _json(**members: Any) -> bytes:
    """Return JSON with numpy's scalars as Python's, and Python's word for what is no number."""
    return json.dumps(members, default=lambda each: each.item() if isinstance(each, np.generic) else str(each)).encode()
