"""How often `champion` and `slices` decide wrongly, or not at all: simulated with seeds.

For each metric and number of held-out rows two candidates are drawn many times: one exactly as good as the champion,
and one worse by twice the margin.
"""

from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks import draws, rare_kinds
from benchmarks.draws import Draw, Rng
from benchmarks.measure import markdown_table
from slipway.registry.gate.checks.slices import judge_slices, slice_of
from slipway.registry.gate.comparison import paired
from slipway.registry.gate.comparison.answers import TooFewRows
from slipway.registry.gate.comparison.judgement import decide
from slipway.registry.gate.verdict import Outcome

ALPHA = 0.05
SIZES = (30, 50, 100, 1_000, 10_000)
REPEATS = 200
REPEATS_OF_LARGE = 50
REPEATS_OF_SUPERIOR = 2_000
AGAIN = 30
AGAIN_ROWS = 20_000
SLICES = 10
SLICE_MARGIN = 0.05
INTRODUCTION = f"""## Decisions

How often `champion` decides wrongly or not at all, simulated: at each number of held-out rows {REPEATS} candidates
({REPEATS_OF_LARGE} at 10,000) that are exactly as good as the champion, and as many that are worse by twice the margin.
It is meant to refuse at most 5 % of the first and to pass at most 5 % of the second. With few rows it mostly says
INCONCLUSIVE, and how many rows would decide (the median is shown; "no" where it says that nobody can tell, since single
rows weigh too much). The last column says how often it is INCONCLUSIVE again when an equal candidate is measured on as
many, which is meant to be at most 20 %; it is empty where so many rows (over {AGAIN_ROWS:,}) were not simulated, and it
is more where next to nothing was seen: a few copied rows or keys, or fewer than ten rows of a class or beyond a
quantile, which the checks do not compare at all; they name the rows that would hold ten. The last tables are of
`superiority: true`, {REPEATS_OF_SUPERIOR:,} tries each: it is meant to pass 5 % of the candidates that are as good,
which is the hardest case, and to refuse at most 5 % of those better by two margins."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A metric with the way its rows differ; `draw` makes a comparison of n rows with a true difference.

    `grows` says that more rows are more of all kinds; else of the rarer class there are ever as many.
    """

    name: str
    margin: float
    draw: Draw
    relative: bool = False
    grows: bool = True

    def decided(self, rng: Rng, n: int, difference: float, *, superiority: bool = False) -> tuple[Outcome, int | None]:
        """Return what a drawn comparison decides, and the rows that would decide."""
        try:
            compared = self.draw(rng, n, difference)
        except TooFewRows as few:
            return Outcome.INCONCLUSIVE, few.rows
        margin = self.margin * compared.champion if self.relative else self.margin
        return decide(compared, 0.0 if superiority else -margin, margin=margin, alpha=ALPHA)


