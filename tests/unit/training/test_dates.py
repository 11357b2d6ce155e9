"""Dates become features on request: the stored pipeline takes them as they are, and loads without code of ours."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skops.io import dump, load

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.gate.safety.skops_nodes import read_skops
from slipway.registry.gate.safety.skops_places import strange_values
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.registry.reading import Reading
from slipway.training.data import load as read_data
from slipway.training.dataset import Dataset
from slipway.training.spec import parse_spec
from slipway.training.train import TrainedModel, prepare, train
from tests.generators.datasets import sources

ROWS = 120
DAYS = pd.Series(pd.date_range("2023-01-01", periods=ROWS, freq="3D"))
LATEST = DAYS.iloc[-1]


def dataset(folder: Path, column: object, *, name: str = "rows.csv", **reading: object) -> Dataset:
    """Return rows that were paid late from a weekday on, with a column of dates."""
    frame = pd.DataFrame({"n": np.arange(ROWS) % 7, "day": column, "y": (DAYS.dt.day_of_week >= 4).astype(int)})
    frame.to_csv(folder / name, index=False) if name.endswith("csv") else frame.to_parquet(folder / name)
    return read_data(str(folder / name), "y", sources=sources(), reading=Reading.model_validate(reading))


def trained(found: Dataset, **parameters: str) -> TrainedModel:
    """Return a model of it."""
    return train(found, parse_spec({"data": "d", "target": "y", "model": "m", "dates": "expand", **parameters}))


@pytest.mark.parametrize("estimator", ["logistic", "random_forest", "hist_gradient_boosting"])
def test_the_stored_pipeline_expands_dates_by_itself(tmp_path: Path, estimator: str):
    """It is judged to run no code, and answers rows with their dates in text as it did before."""
    model = trained(dataset(tmp_path, DAYS.dt.strftime("%d.%m.%Y").where(DAYS.index > 3)), estimator=estimator)
    assert model.on_holdout.scores()["accuracy"] > 0.8
    path = tmp_path / "model.skops"
    dump(model.pipeline, path)
    assert set(untrusted_types(path)) <= set(REVIEWED_TYPES)
    assert list(strange_values(read_skops(path))) == []
    rows = pd.DataFrame({"n": [0.0, 1.0, 2.0], "day": ["06.01.2023", None, np.nan]})
    found = load(path, trusted=list(REVIEWED_TYPES)).predict_proba(rows)
    np.testing.assert_array_equal(found, model.pipeline.predict_proba(rows))
    with pytest.raises(ValueError, match="tomorrow"):
        model.pipeline.predict(rows.assign(day="tomorrow"))


def parts_of(model: TrainedModel, rows: pd.DataFrame) -> list[float]:
    """Return what the first row's date becomes: year, month, day, weekday, day of the year, hour, days, seconds."""
    made = model.pipeline.named_steps["prepare"].named_transformers_["date_0"].named_steps["made"]
    read = model.pipeline.named_steps["prepare"].named_transformers_["date_0"].named_steps["read"]
    return list(map(float, made.transform(read.transform(rows["day"]))[0]))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (DAYS.dt.strftime("%d.%m.%Y"), "rows.csv"),
        (DAYS.dt.strftime("%Y-%m-%dT%H:%M:%S"), "rows.csv"),
        (DAYS, "rows.parquet"),
        (DAYS.astype("datetime64[s]"), "rows.parquet"),
        (DAYS.dt.tz_localize("UTC"), "rows.parquet"),
    ],
)
def test_parts_and_age_are_those_of_the_day(tmp_path: Path, written: pd.Series, name: str):
    """However it is written, and in whatever unit; ages count from the latest day."""
    found = dataset(tmp_path, written, name=name)
    model = trained(found)
    assert model.prepared.dates.reference == np.datetime64(LATEST, "D")
    day = DAYS.iloc[10]
    expected = [day.year, day.month, day.day, day.day_of_week, day.day_of_year, 0, (LATEST - day).days, 0]
    assert parts_of(model, found.frame.iloc[[10]]) == expected
    in_nanoseconds = found.frame.iloc[[10]].assign(day=lambda frame: frame["day"].astype("datetime64[ns]"))
    assert name.endswith("csv") or parts_of(model, in_nanoseconds) == expected


def test_what_can_be_read_in_two_ways_is_asked_for(tmp_path: Path):
    """As a time column is; its format is said by dtype, and one that does not fit is refused."""
    unclear = DAYS.dt.strftime("%d.%m.%Y").where(DAYS.dt.day <= 12, "01.02.2023")
    with pytest.raises(InvalidInput, match=r"^column 'day' can be read in more than one way: '01\.01\.2023'") as error:
        trained(dataset(tmp_path, unclear))
    assert error.value.hint == "say how they are written: dtype=day=%d.%m.%Y; or drop=day"
    model = trained(dataset(tmp_path, unclear, dtypes={"day": "%d.%m.%Y"}))
    assert dict(model.prepared.dates.formats) == {"day": "%d.%m.%Y"}
    assert "'day' by %d.%m.%Y" in model.prepared.dates.describe()
    with pytest.raises(InvalidInput, match="column 'day' does not hold dates as %Y-%m-%d says: "):
        trained(dataset(tmp_path, unclear, dtypes={"day": "%Y-%m-%d"}))


def test_nothing_is_expanded_unasked(tmp_path: Path):
    """Moments are left out and text is categories, and both are told of the way."""
    spec = parse_spec({"data": "d", "target": "y", "model": "m"})
    moments = prepare(dataset(tmp_path, DAYS, name="rows.parquet"), spec)
    assert [column.name for column in moments.columns] == ["n"]
    text = prepare(dataset(tmp_path, DAYS.dt.strftime("%d.%m.%Y")), spec)
    assert [column.name for column in text.columns] == ["n", "day"]
    for prepared in (moments, text):
        assert any("dates=expand makes features of them" in note for note in prepared.notes)
