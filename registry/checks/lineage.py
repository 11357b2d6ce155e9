"""lineage: where the version comes from is recorded, and its run came to an end."""

from collections.abc import Callable

from registry.evidence import Evidence, Subject
from registry.policy import LineageRule
from registry.verdict import Finding, Outcome


def check(evidence: Evidence, rule: LineageRule) -> tuple[Finding, ...]:
    """Look for each thing that the policy requires; one that was never recorded is INCONCLUSIVE, a wrong one FAIL."""
    return tuple(LOOKED_FOR[what](evidence.candidate) for what in rule.require)


def _run(candidate: Subject) -> Finding:
    status = candidate.run.status
    if status is None:
        reason = "no run is recorded that made it, or the run is gone"
        return _finding(Outcome.INCONCLUSIVE, f"{reason}; register versions from a run", "run")
    if status != "FINISHED":
        return _finding(Outcome.FAIL, f"its run is {status}, and not finished", "run", status)
    return _finding(Outcome.PASS, f"made by run {candidate.version.run_id}", "run", candidate.version.run_id)


def _data(candidate: Subject) -> Finding:
    tags = {**candidate.run.tags, **candidate.version.tags}
    digest = tags.get("slipway.data_digest")
    if not digest:
        return _finding(
            Outcome.INCONCLUSIVE,
            "the data that it was trained on is not recorded: tag the version with slipway.data_digest",
            "data",
        )
    return _finding(
        Outcome.PASS, f"trained on {tags.get('slipway.data_source', 'data')} {digest[:19]}…", "data", digest
    )


def _git_commit(candidate: Subject) -> Finding:
    tags = {**candidate.run.tags, **candidate.version.tags}
    commit = tags.get("slipway.git_commit") or tags.get("mlflow.source.git.commit")
    if not commit:
        return _finding(Outcome.INCONCLUSIVE, "the commit of the training code is not recorded", "git_commit")
    return _finding(Outcome.PASS, f"trained by commit {commit[:12]}", "git_commit", commit)


def _clean_tree(candidate: Subject) -> Finding:
    dirty = {**candidate.run.tags, **candidate.version.tags}.get("slipway.git_dirty")
    if dirty is None:
        reason = "whether the training code was as committed is not recorded"
        return _finding(Outcome.INCONCLUSIVE, reason, "clean_tree")
    if dirty != "false":
        return _finding(Outcome.FAIL, "the training code had changes that were not committed", "clean_tree", "dirty")
    return _finding(Outcome.PASS, "the training code was as committed", "clean_tree", "clean")


def _finding(outcome: Outcome, reason: str, limit: str, measured: str | None = None) -> Finding:
    return Finding(check="lineage", outcome=outcome, reason=reason, measured=measured, limit=limit, direction="equals")


LOOKED_FOR: dict[str, Callable[[Subject], Finding]] = {
    "run": _run,
    "data": _data,
    "git_commit": _git_commit,
    "clean_tree": _clean_tree,
}
