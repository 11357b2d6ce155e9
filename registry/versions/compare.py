"""Compare: two versions side by side, and which is better at what."""

import enum
from dataclasses import dataclass

from slipway.registry.metrics import Direction, direction_of, is_measurement
from slipway.registry.model_registry import Measured

HELD_OUT = "slipway.holdout_rows"
DATA_AND_RULE = ("slipway.data_digest", "slipway.holdout_scheme")


class SameRows(enum.StrEnum):
    """Whether two versions were measured on the same rows."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRow:
    """A metric of both versions; `better` is `a`, `b`, or `None`: equal, absent, without a direction.

    On the training rows nothing is better: a model that learned them by heart is not; nor on rows that are not the
    other's.
    """

    name: str
    a: float | None
    b: float | None
    better: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ParamRow:
    """A parameter of both versions."""

    name: str
    a: str | None
    b: str | None

    @property
    def differs(self) -> bool:
        """Return whether the versions do not agree."""
        return self.a != self.b


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Metrics by name, holdout before the rest; parameters by name, differing ones first; and on what rows."""

    metrics: tuple[MetricRow, ...]
    params: tuple[ParamRow, ...]
    rows: SameRows


def compare(a: Measured, b: Measured) -> Comparison:
    """Return both versions' metrics and parameters side by side."""
    rows = same_rows(a, b)
    metrics = [
        MetricRow(name=name, a=a.metrics.get(name), b=b.metrics.get(name), better=_better(name, a, b, rows))
        for name in sorted(a.metrics.keys() | b.metrics.keys(), key=_holdout_first)
    ]
    params = [
        ParamRow(name=name, a=a.params.get(name), b=b.params.get(name)) for name in a.params.keys() | b.params.keys()
    ]
    return Comparison(
        metrics=tuple(metrics), params=tuple(sorted(params, key=lambda row: (not row.differs, row.name))), rows=rows
    )


def same_rows(a: Measured, b: Measured) -> SameRows:
    """Return whether both were measured on the same held-out rows, as their runs are tagged.

    Runs of an older Slipway have no digest of the rows: the same data and the same rule gave the same.
    """
    if HELD_OUT in a.tags and HELD_OUT in b.tags:
        return SameRows.SAME if a.tags[HELD_OUT] == b.tags[HELD_OUT] else SameRows.DIFFERENT
    known = all(tag in each.tags for tag in DATA_AND_RULE for each in (a, b))
    alike = known and all(a.tags[tag] == b.tags[tag] for tag in DATA_AND_RULE)
    return SameRows.SAME if alike else SameRows.UNKNOWN


def _holdout_first(name: str) -> tuple[bool, str]:
    return (not name.startswith("holdout_"), name)


def _better(name: str, a: Measured, b: Measured, rows: SameRows) -> str | None:
    direction, of_a, of_b = direction_of(name), a.metrics.get(name), b.metrics.get(name)
    if direction is None or name.startswith("train_") or of_a is None or of_b is None or of_a == of_b:
        return None
    if rows is SameRows.DIFFERENT or not (is_measurement(of_a) and is_measurement(of_b)):
        return None
    return "a" if (of_a > of_b) == (direction is Direction.HIGHER_IS_BETTER) else "b"
