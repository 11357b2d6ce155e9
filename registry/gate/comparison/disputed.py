"""Whether what the candidate's held-out rows are called may be trusted: they came with the candidate.

A candidate that was trained on wrong targets is at its best on rows with targets as wrong. Two things tell: the
champion's run called the same rows otherwise, or the champion does far worse on these rows than on its own.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.gate.comparison import influences
from slipway.registry.gate.evidence import Rows, Subject
from slipway.registry.gate.holdout_record import read_holdout
from slipway.registry.metrics import is_measurement
from slipway.registry.rows import row_ids

CALLED = "slipway: what the row is called"
MOST_DIFFERING = 0.01
SKILL_KEPT = 2 / 3
SURELY_BELOW = 3.1  # standard errors: by chance once in a thousand
WAY_ON = "if these targets are right, name a dataset in the policy with data and target"


def doubts(
    frame: pd.DataFrame,
    y: npt.NDArray[Any],
    rows: Rows,
    champion: Subject,
    answers: npt.NDArray[Any],
    *,
    is_classification: bool,
) -> tuple[str, ...]:
    """Return what speaks against the targets of the candidate's held-out rows; `answers` are the champion's, (n,)."""
    found = (_called_otherwise(frame, rows, champion), _far_below(y, champion, answers, is_classification))
    return tuple(each for each in found if each)


def _called_otherwise(frame: pd.DataFrame, rows: Rows, champion: Subject) -> str | None:
    """Compare targets row by row, where the champion's run stored its held-out rows."""
    record = read_holdout(champion.holdout)
    stored = record.stored_rows() if record else None
    if record is None or stored is None:
        return None
    columns, target = list(record.columns), record.target
    if not set(columns) <= set(frame.columns) - {rows.target}:
        return None
    stored = stored[stored[target].notna()]
    ours, theirs = frame[columns], stored[columns]
    shared = np.isin(row_ids(ours), row_ids(theirs))
    pairs = (
        row_ids(ours.assign(**{CALLED: frame[rows.target]})),
        row_ids(theirs.assign(**{CALLED: stored[target]})),
    )
    differing = int((shared & ~np.isin(*pairs)).sum())
    if differing <= max(1, MOST_DIFFERING * shared.sum()):
        return None
    return (
        f"{differing} of the {int(shared.sum())} held-out rows that {champion.version} has as well have another target "
        f"there; {WAY_ON}"
    )


def _far_below(
    y: npt.NDArray[Any], champion: Subject, answers: npt.NDArray[Any], is_classification: bool
) -> str | None:
    """Compare the champion's skill on these rows with the recorded one: what it is better by than who knows nothing."""
    metric = "balanced_accuracy" if is_classification else "r2"
    recorded = champion.provenance.metrics.get(f"holdout_{metric}")
    if recorded is None or not is_measurement(recorded):
        return None
    if is_classification:
        measured = influences.balanced_accuracy(y, np.asarray(answers == y, dtype=bool))
        nothing = 1 / len(np.unique(y))
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # answers beyond all size are no ground for a doubt
            measured = influences.r2(y, answers)
        nothing = 0.0
    error = float(measured.influences.std()) * np.sqrt(2 / len(y))  # the recorded value has an error as well
    kept = nothing + SKILL_KEPT * (recorded - nothing)
    if not measured.value + SURELY_BELOW * error < kept:
        return None
    return (
        f"{champion.version} has a {metric} of {measured.value:.4g} on these rows and had {recorded:.4g} on its own: "
        f"the targets, or the world, are not what they were; {WAY_ON}"
    )
