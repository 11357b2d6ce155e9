"""What a check found, and what all of them together mean.

Outcomes are ordered: the whole is the worst of its parts, so that one more check never makes a verdict better. A check
that could not measure is an ERROR or INCONCLUSIVE, never a PASS.
"""

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipway.registry.errors import InvalidInput
from slipway.registry.json_values import finite
from slipway.registry.text import REASON_CHARACTERS, cleaned_values


class Outcome(enum.IntEnum):
    """How a check ended, the better the lower."""

    PASS = 0
    INCONCLUSIVE = 1
    ERROR = 2
    FAIL = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check measured.

    `measured` and `limit` are what was compared, as numbers or words; `direction` is "at least", "at most" or
    "equals"; `n` counts what was measured. `details` are plain JSON values for programs and plots.
    """

    check: str
    outcome: Outcome
    reason: str
    measured: float | str | None = None
    limit: float | str | None = None
    direction: str | None = None
    n: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a PASS on what is no number."""
        if self.outcome is Outcome.PASS and isinstance(self.measured, float) and not math.isfinite(self.measured):
            raise InvalidInput(
                f"{self.check} would pass with {self.measured}, which is no measurement", code="not-measured", hint=None
            )

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values that can be recorded; a number that is not finite becomes its name.

        A reason may hold whatever a model or a program printed.
        """
        document = {
            "check": self.check,
            "outcome": self.outcome.name,
            "reason": self.reason,
            "measured": finite(self.measured),
            "limit": finite(self.limit),
            "direction": self.direction,
            "n": self.n,
            "details": json.loads(json.dumps(finite(dict(self.details)))),
        }
        found: dict[str, Any] = cleaned_values(document, REASON_CHARACTERS)
        return found


def finding_from(document: Mapping[str, Any]) -> Finding:
    """Return the finding that `to_document` wrote."""
    return Finding(**{**document, "outcome": Outcome[document["outcome"]]})


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a gate found about a version that is to enter a stage.

    `digests` name what it rests on: `policy`, `manifest`, `rows`; `champion` is the version that it was compared with,
    and `champion_manifest` its files.
    """

    model: str
    version: int
    stage: str
    at: datetime
    findings: tuple[Finding, ...]
    digests: Mapping[str, str]
    champion: int | None

    def __post_init__(self) -> None:
        """Refuse a verdict about nothing."""
        if not self.findings:
            raise ValueError("a verdict needs at least one finding")

    @property
    def outcome(self) -> Outcome:
        """Return the worst of all findings."""
        return max(finding.outcome for finding in self.findings)

    def worst(self) -> tuple[Finding, ...]:
        """Return the findings that keep the verdict from being a PASS, the worst first."""
        bad = [finding for finding in self.findings if finding.outcome is not Outcome.PASS]
        return tuple(sorted(bad, key=lambda finding: -finding.outcome))

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "version": f"{self.model}/{self.version}",
            "stage": self.stage,
            "outcome": self.outcome.name,
            "at": self.at.isoformat(),
            "champion": self.champion,
            "digests": dict(self.digests),
            "findings": [finding.to_document() for finding in self.findings],
        }


def verdict_from(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict that `to_document` wrote; its outcome is that of its findings."""
    model, _, number = document["version"].rpartition("/")
    return Verdict(
        model=model,
        version=int(number),
        stage=document["stage"],
        at=datetime.fromisoformat(document["at"]),
        findings=tuple(map(finding_from, document["findings"])),
        digests=dict(document["digests"]),
        champion=document["champion"],
    )
