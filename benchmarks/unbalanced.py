"""What the default policy lets into production on unbalanced classes: constants never, and who is better surely.

Ten datasets, simulated and real ones that scikit-learn bundles, of which one class was made rare. Rows are drawn anew
from each, with seeds; models are fitted as users fit them, and judged as the check `champion` judges in the last stage.
What is true of a model is measured on as many rows again as decide nothing.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import datasets, metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.draws import Rng
from benchmarks.measure import markdown_table
from slipway.registry.gate.checks.champion import compared
from slipway.registry.gate.checks.constant import judged_beside_constant
from slipway.registry.gate.comparison.answers import CannotCompare, Said
from slipway.registry.gate.comparison.head_to_head import HeadToHead
from slipway.registry.gate.comparison.random_weights import Clusters
from slipway.registry.gate.verdict import Outcome
from slipway.registry.policy.policy import ChampionRule

TRAIN_ROWS, HELD_OUT_ROWS, TRUE_ROWS = 3_000, 4_000, 20_000
FEW_ROWS = 200
SEEDS = 20
BETTER_BY = {"balanced_accuracy": 2 * 0.02, "log_loss": 2 * 0.05}
CONSTANT, BETTER, BY_LABELS = KINDS = ("constant", "better by both", "better by labels")
DEFAULT = "the default policy"
RULES = {
    DEFAULT: ChampionRule(),
    "accuracy and no constant, the default before": ChampionRule(metric="accuracy", constant=False),
    "`average_precision`": ChampionRule(metric="average_precision"),
    "`log_loss`": ChampionRule(metric="log_loss"),
}
INTRODUCTION = f"""## Unbalanced

What the check `champion` lets into production where a class is rare. Ten datasets, five of them simulated and five
that scikit-learn bundles (drawn again and again, each row a little off), {SEEDS} seeds each: {TRAIN_ROWS:,} rows to
train on, {HELD_OUT_ROWS:,} held out. Six constants (of which one has ranks, and never says yes) and three models
(logistic regression, the same with weighted classes, histogram gradient boosting) are candidates beside who never says
yes and as a first version; the models also beside a logistic regression on {FEW_ROWS} rows. "Better by both" are the
models that are truly better, by twice the margin, on balanced accuracy (0.04) and log loss (0.1), measured on
{TRUE_ROWS:,} other rows; "better by labels" those that are on balanced accuracy, whose probabilities may be worse, as
those of weighted classes are meant to be."""
X = npt.NDArray[np.float64]
Y = npt.NDArray[np.int64]
Answered = tuple[Said, dict[str, float]]
Counts = dict[tuple[str, str], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Population:
    """Rows of two classes that can be drawn without end; `share` of them are of the rare one, 1."""

    name: str
    share: float
    draw: Callable[[Rng, Y], X]

    def rows(self, rng: Rng, n: int) -> tuple[X, Y]:
        """Return n rows and their classes."""
        y = (rng.random(n) < self.share).astype(np.int64)
        return self.draw(rng, y), y


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A fitted model beside a champion, or as the first version; `gains` are what is true of it, more is better."""

    both: HeadToHead
    gains: dict[str, float]
    is_first: bool
    is_constant: bool

    def passes(self, rule: ChampionRule) -> bool:
        """Return whether the check lets it in."""
        try:
            if self.is_first:
                return rule.constant is False or judged_beside_constant(self.both, rule).outcome is Outcome.PASS
            found = compared([self.both], rule, constant=rule.constant is not False)
        except CannotCompare:
            return False
        return max(finding.outcome for finding in found) is Outcome.PASS

    @property
    def kinds(self) -> list[str]:
        """Return what it counts as: a constant, better by its labels, better by labels and probabilities."""
        if self.is_constant:
            return [CONSTANT]
        better = {name: self.gains[name] >= by for name, by in BETTER_BY.items()}
        return [BETTER] * all(better.values()) + [BY_LABELS] * better["balanced_accuracy"]


