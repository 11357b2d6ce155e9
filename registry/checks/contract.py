"""contract: who calls the champion can call the candidate."""

from pathlib import Path

from registry.evidence import Evidence, Subject
from registry.policy import ContractRule
from registry.signature import breaks, stored_signature
from registry.verdict import Finding, Outcome


def check(evidence: Evidence, rule: ContractRule) -> tuple[Finding, ...]:
    """Compare the signatures, and send the champion's input example through the candidate."""
    candidate, champion = evidence.candidate, evidence.champion
    if candidate.folder is None or stored_signature(candidate.folder) is None:
        reason = "it has no signature: log it with one (mlflow.models.infer_signature), or callers cannot be checked"
        return (_finding(Outcome.INCONCLUSIVE, reason),)
    if champion is None:
        return (_finding(Outcome.PASS, f"nothing is in {evidence.stage} yet: there are no callers to break"),)
    if champion.folder is None:
        return (_finding(Outcome.INCONCLUSIVE, f"{champion.absence}, to compare with"),)
    return (_signatures(candidate.folder, champion), _replay(evidence, candidate.folder, champion))


def _signatures(candidate: Path, champion: Subject) -> Finding:
    after = stored_signature(candidate)
    before = stored_signature(champion.folder) if champion.folder else None
    if before is None or after is None:
        return _finding(Outcome.INCONCLUSIVE, f"{champion.version} has no signature to compare with")
    broken = breaks(before, after)
    if broken:
        return _finding(Outcome.FAIL, f"callers of {champion.version} would break: {'; '.join(broken)}", len(broken))
    return _finding(Outcome.PASS, f"takes and gives what {champion.version} did", 0)


def _replay(evidence: Evidence, candidate: Path, champion: Subject) -> Finding:
    example = evidence.tools.example(champion.folder) if champion.folder else None
    if example is None:
        return _finding(Outcome.PASS, f"{champion.version} has no input example to send; signatures were compared")
    try:
        answer = evidence.tools.load_as_served(candidate).predict(example)
    except Exception as error:  # whatever a model raises on the champion's rows breaks its callers
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return _finding(Outcome.FAIL, f"the input example of {champion.version} is refused: {said}")
    if len(answer) != len(example):
        reason = f"{len(example)} rows of {champion.version}'s input example gave {len(answer)} answers"
        return _finding(Outcome.FAIL, reason)
    return _finding(Outcome.PASS, f"answers the input example of {champion.version}", n=len(example))


def _finding(outcome: Outcome, reason: str, broken: int | None = None, n: int | None = None) -> Finding:
    limit = 0 if broken is not None else None
    direction = "at most" if broken is not None else None
    return Finding(
        check="contract", outcome=outcome, reason=reason, measured=broken, limit=limit, direction=direction, n=n
    )
