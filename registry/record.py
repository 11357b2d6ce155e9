"""How a verdict comes into the ledger, and its report to the version's run.

Apart from `registry.gate`, which imports all checks: a server records what others assessed.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from registry.decide import Ledger, Situation, note
from registry.errors import SlipwayError
from registry.events import Event, EventKind
from registry.report import describe, to_html
from registry.text import REASON_CHARACTERS, cleaned
from registry.verdict import Outcome, Verdict
from registry.version import Version, VersionRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """The number of a verdict in the ledger; `notes` say which part of its report could not be written."""

    seq: int
    notes: tuple[str, ...]


def record(verdict: Verdict, version: Version, ledger: Ledger, *, actor: str, authenticated: bool) -> Recorded:
    """Put a verdict into the ledger, attach its report to the version's run, and return its number.

    The version's description links to the report, where it has room. A version without a run has its verdict in the
    ledger alone. The verdict is recorded, whatever becomes of the report.
    """
    document = verdict.to_document()

    def event(situation: Situation) -> Event:
        return Event(
            kind=EventKind.GATE_ASSESSED,
            model_uid=situation.model_uid,
            model=situation.name,
            version=verdict.version,
            stage=verdict.stage,
            actor=actor,
            actor_authenticated=authenticated,
            at=verdict.at,
            reason=cleaned(_summary(verdict), REASON_CHARACTERS),
            digests=verdict.digests,
            details={key: document[key] for key in ("outcome", "champion", "findings")},
        )

    seq = note(verdict.model, event, ledger).seq
    return Recorded(seq=seq, notes=tuple(filter(None, _reported(verdict, version, seq, ledger))))


def _reported(verdict: Verdict, version: Version, seq: int, ledger: Ledger) -> Iterator[str | None]:
    """Write the report and the link to it; yield what could not be written."""
    registry = ledger.registry
    run = registry.measured(version)
    if not version.run_id or not run.status:
        return
    path = f"slipway/gate/{verdict.stage}-{seq}"
    texts = {"json": json.dumps(verdict.to_document(), indent=2), "html": to_html(verdict)}
    for kind, text in texts.items():
        yield _unwritten("the report", partial(registry.log_text, version.run_id, text, f"{path}.{kind}"))
    page = f"#/experiments/{run.experiment_id}/runs/{version.run_id}/artifacts/{path}.html"
    current = registry.version(VersionRef(model=version.model, number=version.number)).description
    described = describe(current, verdict, page)
    if described is None or page not in described:
        yield f"the description of {version} is too long for a link to the report; what people wrote is left as it is"
    if described is not None:
        write = partial(registry.set_description, version.model, version.number, described)
        yield _unwritten("the link to the report", write)


def _unwritten(what: str, write: Callable[[], object]) -> str | None:
    try:
        write()
    except SlipwayError as error:
        return f"{what} could not be written: {error.message}"
    return None


def _summary(verdict: Verdict) -> str:
    """Return in a line what decided the verdict."""
    if verdict.outcome is Outcome.PASS:
        return f"{len(verdict.findings)} findings, all PASS"
    return "; ".join(f"{finding.check}: {finding.reason}" for finding in verdict.worst())
