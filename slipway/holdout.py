"""Held-out rows of a model of one's own: `slipway.holdout.log(frame, target=…)` stores them with its MLflow run."""

from slipway.training.mlflow_holdout import log

__all__ = ["log"]
