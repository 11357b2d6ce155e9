"""Compare: two versions side by side, and which is better at what."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.registry.metrics import Direction, direction_of, is_measurement
from slipway.registry.model_registry import Measured


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRow:
    """A metric of both versions; `better` is `a`, `b`, or `None`: equal, absent, without a direction.

    On the training rows nothing is better: a model that learned them by heart is not.
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
    """Metrics by name, holdout before the rest; parameters by name, differing ones first."""

    metrics: tuple[MetricRow, ...]
    params: tuple[ParamRow, ...]


def compare(a: Measured, b: Measured) -> Comparison:
    """Return both versions' metrics and parameters side by side."""
    metrics = [
        MetricRow(name=name, a=a.metrics.get(name), b=b.metrics.get(name), better=_better(name, a.metrics, b.metrics))
        for name in sorted(a.metrics.keys() | b.metrics.keys(), key=_holdout_first)
    ]
    params = [
        ParamRow(name=name, a=a.params.get(name), b=b.params.get(name)) for name in a.params.keys() | b.params.keys()
    ]
    return Comparison(metrics=tuple(metrics), params=tuple(sorted(params, key=lambda row: (not row.differs, row.name))))


def _holdout_first(name: str) -> tuple[bool, str]:
    return (not name.startswith("holdout_"), name)


def _better(name: str, a: Mapping[str, float], b: Mapping[str, float]) -> str | None:
    direction = direction_of(name)
    if direction is None or name.startswith("train_") or name not in a or name not in b or a[name] == b[name]:
        return None
    if not (is_measurement(a[name]) and is_measurement(b[name])):
        return None
    return "a" if (a[name] > b[name]) == (direction is Direction.HIGHER_IS_BETTER) else "b"
