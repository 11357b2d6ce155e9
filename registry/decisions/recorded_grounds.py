"""What a server promotes on: a verdict that somebody recorded, held against what the server itself knows now.

Policy, champion and manifests are compared with the ledger, soak and approval are checked anew. That files run no
code the server finds itself, before it records that somebody says so. What else takes the files or the rows was
measured by the one who vouches for the verdict; the files are read once more with the decision.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from slipway.registry.decisions.promote import require_valid
from slipway.registry.errors import Conflict, InvalidInput, NotApproved, NotFound
from slipway.registry.gate.checks import approval, soak
from slipway.registry.gate.evidence import NO_TOOLS, Evidence, Subject
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Finding, Outcome, Verdict, finding_from
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import Event
from slipway.registry.ledger.last_word import counting, require_last_word
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import Situation
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.policy.policy import ArtifactRule
from slipway.registry.version import Version
from slipway.registry.versions.file_integrity import place_to_read, recorded_manifest, require_whole
from slipway.registry.versions.provenance import recorded_provenance

Judge = Callable[[Version, Path, Manifest | None, ArtifactRule], Sequence[Finding]]


def recorded_grounds(
    version: Version, stage: str, situation: Situation, ledger: Ledger, *, seq: int | None, promoter: str, now: datetime
) -> Grounds:
    """Return the verdict with a number, else the last that counts, as grounds.

    Raises
    ------
    NotFound
        There is no such verdict.
    Conflict
        The files, or those of the champion, are not those that it was given for; or a later verdict replaced it.
    """
    about = ledger.history.about(situation.model_uid, version.number)
    record = _find(about, stage, situation, seq)
    if record is None:
        number = f"event {seq} is no verdict" if seq else "there is no verdict"
        raise NotFound(
            f"{number} on {version} for {stage}", code="no-verdict", hint=f"slipway gate {version} --to {stage}"
        )
    event = record.event
    require_last_word(about, stage, situation.policy.stages[stage].verdict_by, seq=record.seq)
    _require_same_files(event, version, situation, ledger)
    evidence = _evidence(version, stage, situation, about, ledger, promoter=promoter, now=now)
    verdict = Verdict(
        model=version.model,
        version=version.number,
        stage=stage,
        at=event.at,
        findings=_renewed(event, evidence, situation),
        digests=event.digests,
        champion=event.details["champion"],
    )
    return Grounds(verdict=verdict, seq=record.seq, by=event.actor)


def acceptable(
    verdict: Verdict, version: Version, situation: Situation, ledger: Ledger, *, judge: Judge, now: datetime
) -> Verdict:
    """Return a verdict that somebody wants recorded, at the server's time.

    Raises
    ------
    InvalidInput
        A check that the policy asks for was not made.
    Conflict
        It was given for another policy, champion or files than there are.
    NotApproved
        It says that the files run no code, or only what the policy allows, and that is not so.
    """
    require_valid(situation, version, verdict.stage, verdict)
    made = {finding.check for finding in verdict.findings}
    missing = [name for name in situation.policy.stages[verdict.stage].checks.rules() if name not in made]
    if missing:
        raise InvalidInput(
            f"the verdict on {version} lacks what the policy asks for: {', '.join(missing)}",
            code="checks-missing",
            hint=f"slipway gate {version} --to {verdict.stage}",
        )
    if verdict.digests.get("manifest", "") != _files_digest(version, situation, ledger):
        raise _other_files(version)
    _require_files_as_said(verdict, version, situation, ledger, judge)
    return replace(verdict, at=now)


def _require_files_as_said(
    verdict: Verdict, version: Version, situation: Situation, ledger: Ledger, judge: Judge
) -> None:
    rule = situation.policy.stages[verdict.stage].checks.artifact
    said = [finding.outcome for finding in verdict.findings if finding.check == "artifact"]
    if rule is None or set(said) != {Outcome.PASS}:
        return
    about = ledger.history.about(situation.model_uid, version.number)
    with tempfile.TemporaryDirectory(prefix="slipway-judged-") as apart:
        again = f"slipway gate {version} --to {verdict.stage}"
        folder = require_whole(version, about, ledger.registry, else_do=again, into=Path(apart) / "files")
        found = judge(version, folder, recorded_manifest(about), rule)
    if wrong := [finding for finding in found if finding.outcome is not Outcome.PASS]:
        raise NotApproved(
            f"the verdict on {version} says that its files may be loaded, and this server finds: {wrong[0].reason}",
            code="files-not-as-said",
            hint=f"{again}, with the version of Slipway that this server has",
        )


def _find(about: Sequence[Record], stage: str, situation: Situation, seq: int | None) -> Record | None:
    """Return the last verdict that counts, or the one with a number, whoever gave it: that is told to who asks."""
    if seq is None:
        return next(reversed(counting(about, stage, situation.policy.stages[stage].verdict_by)), None)
    return next((each for each in counting(about, stage, None) if each.seq == seq), None)


def _require_same_files(event: Event, version: Version, situation: Situation, ledger: Ledger) -> None:
    if event.digests.get("manifest", "") != _files_digest(version, situation, ledger):
        raise _other_files(version)
    champion = event.details["champion"]
    if champion is not None:
        recorded = _manifest_digest(champion, situation, ledger)
        if event.digests.get("champion_manifest", "") != recorded:
            raise _other_files(version)


def require_judged(version: Version, stage: str, verdict: Verdict, stored: Manifest) -> None:
    """Refuse a version that nobody registered where its files are not those that were judged.

    Raises
    ------
    Conflict
        They are others now.
    """
    if verdict.digests.get("manifest", "") != stored.digest:
        raise Conflict(
            f"{version} is not stored as it was judged, and nobody recorded its files before that",
            code="overtaken",
            hint=f'slipway register {version} --reason "…", then slipway gate {version} --to {stage}',
        )


def _files_digest(version: Version, situation: Situation, ledger: Ledger) -> str:
    """Return the digest of a version's files: as recorded, else as they are stored now."""
    about = ledger.history.about(situation.model_uid, version.number)
    manifest = recorded_manifest(about) or manifest_of(
        ledger.registry.stored_files(place_to_read(version, about, ledger.registry))
    )
    return manifest.digest


