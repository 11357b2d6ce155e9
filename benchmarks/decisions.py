"""How often `champion` and `slices` decide wrongly, or not at all: simulated with seeds.

For each metric and number of held-out rows two candidates are drawn many times: one exactly as good as the champion,
and one worse by twice the margin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy import stats

from benchmarks.measure import markdown_table
from registry import paired
from registry.checks.slices import judge_slices, slice_of
from registry.judgement import Judged, judge
from registry.paired import Paired
from registry.verdict import Outcome

Draw = Callable[[np.random.Generator, int, float], Paired]
ALPHA = 0.05
SIZES = (30, 50, 100, 1_000, 10_000)
REPEATS = 400
REPEATS_OF_SLOW = 100
SLICES = 10
SLICE_MARGIN = 0.05
INTRODUCTION = f"""## Decisions

How often `champion` decides wrongly or not at all, simulated: at each number of held-out rows {REPEATS} candidates
({REPEATS_OF_SLOW} where a comparison is slow) that are exactly as good as the champion, and as many that are worse by
twice the margin. It is meant to refuse at most 5 % of the first and to pass at most 5 % of the second. With few rows it
mostly says INCONCLUSIVE, and how many rows would decide (the median is shown); the last column says how often it is
INCONCLUSIVE again when an equal candidate is measured on as many, which is meant to be at most 20 %."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A metric with the way its rows differ; `draw` makes a comparison of n rows with a true difference."""

    name: str
    margin: float
    draw: Draw
    slow: bool = False


