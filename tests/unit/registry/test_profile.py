"""The reference profile says what columns looked like, and survives being stored."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from slipway.registry.profile import CategoricalProfile, NumericProfile, Profile, numeric_profile, profile_columns


def test_numbers_are_described_by_quantiles():
    """Of 0 to 100 the quantiles are 0, 5, …, 100."""
    found = profile_columns(pd.DataFrame({"x": np.arange(101.0)}))["x"]
    assert found.quantiles == pytest.approx(range(0, 101, 5))
    assert (found.mean, found.missing_share, found.n) == (50.0, 0.0, 101)


def test_text_and_booleans_are_described_by_counts():
    """The commonest come first, equal ones by name; missing values are a share."""
    found = profile_columns(pd.DataFrame({"s": ["b", "a", "a", None], "f": [True, False, True, True]}))
    assert list(found["s"].counts.items()) == [("a", 2), ("b", 1)]
    assert found["s"].missing_share == 0.25
    assert found["f"].counts == {"True": 3, "False": 1}


def test_only_the_commonest_categories_are_named():
    """A hundred are named, and the rest is counted together."""
    found = profile_columns(pd.DataFrame({"s": [f"{i:03}" for i in range(250)]}))["s"]
    assert (len(found.counts), found.other_count) == (100, 150)


@pytest.mark.parametrize(("values", "missing"), [([], 0.0), ([np.nan], 1.0), ([np.inf, 1.0], 0.5)])
def test_what_is_not_finite_counts_as_missing(values: list[float], missing: float):
    """Without a finite value there are no quantiles."""
    found = numeric_profile(np.array(values, dtype=float))
    assert found.missing_share == missing
    assert bool(found.quantiles) == (missing < 1 and len(values) > 0)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=20))
def test_a_stored_profile_is_the_same_profile(values: list[float]):
    """Strict JSON there and back, whatever the numbers."""
    features = {"x": numeric_profile(np.array(values, dtype=float))}
    predictions = {"p": CategoricalProfile(n=1, missing_share=0.0, counts={"a": 1}, other_count=0)}
    profile = Profile(n_rows=len(values), features=features, predictions=predictions)
    assert Profile.from_json(profile.to_json()) == profile
    assert isinstance(profile.features["x"], NumericProfile)
