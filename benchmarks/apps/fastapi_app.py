"""The FastAPI app that people write: a checked body, a frame, the model's own predict, JSON."""

import os
from typing import Any

import mlflow.sklearn
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = mlflow.sklearn.load_model(os.environ["MODEL"])


class Split(BaseModel):
    """Rows, and the names of their columns."""

    columns: list[str]
    data: list[list[Any]]


class Body(BaseModel):
    """What is sent."""

    dataframe_split: Split


@app.get("/ping")
def ping() -> str:
    """Say that the model is loaded."""
    return "\n"


@app.post("/invocations")
def invocations(body: Body) -> dict[str, Any]:
    """Predict."""
    frame = pd.DataFrame(body.dataframe_split.data, columns=body.dataframe_split.columns)
    return {"predictions": model.predict(frame).tolist()}