def _manifest_digest(number: int, situation: Situation, ledger: Ledger) -> str:
    manifest = _manifest(number, situation, ledger)
    return manifest.digest if manifest else ""


def _manifest(number: int, situation: Situation, ledger: Ledger) -> Manifest | None:
    return recorded_manifest(ledger.history.about(situation.model_uid, number))


def _renewed(event: Event, evidence: Evidence, situation: Situation) -> tuple[Finding, ...]:
    """Return the findings, those of checks that only compare what the server knows made anew."""
    checks = situation.policy.stages[evidence.stage].checks
    anew: list[Finding] = []
    anew += soak.check(evidence, checks.soak) if checks.soak else ()
    anew += approval.check(evidence, checks.approval) if checks.approval else ()
    kept = [finding_from(each) for each in event.details["findings"]]
    return (*(finding for finding in kept if finding.check not in ("soak", "approval")), *anew)


def _evidence(
    version: Version,
    stage: str,
    situation: Situation,
    about: Sequence[Record],
    ledger: Ledger,
    *,
    promoter: str,
    now: datetime,
) -> Evidence:
    current = situation.state.stage_of(version.number)
    candidate = Subject(
        version=version,
        folder=None,
        manifest=_manifest(version.number, situation, ledger),
        run=ledger.registry.measured(version),
        holdout=None,
        recorded=recorded_provenance(about),
    )
    return Evidence(
        stage=stage,
        candidate=candidate,
        champion=None,
        occupant=None,
        rows={},
        events=[each.event for each in about],
        entered_at=situation.state.stages[current].since if current else None,
        policy_digest=situation.policy.digest,
        promoter=promoter,
        now=now,
        tools=NO_TOOLS,
    )


def _other_files(version: Version) -> Conflict:
    return Conflict(
        f"the verdict on {version} was given for other files than the history has",
        code="verdict-overtaken",
        hint="assess it anew: slipway gate",
    )
