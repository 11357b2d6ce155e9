"""How a verdict comes into the ledger, and its report to the version's run.

Apart from `slipway.registry.gate.gate`, which imports all checks: a server records what others assessed.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.registry.decisions.carry_out import note
from slipway.registry.errors import SlipwayError
from slipway.registry.gate.report import describe, to_html
from slipway.registry.gate.verdict import Outcome, Verdict
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import Situation, require_same
from slipway.registry.text import REASON_CHARACTERS, cleaned, counted
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.provenance import recorded_provenance

REPORTS = "slipway/gate"
NAME_SHOWN = 40
DIGEST_SHOWN = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedVerdict:
    """The number of a verdict in the ledger; `notes` say which part of its report could not be written."""

    seq: int
    notes: tuple[str, ...]


def record(verdict: Verdict, version: Version, ledger: Ledger, *, actor: str, authenticated: bool) -> RecordedVerdict:
    """Put a verdict into the ledger, attach its report to the version's run, and return its number.

    The version's description links to the report, where it has room. A version without a run, or with one that is not
    shown to be its own, has its verdict in the ledger alone. The verdict is recorded, whatever becomes of the report.
    """
    document = verdict.to_document()

    def event(situation: Situation) -> Event:
        require_same(version, situation, ledger)
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

    noted = note(verdict.model, event, ledger)
    return RecordedVerdict(seq=noted.seq, notes=tuple(filter(None, _reported(verdict, version, noted, ledger))))


def report_path(model_uid: str, verdict: Verdict, seq: int) -> str:
    """Return where a report lies among a run's artifacts, without its suffix: no two models share a folder.

    Names are anybody's, so only plain letters of one are shown, and the identity tells apart what looks alike.
    """
    shown = re.sub(r"[^A-Za-z0-9_-]", "_", verdict.model)[:NAME_SHOWN]
    digest = hashlib.sha256(model_uid.encode()).hexdigest()[:DIGEST_SHOWN]
    return f"{REPORTS}/{shown}-{digest}/{verdict.version}/{verdict.stage}-{seq}"


def _reported(verdict: Verdict, version: Version, noted: Record, ledger: Ledger) -> Iterator[str | None]:
    """Write the report and the link to it; yield what could not be written."""
    registry = ledger.registry
    run = registry.measured(version)
    if not version.run_id or not run.status:
        return
    path = report_path(noted.event.model_uid, verdict, noted.seq)
    page: str | None = f"#/experiments/{run.experiment_id}/runs/{version.run_id}/artifacts/{path}.html"
    texts = {"json": json.dumps(verdict.to_document(), indent=2), "html": to_html(verdict)}
    kept_out = _not_its_own(version, ledger.history.about(noted.event.model_uid, version.number))
    writes = [partial(registry.log_text, version.run_id, text, f"{path}.{kind}") for kind, text in texts.items()]
    unwritten = [kept_out] if kept_out else [_unwritten("the report", write) for write in writes]
    yield from unwritten
    page = None if any(unwritten) else page
    current = registry.version(VersionRef(model=version.model, number=version.number)).description
    described = describe(current, verdict, page)
    if described is None or (page and page not in described):
        yield f"the description of {version} is too long for a link to the report; what people wrote is left as it is"
    if described is not None:
        write = partial(registry.set_description, version.model, version.number, described)
        yield _unwritten("the verdict's line in the description", write)


def _not_its_own(version: Version, about: Sequence[Record]) -> str | None:
    """Return why no report goes into the run that a version names; `None` where it is shown to be its own.

    Whoever makes a version may name any run that they can read, and what is written here is written past MLflow's
    permissions: only a run that stored the version's files, by the record of its registration, is written to.
    """
    recorded = recorded_provenance(about)
    if recorded is None:
        why = f'nobody recorded where it comes from: slipway register {version} --reason "…"'
    elif recorded.misfit is not None:
        why = recorded.misfit
    elif recorded.stored_by is None or recorded.stored_by != version.run_id:
        why = f"run {version.run_id}, which it names, is not known to have stored its files"
    else:
        return None
    return (
        f"the report of {version} is left out of its run, which is not shown to be its own ({why}); slipway history "
        f"{version.model} has the verdict"
    )


def _unwritten(what: str, write: Callable[[], object]) -> str | None:
    try:
        write()
    except SlipwayError as error:
        return f"{what} could not be written: {error.message}"
    return None


def _summary(verdict: Verdict) -> str:
    """Return in a line what decided the verdict."""
    if verdict.outcome is Outcome.PASS:
        return f"{counted(len(verdict.findings), 'finding')}, all PASS"
    return "; ".join(f"{finding.check}: {finding.reason}" for finding in verdict.worst())
