"""Our engine and MLflow's scoring server, asked the same: what is accepted, what a model is given, what is answered.

Both run whole, with models as they are stored. Probes answer with their input, so that a dtype, an index or a None that
is another one is another answer; estimators of scikit-learn answer as they do, compiled or not.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from slipway.registry.errors import NotApproved
from tests.generators.scoring_requests import Case, Dice
from tests.generators.served_models import (
    Sent,
    any_request,
    likely_request,
    sklearn_models,
    stored_probe,
    stored_sklearn,
)
from tests.servers.side_by_side import Said, SideBySide, side_by_side

pytestmark = pytest.mark.filterwarnings("ignore")
# A few of each sort of runner; the long form has all.
FEW = ("LogisticRegression", "DecisionTreeClassifier", "Ridge", "KNeighborsClassifier", "GaussianNB", "KMeans")
# What MLflow says of whatever a model raises, the caller's fault or not: here it is the model's (500), and logged.
ANY_ERROR = "Encountered an unexpected error while evaluating the model"
TOLERANCE = 1e-9


@pytest.mark.parametrize(
    ("models", "requests"), [(12, 25), pytest.param(500, 120, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_a_model_is_given_what_mlflows_server_gives_it(models: int, requests: int, tmp_path: Path):
    """Types, dtypes, labels, None and NaN, parameters, refusals: alike, whatever the signature and the request."""
    differing: list[str] = []
    for seed in range(models):
        made = stored_probe(Dice(2 * seed), tmp_path / f"probe{seed}")
        with side_by_side(tmp_path / f"probe{seed}") as both:
            for place in range(requests):
                differing += compared(both, any_request(Dice(seed * requests + place), made), made)
    assert differing == []


@pytest.mark.parametrize(
    ("names", "requests"), [(FEW, 20), pytest.param((), 500, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_scikit_learns_models_answer_alike(names: tuple[str, ...], requests: int, tmp_path: Path):
    """Every estimator that predicts from a table, over rows like its own and requests of any kind."""
    differing: list[str] = []
    asked: list[str] = []
    with threadpool_limits(1):
        for name, model, frame in sklearn_models(names):
            made = stored_sklearn(model, frame, tmp_path / name)
            try:
                with side_by_side(tmp_path / name) as both:
                    asked.append(name)
                    for place in range(requests):
                        dice = Dice(place)
                        sent = likely_request(dice, frame) if place % 4 else any_request(dice, made)
                        differing += compared(both, sent, made)
            except NotApproved:
                continue
    assert differing == []
    assert len(asked) >= (len(names) or 60)


def compared(both: SideBySide, sent: Sent, made: Case) -> list[str]:
    """Return what differs between the two answers to a request, in words; nothing where they agree.

    The parameter `method` is ours alone, unless the model declares one; JSON may be written in UTF-16, too.
    """
    declared = {param.name for param in made.signature.params} if made.signature else set()
    if b'"method"' in sent[0].replace(b"\0", b"") and "method" not in declared:
        return []
    theirs, ours = both.theirs(*sent), both.ours(*sent)
    if agree(theirs, ours):
        return []
    return [f"{both.loaded.runner.report.kind} {made.signature} {sent!r}\n  MLflow: {theirs}\n  engine: {ours}"]


def agree(theirs: Said, ours: Said) -> bool:
    """Return whether both answered alike, or both refused: our status is 400 where MLflow's is.

    What a model raises is 400 by MLflow and 500 here, unless it says whose fault it is; answers that have no JSON are
    500 by both.
    """
    if theirs.status == 200:
        return ours.status == 200 and is_same(theirs.document, ours.document)
    if theirs.status == 500 or ANY_ERROR in str(theirs.document):
        return ours.status in (400, 500)
    return ours.status == theirs.status == 400


def is_same(theirs: Any, ours: Any) -> bool:
    """Return whether two documents are the same but for the last digits, and for null where MLflow writes NaN."""
    if isinstance(theirs, dict):
        return (
            isinstance(ours, dict) and theirs.keys() == ours.keys() and all(is_same(theirs[k], ours[k]) for k in ours)
        )
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(theirs) == len(ours) and all(map(is_same, theirs, ours))
    if isinstance(theirs, float):
        if not math.isfinite(theirs):
            return ours is None
        return type(ours) is float and math.isclose(theirs, ours, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(theirs) is type(ours) and theirs == ours


def test_what_differs_is_seen():
    """The comparison itself: a status, a type, a digit, a missing value."""
    answered = Said(200, {"predictions": [1.5, math.nan]})
    assert agree(answered, Said(200, json.loads('{"predictions": [1.5, null]}')))
    for other in ([1.5, 0.0], [1.6, None], ["1.5", None], [1.5], {"a": 1.5}):
        assert not agree(answered, Said(200, {"predictions": other}))
    assert not agree(answered, Said(400, {}))
    assert not agree(Said(400, "no such column"), Said(500, {}))
    assert agree(Said(400, ANY_ERROR), Said(500, {}))