def simulated(name: str, share: float, **options: float) -> Population:
    """Return rows of scikit-learn's own generator."""
    x, y = datasets.make_classification(
        20_000, n_features=12, n_informative=5, n_redundant=2, random_state=len(name), **options
    )
    return resampled(name, share, x, y)


def resampled(name: str, share: float, x: X, y: npt.NDArray[np.bool_]) -> Population:
    """Return rows drawn again and again from those that there are, each a little off in every feature.

    A smoothed bootstrap: copies would count once.
    """
    kept = [x[y == of].astype(float) for of in (0, 1)]
    width = 0.3 * x.std(axis=0)

    def draw(rng: Rng, classes: Y) -> X:
        drawn = [rows[rng.integers(0, len(rows), len(classes))] for rows in kept]
        return np.where(classes[:, None] == 1, drawn[1], drawn[0]) + width * rng.normal(size=(len(classes), x.shape[1]))

    return Population(name=name, share=share, draw=draw)


def normal(name: str, share: float, apart: float) -> Population:
    """Return two normal clouds some standard deviations apart, among features that say nothing."""

    def draw(rng: Rng, classes: Y) -> X:
        found = rng.normal(size=(len(classes), 6))
        found[:, 0] += apart * classes
        found[:, 1] -= apart * classes
        return found

    return Population(name=name, share=share, draw=draw)


def populations() -> Iterator[Population]:
    """Yield the ten."""
    cancer, digits, wine = (
        load(return_X_y=True) for load in (datasets.load_breast_cancer, datasets.load_digits, datasets.load_wine)
    )
    diabetes, iris = datasets.load_diabetes(return_X_y=True), datasets.load_iris(return_X_y=True)
    yield normal("two clouds, 8 %", 0.08, 2.0)
    yield normal("two clouds far apart, 5 %", 0.05, 2.5)
    yield simulated("make_classification, 8 %", 0.08, class_sep=1.5)
    yield simulated("make_classification, wrong labels, 15 %", 0.15, class_sep=2.0, flip_y=0.05)
    yield simulated("make_classification, clusters, 12 %", 0.12, class_sep=2.0, n_clusters_per_class=2)
    yield resampled("breast_cancer, malignant 8 %", 0.08, cancer[0], cancer[1] == 0)
    yield resampled("digits, an eight, 10 %", 0.10, digits[0], digits[1] == 8)
    yield resampled("wine, the first kind 5 %", 0.05, wine[0], wine[1] == 0)
    yield resampled("diabetes, the worst tenth", 0.10, diabetes[0], diabetes[1] > np.quantile(diabetes[1], 0.9))
    yield resampled("iris, virginica 8 %", 0.08, iris[0], iris[1] == 2)


class Answering(ClassifierMixin, BaseEstimator):
    """A constant of one's own choice: a label, and a probability of the rare class."""

    def __init__(self, label: int = 0, probability: float = 0.5) -> None:
        self.label = label
        self.probability = probability

    def fit(self, x: X, y: Y) -> "Answering":
        """Learn nothing."""
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, x: X) -> Y:
        """Answer the label."""
        return np.full(len(x), self.label)

    def predict_proba(self, x: X) -> X:
        """Answer the probability."""
        return np.tile([1 - self.probability, self.probability], (len(x), 1))


def constants() -> Iterator[BaseEstimator]:
    """Yield models that look at no feature."""
    yield DummyClassifier(strategy="prior")
    yield DummyClassifier(strategy="most_frequent")
    yield DummyClassifier(strategy="constant", constant=1)
    yield Answering(label=0, probability=0.2)
    yield Answering(label=1, probability=0.6)
    yield LogisticRegression(C=1e-12)


def models() -> Iterator[BaseEstimator]:
    """Yield models as users train them."""
    yield make_pipeline(StandardScaler(), LogisticRegression())
    yield make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    yield HistGradientBoostingClassifier(max_iter=40, random_state=0)


def said(model: BaseEstimator, x: X) -> Said:
    """Return what a model answers, as the gate has it."""
    return Said(
        labels=model.predict(x),
        scores=model.predict_proba(x),
        are_probabilities=True,
        classes=tuple(model.classes_.tolist()),
        method="predict",
    )


