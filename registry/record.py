"""How a verdict comes into the ledger, and its report to the version's run.

Apart from `registry.gate`, which imports all checks: a server records what others assessed.
"""

import json

from registry.decide import Ledger, Situation, note
from registry.events import Event, EventKind
from registry.report import describe, to_html
from registry.verdict import Outcome, Verdict
from registry.version import Version, VersionRef


def record(verdict: Verdict, version: Version, ledger: Ledger, *, actor: str, authenticated: bool) -> int:
    """Put a verdict into the ledger, attach its report to the version's run, and return its number.

    The version's description links to the report. A version without a run has its verdict in the ledger alone.
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
            reason=_summary(verdict),
            digests=verdict.digests,
            details={key: document[key] for key in ("outcome", "champion", "findings")},
        )

    seq = note(verdict.model, event, ledger).seq
    run = ledger.registry.measured(version)
    if version.run_id and run.status:
        path = f"slipway/gate/{verdict.stage}-{seq}"
        registry = ledger.registry
        registry.log_text(version.run_id, json.dumps(document, indent=2), f"{path}.json")
        registry.log_text(version.run_id, to_html(verdict), f"{path}.html")
        current = registry.version(VersionRef(model=version.model, number=version.number))
        page = f"#/experiments/{run.experiment_id}/runs/{version.run_id}/artifacts/{path}.html"
        registry.set_description(version.model, version.number, describe(current.description, verdict, page))
    return seq


def _summary(verdict: Verdict) -> str:
    """Return in a line what decided the verdict."""
    if verdict.outcome is Outcome.PASS:
        return f"{len(verdict.findings)} findings, all PASS"
    return "; ".join(f"{finding.check}: {finding.reason}" for finding in verdict.worst())
