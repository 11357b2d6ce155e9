"""What answers by chance is not judged: who measures it measures something else than callers get."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import NMF
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.native_content import require_sound, require_steady

ROWS, LABELS = np.arange(40.0).reshape(20, 2), np.arange(20) % 2


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (DummyClassifier(strategy="stratified", random_state=0), "the model answers by chance"),
        (make_pipeline(StandardScaler(), DummyClassifier(strategy="uniform")), "[1] answers by chance"),
        (BaggingClassifier(DummyClassifier(strategy="stratified")), "] answers by chance (strategy='stratified')"),
        (make_pipeline(IterativeImputer(sample_posterior=True), LogisticRegression()), "fills in values by chance"),
        (
            make_pipeline(NMF(2, shuffle=True, random_state=np.random.RandomState(0)), LogisticRegression()),
            "draws from a RandomState that goes on from request to request",
        ),
    ],
    ids=["whole", "in a pipeline", "in an ensemble", "imputer", "generator"],
)
def test_what_answers_by_chance_is_not_judged(model: BaseEstimator, named: str):
    """Its generator's state is the file's own, and may draw otherwise after as many rows as the gate asks."""
    model.fit(ROWS, LABELS)
    require_sound(model)
    with pytest.raises(NotApproved) as refused:
        require_steady(model)
    assert (refused.value.code, named in refused.value.message) == ("answers-by-chance", True), refused.value.message


@pytest.mark.parametrize("strategy", ["prior", "most_frequent"])
def test_a_baseline_that_says_one_thing_is_judged(strategy: str):
    """It draws nothing, and so does an imputer that fills in the mean."""
    require_steady(make_pipeline(IterativeImputer(), DummyClassifier(strategy=strategy)).fit(ROWS, LABELS))


def test_a_generator_that_only_fitting_used_is_nobodys_matter():
    """A number as `random_state` begins anew with each request; a network keeps what it was fitted with."""
    require_steady(MLPClassifier((2,), max_iter=2, random_state=0).fit(ROWS, LABELS))
    require_steady(BaggingClassifier(random_state=0).fit(ROWS, LABELS))
