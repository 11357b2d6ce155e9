"""Held-out rows stay held out, however the data grows."""

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.rows import row_ids
from slipway.training.holdout import HoldoutScheme, is_held_out, split
from tests.generators.datasets import dataset_of

FRACTIONS = st.floats(0.01, 0.99)


def keys(*numbers: int):
    """Return ids of rows with these keys."""
    return row_ids(pd.DataFrame({"key": numbers}))


@given(st.lists(st.integers(), unique=True, min_size=1), st.lists(st.integers()), FRACTIONS)
def test_adding_rows_moves_nobody(present: list[int], added: list[int], fraction: float):
    """A row's side depends on itself alone."""
    before = is_held_out(row_ids(pd.DataFrame({"key": pd.Series(present, dtype=object)})), fraction)
    after = is_held_out(row_ids(pd.DataFrame({"key": pd.Series(present + added, dtype=object)})), fraction)
    assert after[: len(present)].tolist() == before.tolist()


@given(FRACTIONS, FRACTIONS)
def test_a_larger_fraction_keeps_the_smaller_ones_rows(one: float, other: float):
    """Thresholds are nested."""
    ids = keys(*range(200))
    smaller, larger = (is_held_out(ids, fraction) for fraction in sorted((one, other)))
    assert not (smaller & ~larger).any()


def test_the_fraction_is_about_what_was_asked():
    """Of 100,000 keys a fifth, within five standard deviations."""
    assert is_held_out(keys(*range(100_000)), 0.2).mean() == pytest.approx(0.2, abs=5 * (0.2 * 0.8 / 100_000) ** 0.5)


def frame_of(rows: int = 300) -> pd.DataFrame:
    """Return numbered rows with two classes."""
    return pd.DataFrame(
        {"n": np.arange(rows), "group": np.arange(rows) % 50, "y": np.where(np.arange(rows) % 3, "a", "b")}
    )


def test_reordering_and_the_target_move_nobody(tmp_path: Path):
    """Neither the order of rows nor a corrected label changes who is held out."""
    scheme = HoldoutScheme(fraction=0.2)
    frame = frame_of()
    shuffled = frame.sample(frac=1, random_state=1).assign(y=lambda f: np.where(f.n % 2, "a", "b"))
    before = split(dataset_of(frame, "y", tmp_path), scheme, classes=True)
    after = split(dataset_of(shuffled, "y", tmp_path), scheme, classes=True)
    assert before.holdout_ids.tolist() == after.holdout_ids.tolist()
    assert set(before.train_ids).isdisjoint(before.holdout_ids)
    assert len(before.train) + len(before.holdout) == len(frame)


def test_rows_of_one_key_stay_together(tmp_path: Path):
    """A customer is on one side with all rows."""
    dataset = dataset_of(frame_of(), "y", tmp_path)
    sides = split(dataset, HoldoutScheme(fraction=0.3, key="group"), classes=True)
    groups = dataset.frame["group"]
    assert set(groups.iloc[sides.train]).isdisjoint(groups.iloc[sides.holdout])
    assert sides.id_columns == ("group",)
    assert sides.notes == ()


def test_without_a_key_the_risk_is_said(tmp_path: Path):
    """A changed column changes the hash of every row."""
    sides = split(dataset_of(frame_of(), "y", tmp_path), HoldoutScheme(fraction=0.2), classes=True)
    assert "a changed or added column moves rows" in sides.notes[0]


