"""Tuning looks at the training rows only, and proposes the same for the same seed."""

from pathlib import Path

import pytest
from sklearn.linear_model import RidgeClassifier

from slipway.registry.errors import InvalidInput
from slipway.registry.metrics import Direction
from slipway.training.optuna_search import OptunaSearch
from slipway.training.space import parse_space
from slipway.training.spec import Task, parse_spec
from slipway.training.train import prepare
from slipway.training.tune import Trial, parse_trials, progress_of, tune
from tests.generators.datasets import customers, dataset_of

SPEC = parse_spec(
    {"data": "d", "target": "t", "model": "m", "estimator": "ridge", "cv": "3", "params": '{"tol": 0.01}'}
)


def search(folder: Path, spec=SPEC) -> tuple[dict, list[Trial]]:
    """Tune four trials and return the best parameters with all trials."""
    trials: list[Trial] = []
    prepared = prepare(dataset_of(customers(200), "churned", folder), spec)
    space = parse_space("", "ridge")
    best = tune(prepared, spec, space=space, trials=4, search=OptunaSearch(), record=trials.append)
    return best.params, trials


def test_the_best_of_the_trials_is_kept_beside_what_was_given(tmp_path: Path):
    """By cross-validated balanced accuracy; a fixed parameter stays."""
    best, trials = search(tmp_path)
    winner = max(trials, key=lambda trial: trial.scores["balanced_accuracy"])
    assert best == {"tol": 0.01, **winner.params}
    assert len(trials) == 4


def test_each_trial_is_told_with_the_best_so_far():
    """A search of an hour is no silence; of errors the smallest is the best, and a trial that failed is said."""
    failed = Trial(params={}, scores={}, failure=InvalidInput("no", code="trial-failed", hint=None))
    errors = [Trial(params={}, scores={"rmse": each}) for each in (3.0, 2.0, 4.0)]
    assert progress_of(errors, 20, Task.REGRESSION) == "trial 3 of 20: rmse 4, the best so far 2"
    assert progress_of([failed], 2, Task.REGRESSION) == "trial 1 of 2: failed"
    shares = [Trial(params={}, scores={"balanced_accuracy": each}) for each in (0.5, 0.75)]
    told = progress_of([*shares, failed], 3, Task.CLASSIFICATION)
    assert told == "trial 3 of 3: failed, the best so far 0.75"


def test_the_same_seed_tries_the_same(tmp_path: Path):
    """A search can be repeated."""
    first, second = (search(tmp_path)[1] for _ in range(2))
    assert [trial.params for trial in first] == [trial.params for trial in second]


def test_held_out_rows_are_never_seen(tmp_path: Path):
    """Whatever the held-out rows say, the trials score the same."""
    frame = customers(200)
    prepared = prepare(dataset_of(frame, "churned", tmp_path), SPEC)
    spoiled = frame.copy()
    spoiled.loc[prepared.split.holdout, "churned"] = ["yes", "no"] * (len(prepared.split.holdout) // 2) + ["yes"] * (
        len(prepared.split.holdout) % 2
    )
    scores = []
    for each in (frame, spoiled):
        trials: list[Trial] = []
        dataset = dataset_of(each, "churned", tmp_path)
        tune(
            prepare(dataset, SPEC),
            SPEC,
            space=parse_space("", "ridge"),
            trials=2,
            search=OptunaSearch(),
            record=trials.append,
        )
        scores.append([trial.scores for trial in trials])
    assert scores[0] == scores[1]


