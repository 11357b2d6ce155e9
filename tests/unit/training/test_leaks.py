"""A feature that alone gives the target away is named; one that only helps is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from slipway.training.leaks import leak_notes

ROWS = 400
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, ROWS)


def notes(columns: dict, y: np.ndarray, *, classification: bool = True) -> list[str]:
    """Return what is said of a table of which the last third is held out."""
    frame, target = pd.DataFrame({"noise": RNG.normal(size=len(y)), **columns}), pd.Series(y, name="y")
    cut = len(y) * 2 // 3
    train, held_out = (frame[:cut], target[:cut]), (frame[cut:], target[cut:])
    return list(leak_notes(train, held_out, classification=classification))


@pytest.mark.parametrize(
    "values",
    [
        Y * 1.0,
        np.where(Y, RNG.integers(1, 6, ROWS), 0).astype(float),
        np.where(Y, np.nan, RNG.normal(size=ROWS)),
        np.where(Y, -np.inf, 1.0),
        Y == 1,
        pd.Series(np.where(Y, "paid", "owes"), dtype="str"),
        pd.Series([f"reason {i}" if y else None for i, y in enumerate(Y)], dtype="str"),
    ],
    ids=["copy", "reminders", "missing", "infinite", "flag", "word", "missing text"],
)
def test_what_gives_the_target_away_is_named(values):
    """By its value, or by whether it is there at all."""
    assert notes({"late": values}, Y) == [
        "features that alone tell the target of nearly every held-out row, and may give it away: 'late'; if they are "
        "known only once the target is, drop=late leaves it out"
    ]


def test_words_are_classes_too():
    """Of more than two."""
    y = np.array(["a", "b", "c"])[RNG.integers(0, 3, ROWS)]
    assert "'code'" in notes({"code": pd.Series(np.char.upper(y), dtype="str")}, y)[0]


@pytest.mark.parametrize("values", [lambda y: y * 1.19 + 3, lambda y: -np.log1p(y), lambda y: np.round(y, 3)])
def test_numbers_in_the_targets_order_give_it_away(values):
    """The price with tax, or on another scale."""
    y = RNG.lognormal(size=ROWS) * 100
    assert "'gross'" in notes({"gross": values(y)}, y, classification=False)[0]


def test_what_only_helps_is_not_named():
    """Nor what most, but not all, of a rare class have; nor anything of few rows."""
    wrong = RNG.random(ROWS) < 0.05
    assert notes({"hint": np.where(wrong, 1 - Y, Y) * 1.0}, Y) == []
    rare = (np.arange(ROWS) % 20 == 0).astype(int)
    assert notes({"hint": np.where(np.arange(ROWS) % 60 == 0, 0, rare) * 1.0}, rare) == []
    assert notes({"price": Y + RNG.normal(size=ROWS) * 0.1}, Y * 1.0, classification=False) == []
    assert notes({"copy": Y[:60] * 1.0}, Y[:60]) == []
    assert notes({"constant": np.zeros(ROWS), "empty": np.full(ROWS, np.nan)}, Y * 1.0, classification=False) == []


@pytest.mark.parametrize(("loader", "classes"), [(load_breast_cancer, True), (load_wine, True), (load_diabetes, False)])
def test_real_tables_have_none(loader, classes: bool):
    """Good features are no leaks."""
    frame = loader(as_frame=True).frame.sample(frac=1, random_state=0, ignore_index=True)
    features = frame.drop(columns="target").to_dict("series")
    assert notes(features, frame["target"].to_numpy(), classification=classes) == []
