"""lineage: where the version comes from is recorded, it is the version's own, and its run came to an end.

What proves something is what was recorded by the act itself: the datasets that a run was given, the run that stored the
files, and what the ledger noted when the version was registered. A tag that anybody may set afterwards proves nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway.registry.gate.evidence import Evidence, Subject
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import LineageRule
from slipway.registry.yaml_files import parsed


def check(evidence: Evidence, rule: LineageRule) -> tuple[Finding, ...]:
    """Look for each thing that the policy requires; one that was never recorded is INCONCLUSIVE, a wrong one FAIL.

    Whatever it requires, a run that was rewritten after the version was registered is a FAIL.
    """
    found = tuple(LOOKED_FOR[what](evidence.candidate) for what in rule.require)
    return (*_rewritten(evidence.candidate), *found)


def _rewritten(candidate: Subject) -> tuple[Finding, ...]:
    if not candidate.changes:
        return ()
    reason = f"its run was rewritten after the version was registered: {'; '.join(candidate.changes)}"
    return (_finding(Outcome.FAIL, reason, "as registered", "rewritten"),)


def _run(candidate: Subject) -> Finding:
    status, known = candidate.run.status, candidate.provenance
    if status is None:
        reason = "no run is recorded that made it, or the run is gone"
        return _finding(Outcome.INCONCLUSIVE, f"{reason}; register versions from a run", "run")
    ended = known.status if known.status in ("FAILED", "KILLED") else status
    if ended != "FINISHED":
        return _finding(Outcome.FAIL, f"its run is {ended}, and not finished", "run", ended)
    if known.misfit:
        return _finding(Outcome.FAIL, f"it borrows the lineage of a run: {known.misfit}", "run", known.stored_by)
    claimed = _claimed_run(candidate.folder) if candidate.folder else None
    if claimed not in (None, candidate.version.run_id):
        reason = f"its MLmodel says that run {claimed} made it, and the version names {candidate.version.run_id}"
        return _finding(Outcome.FAIL, reason, "run", claimed)
    if known.stored_by is None:
        reason = (
            f"nothing shows that run {candidate.version.run_id} made its files: they lie in no place of the run's; "
            "log the model in the run (mlflow.sklearn.log_model and its like) and register that"
        )
        return _finding(Outcome.INCONCLUSIVE, reason, "run")
    return _finding(Outcome.PASS, f"made by run {candidate.version.run_id}", "run", candidate.version.run_id)


def _data(candidate: Subject) -> Finding:
    data = candidate.provenance.data
    if not data:
        reason = (
            "the data that it was trained on is not recorded; a tag proves nothing: "
            'mlflow.log_input(dataset, context="training") in the run that trains, before the version is registered'
        )
        return _finding(Outcome.INCONCLUSIVE, reason, "data")
    return _finding(Outcome.PASS, f"trained on {', '.join(data)}: {_source(candidate, 'inputs')}", "data", data[0])


def _git_commit(candidate: Subject) -> Finding:
    commit = candidate.provenance.git_commit
    if not commit or not candidate.is_registered:
        return _finding(Outcome.INCONCLUSIVE, _unrecorded(candidate, "the commit of the training code"), "git_commit")
    reason = f"trained by commit {commit[:12]}: {_source(candidate, 'tags')}"
    return _finding(Outcome.PASS, reason, "git_commit", commit)


def _clean_tree(candidate: Subject) -> Finding:
    dirty = candidate.provenance.git_dirty
    if dirty is None or not candidate.is_registered:
        reason = _unrecorded(candidate, "whether the training code was as committed")
        return _finding(Outcome.INCONCLUSIVE, reason, "clean_tree")
    if dirty != "false":
        return _finding(Outcome.FAIL, "the training code had changes that were not committed", "clean_tree", "dirty")
    reason = f"the training code was as committed: {_source(candidate, 'tags')}"
    return _finding(Outcome.PASS, reason, "clean_tree", "clean")


def _unrecorded(candidate: Subject, what: str) -> str:
    if candidate.is_registered:
        return f"{what} is not recorded"
    return f'{what} is not recorded, and tags may be set by anybody: slipway register {candidate.version} --reason "…"'


def _source(candidate: Subject, kind: str) -> str:
    """Say where something is known from: what it was at registration, or what the run says now."""
    return f"its run's {kind} at registration" if candidate.recorded else f"its run's {kind} as they are now"


def _claimed_run(folder: Path) -> str | None:
    """Return the run that MLmodel names; `None` where it names none."""
    path = folder / "MLmodel"
    document: Any = parsed(path.read_bytes()) if path.is_file() else None
    return document.get("run_id") or None if isinstance(document, dict) else None


def _finding(outcome: Outcome, reason: str, limit: str, measured: str | None = None) -> Finding:
    return Finding(check="lineage", outcome=outcome, reason=reason, measured=measured, limit=limit, direction="equals")


LOOKED_FOR: dict[str, Callable[[Subject], Finding]] = {
    "run": _run,
    "data": _data,
    "git_commit": _git_commit,
    "clean_tree": _clean_tree,
}
