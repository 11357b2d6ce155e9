"""The Flask app that people write: a frame from the request, the model's own predict, JSON."""

import os

import mlflow.sklearn
import pandas as pd
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
model = mlflow.sklearn.load_model(os.environ["MODEL"])


@app.get("/ping")
def ping() -> str:
    """Say that the model is loaded."""
    return "\n"


@app.post("/invocations")
def invocations() -> Response:
    """Predict."""
    sent = request.get_json()["dataframe_split"]
    frame = pd.DataFrame(sent["data"], columns=sent["columns"])
    return jsonify(predictions=model.predict(frame).tolist())