CASES = (
    Case(name="accuracy, 5 % of the rows answered differently", margin=0.02, draw=draws.of_accuracy(0.05)),
    Case(name="accuracy, 20 %", margin=0.02, draw=draws.of_accuracy(0.2)),
    Case(name="accuracy, 20 %, ten copies of each row", margin=0.02, draw=draws.of_copied_accuracy),
    Case(name="accuracy, 30 %, rows of customers", margin=0.02, draw=draws.of_accuracy_by_key),
    Case(name="accuracy, a champion without error", margin=0.02, draw=draws.perfect_accuracy),
    Case(name="balanced_accuracy, 10 %, a class of one fifth", margin=0.02, draw=draws.of_balanced_accuracy),
    Case(name="f1, a class of one fifth", margin=0.02, draw=draws.of_f1(0.2)),
    Case(name="f1, a class of 3 %", margin=0.02, draw=draws.of_f1(0.03)),
    Case(name="roc_auc 0.9, a class of one fifth", margin=0.02, draw=draws.of_ranks(0.9)),
    Case(name="roc_auc 0.9, a class of 3 %", margin=0.02, draw=draws.of_ranks(0.9, share=0.03)),
    Case(name="roc_auc 0.9, two positives", margin=0.02, draw=draws.of_ranks(0.9, positives=2), grows=False),
    Case(name="roc_auc 0.98, five positives", margin=0.02, draw=draws.of_ranks(0.98, positives=5), grows=False),
    Case(name="average_precision, a class of one fifth", margin=0.05, draw=draws.of_average_precision),
    Case(name="log_loss", margin=0.05, draw=draws.of_log_loss),
    Case(name="log_loss, rare confident mistakes", margin=0.05, draw=draws.of_rare_mistakes),
    Case(name="brier", margin=0.01, draw=draws.of_brier),
    Case(
        name="rmse, normal errors",
        margin=0.05,
        draw=draws.of_errors(draws.normal, together=0.9, rooted=True),
        relative=True,
    ),
    Case(
        name="rmse, normal errors, ten copies of each row",
        margin=0.05,
        draw=draws.of_errors(draws.normal, together=0.9, rooted=True, copied=True),
        relative=True,
    ),
    Case(
        name="rmse, t(6)", margin=0.05, draw=draws.of_errors(draws.student(6), together=0.9, rooted=True), relative=True
    ),
    Case(
        name="rmse, t(3)", margin=0.05, draw=draws.of_errors(draws.student(3), together=0.9, rooted=True), relative=True
    ),
    Case(
        name="rmse, lognormal errors (σ 1) that do not go together",
        margin=0.05,
        draw=draws.of_errors(draws.lognormal(1.0), together=0.0, rooted=True),
        relative=True,
    ),
    Case(name="mae, normal errors", margin=0.05, draw=draws.of_errors(draws.normal, together=0.9), relative=True),
    Case(name="mae, t(3)", margin=0.05, draw=draws.of_errors(draws.student(3), together=0.9), relative=True),
    Case(
        name="mae, lognormal errors (σ 1.5) that do not go together",
        margin=0.05,
        draw=draws.of_errors(draws.lognormal(1.5), together=0.0),
        relative=True,
    ),
    Case(name="mae, whole numbers, most answers the same", margin=0.05, draw=draws.of_rounded_errors, relative=True),
    Case(name="pinball, quantile 0.9", margin=0.05, draw=draws.of_pinball, relative=True),
    *(
        Case(
            name=f"pinball, quantile {quantile}, t(3), the worse one too near to the middle",
            margin=0.05,
            draw=rare_kinds.of_quantile(quantile),
            relative=True,
        )
        for quantile in (0.999, 0.99, 0.01)
    ),
    *(
        Case(
            name=f"{flaw.metric}, keys of lognormal sizes (σ 1), wrong on some of the largest",
            margin=flaw.margin,
            draw=rare_kinds.of_large_keys(flaw),
            relative=flaw.relative,
        )
        for flaw in (*rare_kinds.OF_CLASSES, *rare_kinds.OF_NUMBERS)
    ),
    Case(name="accuracy, rows that are alike", margin=0.02, draw=rare_kinds.of_alike_rows),
    Case(
        name="balanced_accuracy, five classes, one of 0.5 %, which the worse one loses",
        margin=0.02,
        draw=rare_kinds.of_rare_class((50, 30, 15, 4.5, 0.5)),
    ),
)
SUPERIOR = tuple(
    case for case in CASES if case.name in ("accuracy, 20 %", "rmse, normal errors", "pinball, quantile 0.9")
)


def champion_row(case: Case, n: int) -> list[str]:
    """Return the row of one metric at one number of rows."""
    rng = np.random.default_rng(n)
    repeats = REPEATS_OF_LARGE if n >= 10_000 else REPEATS

    def decided(rows: int, difference: float) -> tuple[Outcome, int | None]:
        return case.decided(rng, rows, difference)

    equal = [decided(n, 0.0) for _ in range(repeats)]
    worse = [decided(n, -2 * case.margin)[0] for _ in range(repeats)]
    asked = [rows for outcome, rows in equal if outcome is Outcome.INCONCLUSIVE]
    simulated = [rows for rows in asked[:AGAIN] if rows and rows <= AGAIN_ROWS] if case.grows else []
    if 2 * len(simulated) < len(asked[:AGAIN]):
        simulated = []  # those that ask for few are not like the others
    again = [decided(rows, 0.0)[0] for rows in simulated]
    return row(n, [outcome for outcome, _ in equal], worse, asked, again)