def accuracy_rows(
    rng: np.random.Generator, n: int, difference: float, differing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return shape (n,) twice: whether champion and candidate are right, who differ on a share of the rows."""
    draw = rng.random(n)
    lost, gained = (differing - difference) / 2, (differing + difference) / 2
    champion = np.where(draw < lost, True, np.where(draw < lost + gained, False, rng.random(n) < 0.9))
    candidate = np.where(draw < lost, False, np.where(draw < lost + gained, True, champion))
    return champion, candidate


def of_accuracy(differing: float) -> Draw:
    """Return a draw for accuracy."""
    return lambda rng, n, difference: paired.accuracy(*accuracy_rows(rng, n, difference, differing))


def of_balanced_accuracy(rng: np.random.Generator, n: int, difference: float) -> Paired:
    """Compare on two classes, one of them a fifth of the rows."""
    y = np.arange(n) % 5 == 0
    return paired.balanced_accuracy(y, *accuracy_rows(rng, n, difference, 0.1))


def of_mean_loss(rng: np.random.Generator, n: int, difference: float) -> Paired:
    """Compare skewed losses with mean 0.3 that go together, as the log loss of two similar models does."""
    champion = rng.exponential(0.3, n)
    return paired.mean_loss(champion, champion * rng.uniform(0.5, 1.5, n) - difference)


def of_rmse(rng: np.random.Generator, n: int, difference: float) -> Paired:
    """Compare errors with a true RMSE of 1, heavy-tailed and correlated."""
    champion = rng.standard_t(6, n) / np.sqrt(1.5)
    other = rng.standard_t(6, n) / np.sqrt(1.5)
    candidate = (0.9 * champion + np.sqrt(1 - 0.81) * other) * (1 - difference)
    return paired.mean_loss(champion**2, candidate**2, rooted=True)


def of_roc_auc(rng: np.random.Generator, n: int, difference: float) -> Paired:
    """Compare normal scores with a true area of 0.9 for the champion, a fifth of the rows positive."""
    y = (np.arange(n) % 5 == 0).astype(np.int64)
    shared, own, theirs = rng.normal(size=(3, n))
    champion = shift_for(0.9) * y + np.sqrt(0.8) * shared + np.sqrt(0.2) * own
    candidate = shift_for(0.9 + difference) * y + np.sqrt(0.8) * shared + np.sqrt(0.2) * theirs
    return paired.roc_auc(y[:, None], champion[:, None], candidate[:, None])


def shift_for(area: float) -> float:
    """Return how far apart two normal distributions are whose ROC curve has an area."""
    return float(np.sqrt(2) * stats.norm.ppf(area))


CASES = (
    Case(name="accuracy, 5 % of the rows answered differently", margin=0.02, draw=of_accuracy(0.05)),
    Case(name="accuracy, 20 %", margin=0.02, draw=of_accuracy(0.2)),
    Case(name="balanced_accuracy, 10 %, a class of one fifth", margin=0.02, draw=of_balanced_accuracy),
    Case(name="roc_auc", margin=0.02, draw=of_roc_auc),
    Case(name="log_loss", margin=0.05, draw=of_mean_loss, slow=True),
    Case(name="rmse", margin=0.05, draw=of_rmse, slow=True),
)


def champion_row(case: Case, n: int) -> list[str]:
    """Return the row of one metric at one number of rows."""
    rng = np.random.default_rng(n)
    repeats = REPEATS_OF_SLOW if case.slow and n >= 10_000 else REPEATS

    def decide(rows: int, difference: float) -> Judged:
        return judge(case.draw(rng, rows, difference), margin=case.margin, alpha=ALPHA, superiority=False)

    equal = [decide(n, 0.0) for _ in range(repeats)]
    worse = [decide(n, -2 * case.margin).outcome for _ in range(repeats)]
    asked = [each.rows_to_decide for each in equal if each.rows_to_decide]
    again = [decide(rows, 0.0).outcome for rows in asked[:REPEATS_OF_SLOW]]
    return row(n, [each.outcome for each in equal], worse, asked, again)


def slices_row(n: int) -> list[str]:
    """Return the row of ten slices of equal size; the worse candidate is worse in one of them."""
    rng = np.random.default_rng(n)

    def decide(rows: int, differences: list[float]) -> tuple[Outcome, int]:
        parts = [paired.accuracy(*accuracy_rows(rng, rows // SLICES, each, 0.1)) for each in differences]
        found = [slice_of(f"s{i}", part, SLICE_MARGIN, ALPHA) for i, part in enumerate(parts)]
        asked = [part.judged.rows_to_decide or 0 for part in found]
        judged = judge_slices(found, [], margin=SLICE_MARGIN, alpha=ALPHA, note="")
        return judged.outcome, max(asked) * SLICES

    one_worse = [-2 * SLICE_MARGIN] + [0.0] * (SLICES - 1)
    equal = [decide(n, [0.0] * SLICES) for _ in range(REPEATS)]
    worse = [decide(n, one_worse)[0] for _ in range(REPEATS)]
    asked = [rows for outcome, rows in equal if outcome is Outcome.INCONCLUSIVE]
    again = [decide(rows, [0.0] * SLICES)[0] for rows in asked[:REPEATS_OF_SLOW]]
    return row(n, [outcome for outcome, _ in equal], worse, asked, again)


def row(n: int, equal: list[Outcome], worse: list[Outcome], asked: list[int], again: list[Outcome]) -> list[str]:
    """Return the shares as text."""
    return [
        f"{n:,}",
        share(equal, Outcome.FAIL),
        share(worse, Outcome.PASS),
        share(equal, Outcome.INCONCLUSIVE),
        f"{median(asked):,.0f}" if asked else "",
        share(again, Outcome.INCONCLUSIVE) if again else "",
    ]


def share(outcomes: list[Outcome], wanted: Outcome) -> str:
    """Return how many of the outcomes are the wanted one."""
    return f"{100 * sum(each is wanted for each in outcomes) / len(outcomes):.1f} %"


def run() -> str:
    """Return the section of the report."""
    headers = [
        "rows",
        "equal refused",
        "worse passed",
        "equal undecided",
        "rows asked for",
        "undecided then",
    ]
    sections = [INTRODUCTION]
    for case in CASES:
        title = f"**{case.name}** (margin {case.margin:g})"
        sections.append(f"{title}\n\n" + markdown_table(headers, [champion_row(case, n) for n in SIZES]))
    title = f"**slices**: ten of equal size, accuracy, 10 % differing, margin {SLICE_MARGIN:g} each, one of them worse"
    rows = [slices_row(n) for n in SIZES if n // SLICES >= 30]
    sections.append(f"{title}\n\n" + markdown_table(headers, rows))
    return "\n\n".join(sections)
