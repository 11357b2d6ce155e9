"""How many rows of each kind a metric needs: without them what decides is what nobody has seen."""

import math

import numpy as np

from slipway.registry.gate.comparison.answers import CannotCompare, Said, TooFewRows
from slipway.registry.gate.comparison.head_to_head import HeadToHead
from slipway.registry.policy.policy import Metric

FEWEST = 10
ROUNDING = 1e-9


def require_enough_of_each_class(both: HeadToHead, metric: Metric) -> list[object]:
    """Return the classes, in order; refuse where one has too few rows for a metric of which it is a part.

    A class that a version knows and the rows lack is a part too: that none was drawn may be chance.

    Raises
    ------
    TooFewRows
        Fewer than ten clusters hold a row of some class.
    CannotCompare
        There is one class only.
    """
    names, place = np.unique(both.y, return_inverse=True)
    # Rows of one cluster are one draw, so that it is clusters that are counted.
    counts = [len(np.unique(both.clusters.codes[place == k])) for k in range(len(names))]
    _require_no_other_class(both, metric)
    if len(names) < 2:
        raise CannotCompare(f"all rows are of one class, and {metric} compares two")
    fewest = min(counts)
    if fewest < FEWEST:
        rarest = names.tolist()[counts.index(fewest)]
        wanted = _rows_for(fewest, both)
        raise TooFewRows(
            f"{fewest} {_counted(both)} are of class {rarest!r}, and {metric} needs {FEWEST} of each: "
            f"about {wanted:,} rows like these",
            rows=wanted,
        )
    return list(names)


def require_enough_beyond(both: HeadToHead, quantile: float) -> None:
    """Refuse to measure a quantile so far out that the rows beyond it, which cost most, are too few.

    An answer too near to the middle loses on those rows alone, and looks better where there are none. A version that is
    worse for that has more rows beyond its answers than the quantile's share, for the loss is convex.

    Raises
    ------
    TooFewRows
        Fewer than ten clusters have a row beyond an answer, and fewer than ten are to be expected.
    """
    above = quantile >= 0.5
    beyond = [both.y > said.labels if above else both.y < said.labels for said in (both.champion, both.candidate)]
    seen = len(np.unique(both.clusters.codes[beyond[0] | beyond[1]]))
    # What is expected of each cluster is one row; where rows of a key differ more of them have one.
    counted = max(float(seen), min(quantile, 1 - quantile) * both.clusters.count)
    if counted < FEWEST - ROUNDING:
        side = "above" if above else "below"
        wanted = _rows_for(counted, both)
        raise TooFewRows(
            f"about {counted:.2g} {_counted(both)} lie {side} the quantile {quantile:g}, and pinball needs {FEWEST}: "
            f"about {wanted:,} rows like these",
            rows=wanted,
        )


def _require_no_other_class(both: HeadToHead, metric: Metric) -> None:
    """Refuse where a version knows a class that no row is of; one that does not say what it knows knows its answers."""
    present = set(both.y.tolist())
    for said, version in zip((both.champion, both.candidate), both.names, strict=True):
        if lacking := [name for name in _known(said) if name not in present]:
            wanted = _rows_for(1, both)
            raise TooFewRows(
                f"no row is of class {lacking[0]!r}, which {version} knows, and {metric} needs {FEWEST} of each: "
                f"more than {wanted:,} rows like these, or rows of that class",
                rows=wanted,
            )


def _known(said: Said) -> list[object]:
    return list(np.asarray(said.classes if said.classes else np.unique(said.labels)).tolist())


def _counted(both: HeadToHead) -> str:
    return "rows" if both.clusters.count == len(both.y) else "distinct rows"


def _rows_for(found: float, both: HeadToHead) -> int:
    return math.ceil(len(both.y) * FEWEST / found - ROUNDING)