def superiority_row(case: Case, n: int) -> list[str]:
    """Return the row of one metric where it has to be better: equal candidates, and those better by two margins."""
    rng = np.random.default_rng(n)
    equal, better = (
        [case.decided(rng, n, difference, superiority=True)[0] for _ in range(REPEATS_OF_SUPERIOR)]
        for difference in (0.0, 2 * case.margin)
    )
    return [f"{n:,}", share(equal, Outcome.PASS), share(better, Outcome.FAIL), share(better, Outcome.INCONCLUSIVE)]


def slices_row(n: int) -> list[str]:
    """Return the row of ten slices of equal size; the worse candidate is worse in one of them."""
    rng = np.random.default_rng(n)

    def decided(rows: int, differences: list[float]) -> tuple[Outcome, int]:
        parts = [paired.accuracy(*draws.accuracy_rows(rng, rows // SLICES, each, 0.1)) for each in differences]
        found = [slice_of(f"s{i}", part, SLICE_MARGIN, ALPHA) for i, part in enumerate(parts)]
        asked = [part.judged.rows_to_decide or 0 for part in found]
        judged = judge_slices(found, [], [], margin=SLICE_MARGIN, alpha=ALPHA, note="")
        return judged.outcome, max(asked) * SLICES

    one_worse = [-2 * SLICE_MARGIN] + [0.0] * (SLICES - 1)
    equal = [decided(n, [0.0] * SLICES) for _ in range(REPEATS)]
    worse = [decided(n, one_worse)[0] for _ in range(REPEATS)]
    asked = [rows for outcome, rows in equal if outcome is Outcome.INCONCLUSIVE]
    again = [decided(rows, [0.0] * SLICES)[0] for rows in asked[:AGAIN]]
    return row(n, [outcome for outcome, _ in equal], worse, asked, again)


def row(n: int, equal: list[Outcome], worse: list[Outcome], asked: list[int | None], again: list[Outcome]) -> list[str]:
    """Return the shares as text."""
    return [
        f"{n:,}",
        share(equal, Outcome.FAIL),
        share(worse, Outcome.PASS),
        share(equal, Outcome.INCONCLUSIVE),
        asked_for(asked),
        share(again, Outcome.INCONCLUSIVE) if again else "",
    ]


def asked_for(asked: list[int | None]) -> str:
    """Return the median of the numbers that were asked for; "no" where mostly none was."""
    numbers = [rows for rows in asked if rows]
    if 2 * len(numbers) < len(asked):
        return "no"
    return f"{median(numbers):,.0f}" if numbers else ""


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
        whose = " of the champion's" if case.relative else ""
        title = f"**{case.name}** (margin {case.margin:g}{whose})"
        sections.append(f"{title}\n\n" + markdown_table(headers, [champion_row(case, n) for n in SIZES]))
    title = f"**slices**: ten of equal size, accuracy, 10 % differing, margin {SLICE_MARGIN:g} each, one of them worse"
    rows = [slices_row(n) for n in SIZES if n // SLICES >= 30]
    sections.append(f"{title}\n\n" + markdown_table(headers, rows))
    headers = ["rows", "equal passed", "better refused", "better undecided"]
    for case in SUPERIOR:
        title = f"**{case.name}** with `superiority: true`, the better one by two margins of {case.margin:g}"
        rows = [superiority_row(case, n) for n in SIZES[:-1]]
        sections.append(f"{title}\n\n" + markdown_table(headers, rows))
    return "\n\n".join(sections)
