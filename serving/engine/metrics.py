"""What the engine counts: plain numbers on the hot path, added up over all workers when somebody looks.

A worker's counts are a snapshot of JSON values: series name → labels (as JSON text) → value. Snapshots of several
workers are added; gauges that every worker shows alike (which version is serving) take the largest.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DURATION = "slipway_request_duration_seconds"
COUNTERS: Mapping[str, str] = {
    "slipway_requests": "Requests that were answered, whatever with.",
    "slipway_errors": "Requests that were answered with an error, by its code.",
    "slipway_rows": "Rows that were scored.",
    "slipway_slow_lane": "Requests that were not plain and took MLflow's own parsing.",
    "slipway_swaps": "Versions that began to serve.",
    "slipway_choice_failures": "Requests for which choosing a variant failed; the stable version answered.",
    "slipway_record_failures": "Exchanges that could not be recorded; their requests were answered.",
    "slipway_exchanges_dropped": "Exchanges that were not recorded, as the queue was full; all were answered.",
}
GAUGES: Mapping[str, str] = {
    "slipway_version_in_place": "1 for the version that answers, with the runner that it got.",
    "slipway_target_problem": "1 while the version that the registry shows cannot be served.",
    "slipway_target_unrecorded": "1 while an alias alone put the version there, and no recorded decision.",
    "slipway_workers": "Worker processes that answered the scrape.",
}
Snapshot = dict[str, dict[str, Any]]


@dataclass(slots=True)
class Tally:
    """Counts of one version on one protocol, as the hot path adds to them.

    `buckets` has one count for each of `BOUNDS_S` and one beyond the last.
    """

    requests: int = 0
    rows: int = 0
    slow_lane: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    errors: dict[str, int] = field(default_factory=dict)

    def answered(self, seconds: float, rows: int) -> None:
        """Count an answer."""
        self.requests += 1
        self.rows += rows
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1

    def refused(self, code: str, seconds: float) -> None:
        """Count an answer that is an error."""
        self.errors[code] = self.errors.get(code, 0) + 1
        self.answered(seconds, 0)

    def into(self, snapshot: Snapshot, labels: Mapping[str, str]) -> None:
        """Write the counts into a snapshot."""
        put(snapshot, "slipway_requests", labels, self.requests)
        put(snapshot, "slipway_rows", labels, self.rows)
        put(snapshot, "slipway_slow_lane", labels, self.slow_lane)
        for code, count in self.errors.items():
            put(snapshot, "slipway_errors", {**labels, "code": code}, count)
        put(snapshot, DURATION, labels, [*self.buckets, self.seconds])


def put(snapshot: Snapshot, name: str, labels: Mapping[str, str], value: Any) -> None:
    """Set the value of a series."""
    snapshot.setdefault(name, {})[json.dumps(labels, sort_keys=True)] = value


def added(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of several workers' snapshots.

    >>> added([{"slipway_rows": {"{}": 2}}, {"slipway_rows": {"{}": 3}}])
    {'slipway_rows': {'{}': 5}}
    """
    total: Snapshot = {}
    for snapshot in snapshots:
        for name, series in snapshot.items():
            mine = total.setdefault(name, {})
            for labels, value in series.items():
                mine[labels] = _sum(name, mine[labels], value) if labels in mine else value
    return total


def _sum(name: str, mine: Any, other: Any) -> Any:
    if isinstance(mine, list):
        return [a + b for a, b in zip(mine, other, strict=True)]
    return max(mine, other) if name in GAUGES else mine + other


def exposition(snapshot: Snapshot) -> bytes:
    """Return a snapshot in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(snapshot))
    return generate_latest(registry)


class _Collected:
    """A snapshot as a collector of prometheus-client's."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Yield a family for each series name."""
        for name, series in self._snapshot.items():
            labelled = [(json.loads(labels), value) for labels, value in series.items()]
            names = sorted({label for labels, _ in labelled for label in labels})
            yield _family(name, names, labelled)


def _family(name: str, names: list[str], labelled: list[tuple[dict[str, str], Any]]) -> Metric:
    if name == DURATION:
        histogram = HistogramMetricFamily(name, "Time from the request's last byte to its answer.", labels=names)
        for labels, value in labelled:
            *buckets, seconds = value
            histogram.add_metric([labels.get(n, "") for n in names], _cumulated(buckets), seconds)
        return histogram
    kind, text = (GaugeMetricFamily, GAUGES[name]) if name in GAUGES else (CounterMetricFamily, COUNTERS[name])
    family = kind(name, text, labels=names)
    for labels, value in labelled:
        family.add_metric([labels.get(n, "") for n in names], value)
    return family


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    total, found = 0, []
    for bound, count in zip(bounds, buckets, strict=True):
        total += count
        found.append((bound, float(total)))
    return found