def true_values(y: Y, answers: Said) -> dict[str, float]:
    """Return what is better the larger it is."""
    assert answers.scores is not None
    return {
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, answers.labels)),
        "log_loss": -float(metrics.log_loss(y, answers.scores.clip(0.002, 0.998))),
    }


def beside(y: Y, champion: Said, candidate: Said) -> HeadToHead:
    """Return both versions' answers on held-out rows."""
    return HeadToHead(
        frame=pd.DataFrame(index=range(len(y))),
        y=y,
        is_classification=True,
        candidate=candidate,
        champion=champion,
        names=("m/1", "m/2"),
        clusters=Clusters(codes=np.arange(len(y))),
        clustered_by=None,
        dropped=0,
        note="",
        doubts=(),
    )


def contenders(population: Population, seed: int) -> Iterator[Contender]:
    """Yield each pair of champion and candidate: constants and models, beside a constant, a weak model and nobody."""
    rng = np.random.default_rng([seed, len(population.name)])
    train, held_out, true = (population.rows(rng, n) for n in (TRAIN_ROWS, HELD_OUT_ROWS, TRUE_ROWS))
    weak = make_pipeline(StandardScaler(), LogisticRegression()).fit(*(part[:FEW_ROWS] for part in train))

    def answered(model: BaseEstimator) -> tuple[Said, dict[str, float]]:
        return said(model, held_out[0]), true_values(true[1], said(model, true[0]))

    def pair(champion: Answered, candidate: Answered, *, is_constant: bool, is_first: bool = False) -> Contender:
        gains = {name: candidate[1][name] - champion[1][name] for name in candidate[1]}
        both = beside(held_out[1], champion[0], candidate[0])
        return Contender(both=both, gains=gains, is_first=is_first, is_constant=is_constant)

    unknowing = [answered(each.fit(*train)) for each in constants()]
    never = unknowing[0]
    for each in unknowing:
        yield pair(never, each, is_constant=True)
        yield pair(each, each, is_constant=True, is_first=True)
    for each in (answered(each.fit(*train)) for each in models()):
        yield pair(never, each, is_constant=False)
        yield pair(never, each, is_constant=False, is_first=True)
        yield pair(answered(weak), each, is_constant=False)


def let_in(population: Population, seeds: Iterable[int], rules: Mapping[str, ChampionRule]) -> Counts:
    """Return for each rule and kind how many contenders there were, and how many of them were let in."""
    found: Counts = {(rule, kind): (0, 0) for rule in rules for kind in KINDS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for contender in (each for seed in seeds for each in contenders(population, seed)):
            for name, rule in rules.items() if contender.kinds else ():
                passes = contender.passes(rule)
                for kind in contender.kinds:
                    there, passed = found[name, kind]
                    found[name, kind] = (there + 1, passed + passes)
    return found


def run() -> str:
    """Return the section of the report."""
    by_name = {population.name: let_in(population, range(SEEDS), RULES) for population in populations()}
    headers = ["", "constants let in", "better by both let in", "better by labels let in"]
    rows = [[name, *(_share(counts[DEFAULT, kind]) for kind in KINDS)] for name, counts in by_name.items()]
    totals = [[rule, *(_share(_sum(by_name.values(), rule, kind)) for kind in KINDS)] for rule in RULES]
    return (
        f"{INTRODUCTION}\n\n**By the default policy**\n\n{markdown_table(headers, rows)}\n\n"
        f"**All ten, by other rules**\n\n{markdown_table(headers, totals)}"
    )


def _sum(every: Iterable[Counts], rule: str, kind: str) -> tuple[int, int]:
    pairs = [counts[rule, kind] for counts in every]
    return sum(there for there, _ in pairs), sum(passed for _, passed in pairs)


def _share(counts: tuple[int, int]) -> str:
    there, passed = counts
    return f"{passed} of {there}" if there else "none was"
