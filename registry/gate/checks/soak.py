"""soak: the version has been in the stage before for some time."""

from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import SoakRule


def check(evidence: Evidence, rule: SoakRule) -> tuple[Finding, ...]:
    """Compare the hours since the version entered its stage with those that the policy asks for."""
    if evidence.entered_at is None:
        reason = "it is in no stage, so that its time there cannot be measured"
        return (Finding(check="soak", outcome=Outcome.INCONCLUSIVE, reason=reason, limit=rule.hours),)
    hours = (evidence.now - evidence.entered_at).total_seconds() / 3600
    soaked = hours >= rule.hours
    reason = f"in its stage for {hours:.1f} h" + ("" if soaked else f"; {rule.hours - hours:.1f} h are missing")
    outcome = Outcome.PASS if soaked else Outcome.INCONCLUSIVE
    return (
        Finding(check="soak", outcome=outcome, reason=reason, measured=hours, limit=rule.hours, direction="at least"),
    )