def test_a_space_of_ones_own_is_read_from_json():
    """Ranges and choices, for estimators that have no space of their own too."""
    space = parse_space('{"alpha": {"low": 1, "high": 9}, "kind": {"choices": ["a", null]}}', "x.Y")
    assert (space["alpha"].low, space["kind"].choices) == (1, ("a", None))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "estimator 'x.Y' has no search space of its own"),
        ("{", "space is not a JSON object of ranges"),
        ('{"a": {"low": 3, "high": 1}}', "needs low < high"),
        ('{"a": {"low": 3, "high": 3}}', "needs low < high"),
        ('{"a": {"low": 0, "high": 1, "log": true}}', "low > 0 on a log scale"),
        ('{"a": {"choices": []}}', r"a\.choices: expected a list of at least one choice; got \[\]"),
        ('{"a": {"choices": "ab"}}', r"a\.choices: expected a list of at least one choice; got 'ab'"),
        ('{"a": {"choices": [[1, 2]]}}', r"a\.choices: expected texts, numbers, true, false or null; got"),
        ('{"a": {"choices": [1, NaN]}}', r"a\.choices: nan is no finite number"),
        ('{"a": {"choices": ["\\ud800"]}}', r"holds the character \\ud800, which cannot be kept"),
        ('{"a": {"low": 1, "high": 1e400}}', r"a\.high: expected a finite number; got inf"),
        ('{"a": {"low": NaN, "high": 1}}', r"a\.low: expected a finite number; got nan"),
        ('{"a": {"low": -1e308, "high": 1e308}}', "their difference is infinite"),
        ('{"a": {"low": 1, "high": 99999999999999999999}}', r"a\.high: expected a whole number of at most 2\*\*53"),
        ('{"a": {"low": true, "high": 3}}', r"a\.low: expected a number; got True"),
        ('{"a": {"low": "1", "high": 3}}', r"a\.low: expected a number; got '1'"),
        ('{"a": {"low": 1, "high": 3, "log": "yes"}}', r"a\.log: Input should be a valid boolean; got 'yes'"),
        ('{"a": {"low": 1, "high": 3, "step": 0}}', r"a\.step is unknown; a range has low, high and log, or choices"),
        ('{"a": {"low": 1}}', r"a\.high is missing"),
        ('{"a": {"low": 1, "high": 2}, "a": {"low": 3, "high": 4}}', "'a' is there twice; keep one"),
        ('{"a": [1, 2]}', r"'a' is \[1, 2\]; expected low and high, or choices"),
        ("[]", r"it is \[\]"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(text: str, said: str):
    """With what was given, and an example of one that can be."""
    with pytest.raises(InvalidInput, match=said) as caught:
        parse_space(text, "x.Y")
    assert "choices" in caught.value.hint or "write it without" in caught.value.hint


def test_an_empty_space_is_not_said_to_be_missing():
    """A random forest has one of its own, which is searched without the option."""
    with pytest.raises(InvalidInput, match="it names no parameter; leave space out for the estimator's own"):
        parse_space("{}", "random_forest")
    assert parse_space("", "random_forest")


def test_choices_that_are_equal_in_value_stay_apart():
    """One feature of a tree, and all of them: the search returns the one that it measured."""
    space = parse_space('{"max_features": {"choices": [1, 1.0, true]}}', "random_forest")
    for kind in (int, float, bool):
        best = OptunaSearch().best(
            space,
            lambda params, kind=kind: float(type(params["max_features"]) is kind),
            trials=20,
            direction=Direction.HIGHER_IS_BETTER,
            seed=0,
        )
        assert type(best["max_features"]) is kind


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "", "\u00b2", "9" * 5000])
def test_trials_are_a_whole_number(text: str):
    """Anything else is refused before training."""
    with pytest.raises(InvalidInput, match="expected a whole number above 0"):
        parse_trials(text)


def test_tuning_needs_folds(tmp_path: Path):
    """One fold selects nothing."""
    with pytest.raises(InvalidInput, match="needs cv of at least 2; got 0"):
        search(tmp_path, SPEC.model_copy(update={"cv": 0}))


def test_a_trial_that_cannot_be_fitted_is_recorded_and_the_others_go_on(tmp_path: Path):
    """With the reason; the best of the others wins."""
    trials: list[Trial] = []
    prepared = prepare(dataset_of(customers(200), "churned", tmp_path), SPEC)
    space = parse_space('{"alpha": {"choices": [-1.0, 1.0]}}', "ridge")
    best = tune(prepared, SPEC, space=space, trials=8, search=OptunaSearch(), record=trials.append)
    failed = [trial for trial in trials if trial.failure]
    assert best.params["alpha"] == 1.0
    assert {trial.params["alpha"] for trial in failed} == {-1.0}
    assert "'alpha' parameter of RidgeClassifier must be" in failed[0].failure.message
    assert len(trials) == 8


def test_a_search_of_which_every_trial_fails_says_why(tmp_path: Path):
    """All are tried and recorded, and the first reason is given."""
    trials: list[Trial] = []
    prepared = prepare(dataset_of(customers(200), "churned", tmp_path), SPEC)
    space = parse_space('{"alpha": {"choices": [-1.0, -2.0]}}', "ridge")
    with pytest.raises(
        InvalidInput, match=r"none of 3 trials could be measured; the first: .*RidgeClassifier cannot be"
    ):
        tune(prepared, SPEC, space=space, trials=3, search=OptunaSearch(), record=trials.append)
    assert len(trials) == 3


class Moody(RidgeClassifier):
    """An estimator of somebody else's, with errors of its own, and without a number where it should have one."""

    def fit(self, X, y):
        if self.alpha > 2:
            raise ZeroDivisionError("no such mood")
        return super().fit(X, y)


def test_errors_of_other_packages_fail_their_own_trial(tmp_path: Path):
    """Whatever an estimator raises; its type is named."""
    spec = SPEC.model_copy(update={"estimator": f"{__name__}.Moody", "params": {}})
    trials: list[Trial] = []
    prepared = prepare(dataset_of(customers(200), "churned", tmp_path), spec)
    space = parse_space('{"alpha": {"choices": [1.0, 3.0]}}', "x.Y")
    best = tune(prepared, spec, space=space, trials=8, search=OptunaSearch(), record=trials.append)
    assert best.params == {"alpha": 1.0}
    assert any("ZeroDivisionError: no such mood" in trial.failure.message for trial in trials if trial.failure)
