"""servable: a scoring server starts on the version, answers as the model itself does, and within budgets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from slipway.registry.gate.evidence import Evidence, Served
from slipway.registry.gate.json_forms import plain
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import ServableRule

MEGABYTE = 1_000_000
SAME_TO = 1e-6


def check(evidence: Evidence, rule: ServableRule) -> tuple[Finding, ...]:
    """Serve the stored files, send the input example, and compare the answers with the model's own."""
    folder = evidence.candidate.folder
    if folder is None:
        return (_finding(Outcome.FAIL, "there is nothing stored to serve"),)
    example = evidence.tools.example(folder)
    request = folder / "serving_input_example.json"
    if example is None or not request.is_file():
        reason = "it has no input example to send: log it with one (input_example=…)"
        return (_finding(Outcome.INCONCLUSIVE, reason),)
    served = evidence.tools.serve(
        folder, request.read_text(), server=rule.server, requests=rule.requests, load_within_s=rule.load_s
    )
    if served.problem:
        return (_finding(Outcome.FAIL, served.problem),)
    # Only now: the server may be forked from this process, which must not have predicted by several threads before.
    expected = evidence.tools.load_as_served(folder).predict(example)
    return (_answers(served, expected), *_budgets(served, rule))


def _answers(served: Served, expected: Any) -> Finding:
    wanted = plain(expected)
    for body in served.bodies:
        found = body.get("predictions") if isinstance(body, dict) else body
        if not _same(found, wanted):
            return _finding(Outcome.FAIL, f"the server answers {_short(found)}, the model itself {_short(wanted)}")
    return _finding(Outcome.PASS, f"served {len(served.bodies)} requests as the model itself answers", served)


def _budgets(served: Served, rule: ServableRule) -> Sequence[Finding]:
    p99_ms = 1000 * float(np.quantile(served.latencies_s, 0.99))
    found = [
        _budget("p99 latency", p99_ms, rule.p99_ms, "ms", served),
        _budget("time to the first answer", served.load_s, rule.load_s, "s", served),
    ]
    if served.peak_memory_bytes is None:
        return [*found, _finding(Outcome.INCONCLUSIVE, "the peak memory cannot be measured on this system")]
    return [*found, _budget("peak memory", served.peak_memory_bytes / MEGABYTE, rule.memory_mb, "MB", served)]


def _budget(what: str, value: float, limit: float, unit: str, served: Served) -> Finding:
    within = value <= limit
    return Finding(
        check="servable",
        outcome=Outcome.PASS if within else Outcome.FAIL,
        reason=f"{what} is {value:.3g} {unit}" + ("" if within else f", over the budget of {limit:g} {unit}"),
        measured=value,
        limit=limit,
        direction="at most",
        n=len(served.bodies),
    )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, float | int) and isinstance(b, float | int):
        both_missing = math.isnan(a) and math.isnan(b)
        return both_missing or math.isclose(a, b, rel_tol=SAME_TO, abs_tol=SAME_TO)
    return bool(a == b)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}…"


def _finding(outcome: Outcome, reason: str, served: Served | None = None) -> Finding:
    return Finding(check="servable", outcome=outcome, reason=reason, n=len(served.bodies) if served else None)
