"""artifact: the stored files are those that were registered, in formats that may be loaded."""

from pathlib import Path

from slipway.registry.gate.evidence import Evidence, Subject
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.manifest import differences, manifest_of
from slipway.registry.policy.policy import ArtifactRule

NAMED_AT_MOST = 5


def check(evidence: Evidence, rule: ArtifactRule) -> tuple[Finding, ...]:
    """Read every stored file: compare it with the manifest, and judge the format that it is in."""
    candidate = evidence.candidate
    if candidate.folder is None:
        reason = "nothing is stored any more: its artifacts were deleted"
        return (Finding(check="artifact", outcome=Outcome.FAIL, reason=reason),)
    return (_same_files(candidate, candidate.folder), _formats(evidence, candidate.folder, rule))


def _same_files(candidate: Subject, folder: Path) -> Finding:
    found = manifest_of(folder)
    if candidate.manifest is None:
        reason = "no manifest of its files is recorded, since it was registered elsewhere"
        todo = f'slipway register {candidate.version} --reason "…" records them as they are now'
        return Finding(check="artifact", outcome=Outcome.INCONCLUSIVE, reason=f"{reason}: {todo}", n=len(found.files))
    differing = differences(candidate.manifest, found)
    if differing:
        more = f" and {len(differing) - NAMED_AT_MOST} more" if len(differing) > NAMED_AT_MOST else ""
        reason = f"stored files are not as registered: {'; '.join(differing[:NAMED_AT_MOST])}{more}"
    else:
        reason = f"all {len(found.files)} stored files are as registered"
    return Finding(
        check="artifact",
        outcome=Outcome.FAIL if differing else Outcome.PASS,
        reason=reason,
        measured=found.digest,
        limit=candidate.manifest.digest,
        direction="equals",
        n=len(found.files),
        details={"differences": list(differing)},
    )


def _formats(evidence: Evidence, folder: Path, rule: ArtifactRule) -> Finding:
    risky = risky_parts(folder, evidence.tools.untrusted)
    refused = [part for part in risky if part.format not in rule.allow]
    if refused:
        allowed = ", ".join(sorted({part.format for part in refused}))
        what = "; ".join(part.what for part in refused[:NAMED_AT_MOST])
        reason = (
            f"{what}: it could run code on loading or predicting; store it as skops, with nothing undeclared beside "
            f"it, or allow it in the policy: [{allowed}]"
        )
    elif risky:
        what = "; ".join(part.what for part in risky[:NAMED_AT_MOST])
        reason = f"could run code on loading or predicting, which the policy allows: {what}"
    else:
        reason = "stored in formats that run no code on loading or predicting"
    return Finding(
        check="artifact",
        outcome=Outcome.FAIL if refused else Outcome.PASS,
        reason=reason,
        measured=", ".join(sorted({part.format for part in risky})) or "safe",
        limit=", ".join(rule.allow) or "safe",
        direction="equals",
        details={"risky": [{"format": part.format, "what": part.what} for part in risky]},
    )