def test_a_time_column_holds_out_the_latest(tmp_path: Path):
    """Equal times are on one side."""
    frame = frame_of().assign(day=lambda f: pd.Timestamp("2026-01-01") + pd.to_timedelta(f.n // 10, unit="D"))
    dataset = dataset_of(frame, "y", tmp_path)
    sides = split(dataset, HoldoutScheme(fraction=0.25, time_column="day"), classes=True)
    days = dataset.frame["day"]
    assert days.iloc[sides.train].max() < days.iloc[sides.holdout].min()
    assert len(sides.holdout) == 80


def test_dates_in_text_hold_out_the_latest(tmp_path: Path):
    """Sorted as text, 9.1.2026 would come after 31.12.2026; the format is part of the rule."""
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(300), unit="D")
    frame = frame_of().assign(day=[f"{day.day}.{day.month}.{day.year}" for day in days])
    sides = split(dataset_of(frame, "y", tmp_path), HoldoutScheme(fraction=0.2, time_column="day"), classes=True)
    assert sides.holdout.tolist() == list(range(240, 300))
    assert sides.scheme.to_document()["time_format"] == "%d.%m.%Y"
    said = HoldoutScheme(fraction=0.2, time_column="day", time_format="%d.%m.%Y")
    assert sides.scheme.digest == said.digest != HoldoutScheme(fraction=0.2, time_column="day").digest


def test_a_rule_without_text_has_the_digest_that_it_always_had():
    """Versions of before are still compared by it."""
    assert "time_format" not in HoldoutScheme(fraction=0.2, time_column="day").to_document()


@pytest.mark.parametrize(
    ("key", "missing"), [([None] * 9 + list(range(291)), 9), ([None] + ["a", "b"] * 149 + ["c"], 1)]
)
def test_rows_without_a_key_are_refused(tmp_path: Path, key: list, missing: int):
    """They would share one id and one side."""
    dataset = dataset_of(frame_of().assign(k=key), "y", tmp_path)
    with pytest.raises(InvalidInput, match=f"key 'k' is missing in {missing} of 300 rows") as caught:
        split(dataset, HoldoutScheme(fraction=0.2, key="k"), classes=True)
    assert "leave key empty" in caught.value.hint


def test_one_key_for_very_many_rows_is_said(tmp_path: Path):
    """A placeholder for a missing key is a value too."""
    dataset = dataset_of(frame_of().assign(k=["unknown"] * 100 + [str(i) for i in range(200)]), "y", tmp_path)
    sides = split(dataset, HoldoutScheme(fraction=0.2, key="k"), classes=True)
    assert "key 'k' is 'unknown' in 100 of 300 rows, which are all on one side" in sides.notes[0]


def test_each_rule_has_a_digest_of_its_own():
    """The digest says whether two versions were split alike."""
    schemes = [
        HoldoutScheme(fraction=0.2),
        HoldoutScheme(fraction=0.3),
        HoldoutScheme(fraction=0.2, key="k"),
        HoldoutScheme(fraction=0.2, time_column="k"),
    ]
    assert len({scheme.digest for scheme in schemes}) == 4
    assert HoldoutScheme(fraction=0.2).digest == schemes[0].digest


@pytest.mark.parametrize(
    ("change", "scheme", "said"),
    [
        ({}, HoldoutScheme(fraction=0.0001), r"holds out 0 of 300 rows, and both sides need some"),
        (
            {"y": ["rare"] + ["a"] * 299},
            HoldoutScheme(fraction=0.2),
            r"would have no row of class 'rare', of which there are 1",
        ),
        (
            {"t": [pd.NaT] + [pd.Timestamp("2026-01-01")] * 299},
            HoldoutScheme(fraction=0.2, time_column="t"),
            "missing in 1 rows",
        ),
    ],
)
def test_a_side_that_would_miss_something_is_refused(tmp_path: Path, change: dict, scheme: HoldoutScheme, said: str):
    """With what is missing, how much there is, and what to do."""
    with pytest.raises(InvalidInput, match=said):
        split(dataset_of(frame_of().assign(**change), "y", tmp_path), scheme, classes=True)


@pytest.mark.parametrize(
    "scheme", [HoldoutScheme(fraction=0.2, key="grup"), HoldoutScheme(fraction=0.2, time_column="grup")]
)
def test_an_unknown_column_is_refused_with_the_nearest(tmp_path: Path, scheme: HoldoutScheme):
    """For the key and for the time column."""
    with pytest.raises(NotFound, match=r"no column 'grup' \(did you mean 'group'\?\)"):
        split(dataset_of(frame_of(), "y", tmp_path), scheme, classes=True)
