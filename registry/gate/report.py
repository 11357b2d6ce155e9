"""A verdict as a page that people read: what was checked, what was found, and the intervals to look at."""

from collections.abc import Mapping
from html import escape
from typing import Any, TypeGuard

from slipway.registry.gate.verdict import Finding, Verdict
from slipway.registry.text import DESCRIPTION_CHARACTERS

MARK = "<!-- slipway gate -->"
COLOURS = {"PASS": "#1a7f37", "INCONCLUSIVE": "#9a6700", "ERROR": "#8250df", "FAIL": "#cf222e"}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid #d1d9e0; }
td:nth-child(3) { min-width: 14rem; overflow-wrap: anywhere; }
td:nth-child(n+4) { font-variant-numeric: tabular-nums; }
svg { max-width: 100%; }
.outcome { font-weight: 600; }
code { font-size: 13px; overflow-wrap: anywhere; }
"""
# Narrow, and the reason early: MLflow's UI shows the page in a frame of some 500 pixels.
WIDTH, LINE, LEFT, RIGHT, NAME = 680, 26, 200, 20, 28
LARGEST_DRAWN = 1e300
DIGEST_SHOWN = len("sha256:") + 12


def to_html(verdict: Verdict) -> str:
    """Return a page of its own, without anything to load."""
    name = f"{verdict.model}/{verdict.version}"
    against = f", compared with {verdict.model}/{verdict.champion}" if verdict.champion else ""
    digests = "".join(f"<li>{escape(key)}: <code>{escape(text)}</code></li>" for key, text in verdict.digests.items())
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(name)} to {escape(verdict.stage)}</title>"
        f"<style>{STYLE}</style>"
        f"<h1>{escape(name)} to {escape(verdict.stage)}: {_coloured(verdict.outcome.name)}</h1>"
        f"<p>Assessed {verdict.at:%Y-%m-%d %H:%M:%S} UTC{escape(against)}. The whole is the worst of its parts.</p>"
        "<table><tr><th>check</th><th>outcome</th><th>reason</th><th>measured</th><th>limit</th><th>n</th></tr>"
        f"{''.join(map(_row, verdict.findings))}</table>"
        f"{''.join(map(_plot, verdict.findings))}"
        f"<h2>What the verdict rests on</h2><ul>{digests}</ul></html>"
    )


def describe(current: str, verdict: Verdict, page: str | None, *, at_most: int = DESCRIPTION_CHARACTERS) -> str | None:
    """Return a version's description with a line for each stage's last verdict, linked to its page in MLflow's UI.

    Where there is no page, or no room for a link, the line goes without. What people wrote is never cut: `None` where
    there is no room even so.
    """
    before, _, gates = current.partition(MARK)
    kept = [line for line in gates.strip().splitlines() if line and not line.startswith(f"- {verdict.stage}:")]
    line = f"- {verdict.stage}: **{verdict.outcome.name}**, {verdict.at:%Y-%m-%d %H:%M} UTC"
    for added in (*([f"{line}, [report]({page})"] if page else []), line):
        described = "\n".join([before.rstrip(), "", MARK, "", *kept, added]).lstrip()
        if len(described) <= at_most:
            return described
    return None


def _coloured(outcome: str) -> str:
    return f"<span class='outcome' style='color: {COLOURS[outcome]}'>{outcome}</span>"


def _row(finding: Finding) -> str:
    limit = f"{finding.direction or ''} {_short(finding.limit)}" if finding.limit is not None else ""
    cells = [
        escape(finding.check),
        _coloured(finding.outcome.name),
        escape(finding.reason),
        escape(_short(finding.measured)),
        escape(limit.strip()),
        "" if finding.n is None else f"{finding.n:,}",
    ]
    return f"<tr>{''.join(f'<td>{text}</td>' for text in cells)}</tr>"


def _short(value: float | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value if len(value) <= DIGEST_SHOWN else f"{value[:DIGEST_SHOWN]}…"
    return f"{value:.4g}"


def _plot(finding: Finding) -> str:
    """Draw the interval of each comparison beside the threshold; nothing for checks that compare none.

    Details are whatever a check, or a client, put there: what is no interval is not drawn.
    """
    slices = finding.details.get("slices")
    parts = [each for each in (slices if isinstance(slices, list) else [finding.details]) if _is_interval(each)]
    threshold = finding.details.get("threshold")
    if not parts or not _is_finite(threshold):
        return ""
    ends = [float(part[end]) for part in parts for end in ("low", "high")] + [float(threshold), 0.0]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - low) / span * (WIDTH - LEFT - RIGHT)

    height = LINE * (len(parts) + 2)
    lines = [
        _vertical(x(float(threshold)), height, "#cf222e", f"threshold {float(threshold):.4g}", "end"),
        _vertical(x(0.0), height, "#59636e", "equal", "start"),
    ]
    for i, part in enumerate(parts):
        y = LINE * (i + 1.5)
        name = escape(str(part.get("name", part.get("metric", finding.check)))[:NAME])
        middle = x(float(part["difference"]))
        lines.append(
            f"<text x='0' y='{y + 5:.1f}' font-size='13'>{name}</text>"
            f"<line x1='{x(float(part['low'])):.1f}' x2='{x(float(part['high'])):.1f}' y1='{y:.1f}' y2='{y:.1f}' "
            f"stroke='#0969da' stroke-width='3'/><circle cx='{middle:.1f}' cy='{y:.1f}' r='5' fill='#0969da'/>"
        )
    title = f"<h2>{escape(finding.check)}: difference to the champion (right is better)</h2>"
    return f"{title}<svg width='{WIDTH}' viewBox='0 0 {WIDTH} {height}' role='img'>{''.join(lines)}</svg>"


def _is_interval(part: Any) -> bool:
    return isinstance(part, Mapping) and all(_is_finite(part.get(name)) for name in ("low", "high", "difference"))


def _is_finite(value: Any) -> TypeGuard[float]:
    """Return whether a value is a number that can be drawn; JSON has integers that no double holds."""
    return isinstance(value, int | float) and abs(value) < LARGEST_DRAWN


def _vertical(x: float, height: float, colour: str, words: str, anchor: str) -> str:
    beside = x - 4 if anchor == "end" else x + 4
    return (
        f"<line x1='{x:.1f}' x2='{x:.1f}' y1='16' y2='{height - 4}' stroke='{colour}' stroke-dasharray='4 3'/>"
        f"<text x='{beside:.1f}' y='12' font-size='12' fill='{colour}' text-anchor='{anchor}'>{words}</text>"
    )
