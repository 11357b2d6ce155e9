"""contract: who calls the champion can call the candidate, and sees answers of the same form."""

from pathlib import Path
from typing import Any

from slipway.registry.gate.evidence import Evidence, Subject
from slipway.registry.gate.json_forms import json_form, plain
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import ContractRule
from slipway.registry.signature import Break, Signature, breaks, stored_signature
from slipway.registry.text import counted


def check(evidence: Evidence, rule: ContractRule) -> tuple[Finding, ...]:
    """Compare the signatures, and send the champion's input example through the candidate."""
    candidate, champion = evidence.candidate, evidence.champion
    after = stored_signature(candidate.folder) if candidate.folder else None
    if candidate.folder is None or after is None:
        reason = "it has no signature: log it with one (mlflow.models.infer_signature), or callers cannot be checked"
        return (_finding(Outcome.INCONCLUSIVE, reason),)
    if champion is None:
        return (_finding(Outcome.PASS, f"nothing is in {evidence.stage} yet: there are no callers to break"),)
    if champion.folder is None:
        return (_finding(Outcome.INCONCLUSIVE, f"{champion.absence}, to compare with"),)
    before = stored_signature(champion.folder)
    if before is None:
        without = _finding(Outcome.INCONCLUSIVE, f"{champion.version} has no signature to compare with")
        return (without, _replay(evidence, candidate.folder, champion))
    return (_signatures(before, after, champion, rule), _replay(evidence, candidate.folder, champion))


def _signatures(before: Signature, after: Signature, champion: Subject, rule: ContractRule) -> Finding:
    found = breaks(before, after)
    broken = [each for each in found if not _is_accepted(each, rule)]
    accepted = [each.what for each in found if each not in broken]
    if broken:
        ways = sorted({f"contract: {{accept: [{each.kind}]}}" for each in broken if each.kind})
        way_on = f"; where nobody does, the policy accepts it: {', '.join(ways)}" if ways else ""
        if gone := [each.removed for each in broken if each.removed]:
            way_on += f"; what nobody needs any more the policy retires: contract: {{retire: [{', '.join(gone)}]}}"
        what = "; ".join(each.what for each in broken)
        return _finding(Outcome.FAIL, f"callers of {champion.version} would break: {what}{way_on}", len(broken))
    but = f"; accepted by the policy: {'; '.join(accepted)}" if accepted else ""
    return _finding(Outcome.PASS, f"takes and gives what {champion.version} did{but}", 0)


def _is_accepted(found: Break, rule: ContractRule) -> bool:
    return found.kind in rule.accept or found.removed in rule.retire


def _replay(evidence: Evidence, candidate: Path, champion: Subject) -> Finding:
    """Compare what both really answer: what a signature declares of its outputs, nothing holds it to."""
    example = evidence.tools.example(champion.folder) if champion.folder else None
    if example is None or champion.folder is None:
        return _finding(Outcome.PASS, f"{champion.version} has no input example to send; signatures were compared")
    try:
        answer = evidence.tools.load_as_served(candidate).predict(example.copy())
    except Exception as error:  # whatever a model raises on the champion's rows breaks its callers
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return _finding(Outcome.FAIL, f"the input example of {champion.version} is refused: {said}")
    if len(answer) != len(example):
        rows, answers = counted(len(example), "row"), counted(len(answer), "answer")
        return _finding(Outcome.FAIL, f"{rows} of {champion.version}'s input example gave {answers}")
    if other := _other_form(answer, evidence.tools.load_as_served(champion.folder).predict(example.copy())):
        return _finding(Outcome.FAIL, f"callers of {champion.version} would break: {other}")
    return _finding(Outcome.PASS, f"answers the input example of {champion.version}", n=len(example))


def _other_form(answer: Any, champions: Any) -> str | None:
    """Return in words how two answers differ in JSON; `None` where they have one form."""
    now, was = json_form(plain(answer)), json_form(plain(champions))
    return None if now == was else f"the answer was a {was}, is a {now}"


def _finding(outcome: Outcome, reason: str, broken: int | None = None, n: int | None = None) -> Finding:
    limit = 0 if broken is not None else None
    direction = "at most" if broken is not None else None
    return Finding(
        check="contract", outcome=outcome, reason=reason, measured=broken, limit=limit, direction=direction, n=n
    )
