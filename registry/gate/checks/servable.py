"""servable: a scoring server starts on the version, answers as the model itself does, and within budgets."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.registry.gate.evidence import Evidence, Served
from slipway.registry.gate.json_forms import plain
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import ServableRule
from slipway.registry.text import counted

MEGABYTE = 1_000_000
SAME_TO = 1e-6
QUANTILE = 0.99
ROUNDING = 1e-9
TRIES = 2
NAMES = {"engine": "Slipway's engine", "mlflow": "MLflow's scoring server"}


def check(evidence: Evidence, rule: ServableRule) -> tuple[Finding, ...]:
    """Serve the stored files, send the input example, and compare the answers with the model's own."""
    folder = evidence.candidate.folder
    if folder is None:
        return (_finding(Outcome.FAIL, "there is nothing stored to serve"),)
    example = evidence.tools.example(folder)
    request = folder / "serving_input_example.json"
    if example is None or not request.is_file():
        there = "its input example is neither a table nor an array" if request.is_file() else "it has no input example"
        reason = f"{there} to send: log it with one (input_example=…)"
        return (_finding(Outcome.INCONCLUSIVE, reason),)
    served = _served(evidence, folder, request.read_text(), rule)
    if served.problem:
        return (_finding(Outcome.FAIL, served.problem),)
    # Only now: the server may be forked from this process, which must not have predicted by several threads before.
    expected = evidence.tools.load_as_served(folder).predict(example)
    return (_answers(served, expected, rule), *_budgets(served, rule))


def _served(evidence: Evidence, folder: Path, body: str, rule: ServableRule) -> Served:
    """Serve the model; once more where it was over a budget and the machine was busy with something else."""
    for _ in range(TRIES):
        served: Served = evidence.tools.serve(
            folder, body, server=rule.server, requests=rule.requests, load_within_s=rule.load_s
        )
        if served.problem or all(each.outcome is not Outcome.INCONCLUSIVE for each in _times(served, rule)):
            break
    return served


def _answers(served: Served, expected: Any, rule: ServableRule) -> Finding:
    wanted = plain(expected)
    for body in served.bodies:
        found = body.get("predictions") if isinstance(body, dict) else body
        if not _same(found, wanted):
            return _finding(
                Outcome.FAIL, f"{NAMES[rule.server]} answers {_short(found)}, the model itself {_short(wanted)}"
            )
    asked = counted(len(served.bodies), "request")
    reason = f"{NAMES[rule.server]} answered {asked} as the model itself does"
    return _finding(Outcome.PASS, reason, served)


def _budgets(served: Served, rule: ServableRule) -> Sequence[Finding]:
    found = _times(served, rule)
    if served.peak_memory_bytes is None:
        return [*found, _finding(Outcome.INCONCLUSIVE, "the peak memory cannot be measured on this system")]
    memory_mb = served.peak_memory_bytes / MEGABYTE
    return [*found, _budget("peak memory", memory_mb, rule.memory_mb, "MB", served)]


def _times(served: Served, rule: ServableRule) -> list[Finding]:
    """Judge how long it took, by the clock and without the time in which a processor was waited for."""
    latencies = np.array(served.latencies_s)
    waited = np.array(served.waited_s) if served.waited_s else np.zeros(len(latencies))
    p99_ms, idle_ms = (1000 * float(np.quantile(each, QUANTILE)) for each in (latencies, latencies - waited))
    n = len(latencies)
    enough = n >= 1 / (1 - QUANTILE) - ROUNDING
    which = f"{'p99 latency' if enough else 'the slowest'} of {counted(n, 'request')}"
    return [
        _budget(which, p99_ms, rule.p99_ms, "ms", served, idle=idle_ms),
        _budget(
            "time to the first answer",
            served.load_s,
            rule.load_s,
            "s",
            served,
            idle=served.load_s - served.load_waited_s,
        ),
    ]


def _budget(what: str, value: float, limit: float, unit: str, served: Served, *, idle: float | None = None) -> Finding:
    """Judge a value; `idle` is what it would be on an idle machine, which is no ground for a PASS nor for a FAIL."""
    within, was_busy = value <= limit, idle is not None and idle <= limit
    said = "" if within else f", over the budget of {limit:g} {unit}"
    if not within and was_busy:
        said += (
            f"; {value - (idle or 0):.3g} {unit} of it a processor was waited for, twice: the machine is busy with "
            "something else, so measure again on an idle one"
        )
    return Finding(
        check="servable",
        outcome=Outcome.PASS if within else Outcome.INCONCLUSIVE if was_busy else Outcome.FAIL,
        reason=f"{what} is {value:.3g} {unit}{said}",
        measured=value,
        limit=limit,
        direction="at most",
        n=len(served.latencies_s),
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
