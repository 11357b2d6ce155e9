"""Every combination of a training's options gives a model and all that its run promises."""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipway.registry.rows import row_ids
from slipway.training.dataset import Dataset
from slipway.training.importance import importance_of
from slipway.training.log import ModelToStore, log
from slipway.training.spec import parse_spec
from slipway.training.train import train
from tests.generators.datasets import customers, dataset_of

OPTIONS = {
    "target": ["churned", "income"],
    "holdout_rows": ["true", "false"],
    "key": ["", "id", "group"],
    "time_column": ["", "day", "stamp"],
}


def together() -> Iterator[Any]:
    """Yield every combination; what matters less alternates, and a third of them holds every pair of options."""
    for number, places in enumerate(itertools.product(*(range(len(each)) for each in OPTIONS.values()))):
        given = {name: values[place] for (name, values), place in zip(OPTIONS.items(), places, strict=True)}
        given |= {"cv": "02"[number % 2], "missing": ["", "NA"][number // 2 % 2]}
        marks = [pytest.mark.long] if sum(places) % 3 else []
        yield pytest.param(given, marks=marks, id="-".join(value or "no" for value in given.values()))


class RunInMemory:
    """A `RunLog` that keeps what it is given, and a folder's files where it is told."""

    run_id = "run"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.params: dict[str, object] = {}
        self.tags: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.model: ModelToStore | None = None

    def log_params(self, params: Mapping[str, object]) -> None:
        self.params |= params

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags |= tags

    def log_dataset(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def log_model(self, model: ModelToStore) -> str:
        self.model = model
        return "m-1"

    def log_metrics(self, metrics: Mapping[str, float], *, model_id: str) -> None:
        self.metrics |= metrics

    def log_folder(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                place = self.folder / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())

    def seconds(self) -> float:
        return 1.0


def rows() -> pd.DataFrame:
    """Return customers with groups, a day as a date and in text, a word for missing, and a nearly empty column."""
    frame = customers(120).dropna(subset="income")
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(frame)), unit="D")
    return frame.assign(
        group=np.arange(len(frame)) % 30,
        day=days,
        stamp=days.strftime("%d.%m.%Y"),
        code=np.where(frame["age"] % 2 == 0, "NA", "x"),
        rare=[None] * (len(frame) - 1) + ["seen"],
        flag=pd.array([True, False, None] * (len(frame) // 3) + [True] * (len(frame) % 3), "boolean"),
    )


@pytest.mark.parametrize("given", list(together()))
def test_options_hold_together(tmp_path: Path, given: dict[str, str]):
    """Both sides, an example that the model answers, rows only where they may be stored, and the rule on record."""
    frame = rows()
    spec = parse_spec({"data": "d", "model": "m", "estimator": "ridge", "importance_seconds": "0", **given})
    dataset = dataset_of(frame, given["target"], tmp_path, missing_words=spec.missing)
    run = RunInMemory(tmp_path / "run")
    trained = train(dataset, spec)
    log(trained, importance_of(trained), run=run, code=None, holdout_rows_max_bytes=10**9)
    document = json.loads((run.folder / "holdout" / "holdout.json").read_text())
    assert document["rows_train"] + document["rows_holdout"] == len(frame)
    assert (run.folder / "holdout" / "rows.parquet").is_file() is (given["holdout_rows"] == "true")
    assert document["scheme"].get("time_format") == ("%d.%m.%Y" if given["time_column"] == "stamp" else None)
    assert len(trained.pipeline.predict(run.model.example)) == len(run.model.example)
    if given["holdout_rows"] == "false":
        known = row_ids(dataset.frame[run.model.example.columns])
        assert not np.isin(row_ids(run.model.example), known).any()
    assert any(name.startswith("cv_") for name in run.metrics) is (given["cv"] == "2")
    assert run.params["missing"] == given["missing"]
