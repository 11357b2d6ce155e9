"""The step gate: gather the evidence about a version that is to enter a stage, make the checks, give a verdict.

Reads the registry, the stored files and the ledger; writes nothing. `slipway.registry.decisions.record_verdict` puts
a verdict into the ledger.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from slipway.registry.errors import InvalidInput, NotFound, SlipwayError
from slipway.registry.gate.check_runner import CheckJob, run_here
from slipway.registry.gate.evidence import Evidence, Rows, Subject, Tools
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.holdout_record import read_holdout
from slipway.registry.gate.verdict import Finding, Outcome, Verdict, finding_from
from slipway.registry.late import call
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.last_word import counting
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import Situation
from slipway.registry.manifest import copied, differences, manifest_of
from slipway.registry.model_registry import Measured
from slipway.registry.policy.policy import OwnRule, RowsRule, Rule
from slipway.registry.reading import Reading
from slipway.registry.rows import content_digest, row_ids
from slipway.registry.version import Version, deleted_version
from slipway.registry.versions.file_integrity import (
    place_to_read,
    recorded_location,
    recorded_manifest,
    require_known_place,
)
from slipway.registry.versions.provenance import holdout_digest, origin_of, recorded_provenance

# Named, since they are made in processes that have imported what they need.
CHECKS = {
    "artifact": "slipway.registry.gate.checks.artifact",
    "lineage": "slipway.registry.gate.checks.lineage",
    "contract": "slipway.registry.gate.checks.contract",
    "servable": "slipway.registry.gate.checks.servable",
    "metric": "slipway.registry.gate.checks.metric",
    "champion": "slipway.registry.gate.checks.champion",
    "slices": "slipway.registry.gate.checks.slices",
    "soak": "slipway.registry.gate.checks.soak",
    "approval": "slipway.registry.gate.checks.approval",
}
BUNDLED = "sklearn:"  # what comes with scikit-learn is anybody's to read
OWN = "slipway.registry.gate.checks.own"
# What versions are compared by, where the policy leaves it open: verdicts by other rules are none of these.
JUDGED_AS = "beside a constant"
ALWAYS_ANEW = ("soak", "approval")
# The files as they were found then, and a machine as busy as it was then: no digest names either.
OF_THE_MOMENT = ("artifact", "servable")
NOT_AS_REGISTERED = "not stored as it was registered ({}): restore its files, or slipway rollback"
ALL_DELETED = (
    "deleted, as is all that was in {} before: override that where the policy allows it, or leave the check out of it "
    "until a version is there"
)
ONLY_COMPARES = ("lineage", "metric", "soak", "approval")
LOADS_THE_MODEL = ("contract", "servable", "champion", "slices")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """What a gate needs: the ledger, tools for the checks, where rows are read, and how checks are made.

    `read_rows` takes a source, a target and how it is read, and returns the frame and its content digest.
    A source that a run names is read where `runs_are_ours`: else whoever writes a run would read files and databases
    with the rights of whoever judges it. `own_checks` is the policy's folder, where functions of one's own may lie.
    """

    ledger: Ledger
    tools: Tools
    read_rows: Callable[[str, str, Reading], tuple[pd.DataFrame, str]]
    run_checks: Callable[[Sequence[CheckJob]], list[Finding]]
    runs_are_ours: bool = True
    own_checks: Path | None = None


def assess(version: Version, stage: str, situation: Situation, gate: Gate, *, promoter: str, now: datetime) -> Verdict:
    """Make every check that the policy asks for, and return the verdict.

    The files come first: a model whose files are not as registered, or in a format that may not be loaded, is loaded
    by no other check; nor is one whose files could not be read. Whether they are as registered is asked whatever the
    policy says: what is judged are else other files than those that the verdict names.
    """
    with gathered(version, stage, situation, gate, promoter=promoter, now=now) as evidence:
        jobs = _jobs(evidence, situation.policy.stages[stage].checks.rules())
        first = gate.run_checks([job for job in jobs if job.name == "artifact"])
        rest = sorted((job for job in jobs if job.name != "artifact"), key=_is_costly)
        why = _why_not_loaded(evidence.candidate, first)
        held_back = [job for job in rest if why and _loads_the_model(job)]
        found = gate.run_checks([job for job in rest if job not in held_back])
        findings = [*first, *found, *(_held_back(job, why) for job in held_back)]
        names = [job.name for job in jobs]
        return _verdict(evidence, sorted(findings, key=lambda finding: names.index(finding.check)))


def still_valid(
    version: Version, stage: str, situation: Situation, gate: Gate, *, promoter: str, now: datetime
) -> Grounds | None:
    """Return the recorded verdict as grounds if all that it rests on is as it was, else `None`.

    Files, policy, rows, champion and what the runs of both say are compared; soak and approval are checked anew. What
    may pass by itself the next time is never taken again: an ERROR, and what a check did not pass that depends on the
    moment, the machine or a program of one's own.
    """
    record = _last_verdict(version, stage, situation, gate.ledger)
    if record is None:
        return None
    rules = situation.policy.stages[stage].checks.rules()
    kept = [finding_from(each) for each in record.event.details["findings"]]
    if any(_may_pass_by_itself(finding, rules) for finding in kept):
        return None
    with gathered(version, stage, situation, gate, promoter=promoter, now=now) as evidence:
        same = (
            dict(record.event.digests) == _digests(evidence)
            and record.event.details["champion"] == evidence.occupant
            and _is_whole(evidence.candidate)
        )
        if not same:
            return None
        anew = run_here([job for job in _jobs(evidence, rules) if job.name in ALWAYS_ANEW])
        found = [finding for finding in kept if finding.check not in ALWAYS_ANEW]
        verdict = _verdict(evidence, [*found, *anew])
        return Grounds(verdict=verdict, seq=record.seq, by=record.event.actor)


def _may_pass_by_itself(finding: Finding, rules: Mapping[str, Rule]) -> bool:
    if finding.outcome is Outcome.PASS:
        return False
    passing = finding.check in OF_THE_MOMENT or isinstance(rules.get(finding.check), OwnRule)
    return passing or finding.outcome is Outcome.ERROR


@contextmanager
def gathered(
    version: Version, stage: str, situation: Situation, gate: Gate, *, promoter: str, now: datetime
) -> Iterator[Evidence]:
    """Yield everything that the checks read, in a folder that is gone afterwards.

    Stored files are copied there first: what one check has judged is what the next one loads, whoever changes the store
    meanwhile.
    """
    rules = situation.policy.stages[stage].checks.rules()
    occupant = situation.occupant(stage)
    current = situation.state.stage_of(version.number)
    events = [each.event for each in gate.ledger.history.about(situation.model_uid, version.number)]
    require_known_place(version, gate.ledger.history.about(situation.model_uid, version.number), gate.ledger.registry)
    with tempfile.TemporaryDirectory(prefix="slipway-gate-") as folder:
        candidate = _subject(version, situation, gate, Path(folder) / "candidate")
        wanted = {(rule.data, rule.target) for rule in rules.values() if isinstance(rule, RowsRule)}
        champion = _to_compare_with(version, stage, situation, gate, Path(folder) / "champion")
        rows = {
            names: _rows(*names, candidate, champion, gate, Path(folder) / f"rows-{place}")
            for place, names in enumerate(wanted)
        }
        yield Evidence(
            stage=stage,
            candidate=candidate,
            champion=champion,
            occupant=occupant,
            rows=rows,
            events=events,
            entered_at=situation.state.stages[current].since if current else None,
            policy_digest=situation.policy.digest,
            promoter=promoter,
            now=now,
            tools=gate.tools,
            own_checks=gate.own_checks,
            is_last=stage == situation.policy.names[-1],
        )


def _jobs(evidence: Evidence, rules: Mapping[str, Rule]) -> list[CheckJob]:
    return [CheckJob(name=name, check=_check(name), evidence=evidence, rule=rule) for name, rule in rules.items()]


def _check(name: str) -> Callable[[Evidence, Any], Sequence[Finding]]:
    return partial(call, CHECKS[name], "check") if name in CHECKS else partial(call, OWN, "check", name=name)


def _is_costly(job: CheckJob) -> bool:
    """Return whether a check takes more than comparing values: what is known at once is not waited for."""
    return job.name not in ONLY_COMPARES


def _loads_the_model(job: CheckJob) -> bool:
    return job.name in LOADS_THE_MODEL or isinstance(job.rule, OwnRule)


def _why_not_loaded(candidate: Subject, files: Sequence[Finding]) -> str:
    """Return why no check may load a candidate, in words; nothing where any may.

    `files` is what artifact found, which has read every byte already; without that check it is done here.
    """
    if any(finding.outcome in (Outcome.FAIL, Outcome.ERROR) for finding in files):
        return "the stored files did not pass the check artifact, and loading them is not safe"
    if files or candidate.folder is None or candidate.manifest is None:
        return ""
    differing = differences(candidate.manifest, manifest_of(candidate.folder))
    return f"the stored files are not those that were registered: {differing[0]}" if differing else ""


def _held_back(job: CheckJob, why: str) -> Finding:
    return Finding(check=job.name, outcome=Outcome.ERROR, reason=f"not made: {why}")


def _verdict(evidence: Evidence, findings: Sequence[Finding]) -> Verdict:
    version = evidence.candidate.version
    return Verdict(
        model=version.model,
        version=version.number,
        stage=evidence.stage,
        at=evidence.now,
        findings=tuple(findings),
        digests=_digests(evidence),
        champion=evidence.occupant,
    )


def _digests(evidence: Evidence) -> dict[str, str]:
    """Return what names the things that a verdict rests on."""
    champion = evidence.champion
    rows = [each.digest for each in evidence.rows.values() if isinstance(each, Rows)]
    found = {
        "policy": evidence.policy_digest,
        "manifest": evidence.manifest_digest,
        "evidence": evidence.candidate.now.digest,
        "rows": " ".join(sorted(rows)),
        "champion_manifest": champion.manifest.digest if champion and champion.manifest else "",
        "champion_evidence": champion.now.digest if champion else "",
        "judged_as": JUDGED_AS if evidence.rows else "",
    }
    return {name: digest for name, digest in found.items() if digest}


def _is_whole(candidate: Subject) -> bool:
    return (
        candidate.folder is not None
        and candidate.manifest is not None
        and manifest_of(candidate.folder) == candidate.manifest
    )


def _last_verdict(version: Version, stage: str, situation: Situation, ledger: Ledger) -> Record | None:
    about = ledger.history.about(situation.model_uid, version.number)
    return next(reversed(counting(about, stage, situation.policy.stages[stage].verdict_by)), None)


def _to_compare_with(version: Version, stage: str, situation: Situation, gate: Gate, into: Path) -> Subject | None:
    """Gather what is in the stage, or was there last; `None` where nothing ever was that a candidate stands beside.

    Where all that was there is deleted, the last of it stays to be compared with, and cannot be: who may delete would
    else choose that nothing is compared.
    """
    occupant = situation.occupant(stage)
    others = [number for number in situation.predecessors(stage) if number != version.number]
    for number in [occupant] if occupant else others:  # one by one: each is a question to the registry
        if found := gate.ledger.registry.numbered(situation.model, [number]):
            return _champion(found[0], situation, gate, into)
    return _deleted(situation, others[0], stage) if others else None


def _deleted(situation: Situation, number: int, stage: str) -> Subject:
    return Subject(
        version=deleted_version(situation.name, number, situation.moves[0].event.at),
        folder=None,
        manifest=None,
        run=Measured(metrics={}, params={}),
        holdout=None,
        damage=ALL_DELETED.format(stage),
    )


def _champion(version: Version, situation: Situation, gate: Gate, into: Path) -> Subject:
    """Return the version in the stage; with other files than were registered it is not compared with, nor loaded."""
    found = _subject(version, situation, gate, into)
    if found.folder is None or found.manifest is None:
        return found
    differing = differences(found.manifest, manifest_of(found.folder))
    return replace(found, folder=None, damage=NOT_AS_REGISTERED.format(differing[0])) if differing else found


def _subject(version: Version, situation: Situation, gate: Gate, into: Path) -> Subject:
    """Gather what there is of a version, its files and those of its held-out rows copied into a folder."""
    registry = gate.ledger.registry
    about = gate.ledger.history.about(situation.model_uid, version.number)
    origin, folder = None, None
    try:
        logged_at = recorded_location(about) or registry.logged_location(version)
        origin = origin_of(version, logged_at, registry)
        folder = copied(registry.stored_files(place_to_read(version, about, registry)), into / "files")
    except NotFound:
        pass  # that nothing is stored is for the checks to tell
    stored = registry.run_files(version.run_id, "holdout") if version.run_id else None
    holdout = copied(stored, into / "holdout") if stored else None
    return Subject(
        version=version,
        folder=folder,
        manifest=recorded_manifest(about),
        run=registry.measured(version),
        holdout=holdout,
        holdout_digest=holdout_digest(holdout),
        origin=origin,
        recorded=recorded_provenance(about),
    )


def _rows(
    data: str | None, target: str | None, candidate: Subject, champion: Subject | None, gate: Gate, into: Path
) -> Rows | str:
    """Return the rows, written into a folder of ours; or why there are none, in words."""
    try:
        if data is None:
            own = _own_rows(candidate, gate)
            return own if isinstance(own, str) else _written(own, own, into, source="held-out rows", held_out=True)
        ours, theirs = (_named_rows(data, target or "", subject, gate) for subject in (candidate, champion))
        return _written(ours, theirs, into, source=data, held_out=False)
    except SlipwayError as error:
        return f"the rows cannot be read: {error.message}"


def _written(
    ours: tuple[pd.DataFrame, str], theirs: tuple[pd.DataFrame, str], into: Path, *, source: str, held_out: bool
) -> Rows:
    """Write rows as the candidate and as the champion reads them, once where that is the same."""
    (frame, target), (champions, _) = ours, theirs
    digest, other = (content_digest(map(str, each.columns), row_ids(each)) for each in (frame, champions))
    into.mkdir()
    path, champions_path = into / "rows.parquet", into / "champions.parquet"
    frame.to_parquet(path, index=False)
    if other == digest:
        return Rows(path=path, champions_path=path, target=target, digest=digest, source=source, held_out=held_out)
    champions.to_parquet(champions_path, index=False)
    return Rows(
        path=path,
        champions_path=champions_path,
        target=target,
        digest=f"{digest} {other}",
        source=source,
        held_out=held_out,
    )


def _named_rows(data: str, target: str, subject: Subject | None, gate: Gate) -> tuple[pd.DataFrame, str]:
    """Return rows that the policy names, read as the training data of a version was, and their target.

    What the rows are called is nobody's word but the policy's: words for missing values, and separators, which whoever
    trained a version chose, make no row's class another. They only tell numbers from what stands where one is missing.
    """
    record = read_holdout(subject.holdout) if subject else None
    reading = record.reading.of_another_file() if record else Reading()
    frame = gate.read_rows(data, target, reading)[0]
    as_called = Reading(dtypes={name: kind for name, kind in reading.dtypes.items() if name == target})
    if reading == as_called:
        return frame, target
    called = gate.read_rows(data, target, as_called)[0][target]
    if len(called) != len(frame):  # a quote begins a text only after what separates fields
        raise InvalidInput(
            f"{data} has {len(called):,} rows, and {len(frame):,} as the training said that files are read",
            code="other-rows",
            hint="train without sep and encoding: both are told from each file",
        )
    frame[target] = _numbers_but_for(called, reading.missing_words)
    return frame, target


def _numbers_but_for(called: pd.Series, words: Sequence[str]) -> pd.Series:
    """Return a column as numbers where all that is none is missing, or one of the words; else as it is."""
    if pd.api.types.is_numeric_dtype(called):
        return called
    found = pd.to_numeric(called, errors="coerce")
    others = called[found.isna() & called.notna()]
    return found if others.isin(list(words)).all() and found.notna().any() else called


def _own_rows(candidate: Subject, gate: Gate) -> tuple[pd.DataFrame, str] | str:
    """Return the candidate's held-out rows with their target: stored ones, or read again from the source."""
    if candidate.borrows:
        return f"the held-out rows of its run are not those of {candidate.version}: {candidate.borrows}"
    if not candidate.has_its_holdout:
        return f"the held-out rows of {candidate.version} are not those that were recorded at its registration"
    record = read_holdout(candidate.holdout)
    if record is None:
        return f"{candidate.version} has no held-out rows on record; name a dataset in the policy with data and target"
    stored = record.stored_rows()
    if stored is not None:
        return stored, record.target
    if not (gate.runs_are_ours or record.data.startswith(BUNDLED)):
        return (
            f"the held-out rows of {candidate.version} were not stored, and no source is read because a run names it; "
            "name a dataset in the policy with data and target, or train with holdout_rows=true"
        )
    frame, digest = gate.read_rows(record.data, record.target, record.reading)
    if digest != record.data_digest:
        return (
            f"the held-out rows of {candidate.version} were not stored, and {record.data} is not any more what it "
            "was; name a dataset in the policy with data and target"
        )
    frame = frame[frame[record.target].notna()]  # training left them out
    return frame[np.isin(row_ids(frame[list(record.columns)]), record.holdout_ids)], record.target
