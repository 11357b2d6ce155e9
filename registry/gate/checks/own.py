"""One's own check: a program or a function that is given what the others read, and answers in the same shape."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, JsonValue, ValidationError

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.evidence import Evidence, Rows
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.metrics import is_measurement
from slipway.registry.policy.own_functions import own_function
from slipway.registry.policy.policy import OwnRule
from slipway.registry.text import DETAILS_CHARACTERS, require_reason, require_storable


class OwnAnswer(BaseModel):
    """What a program or a function of one's own answers; more keys are of no interest."""

    outcome: Literal["PASS", "INCONCLUSIVE", "ERROR", "FAIL"]
    reason: str
    measured: float | str | None = None
    limit: float | str | None = None
    direction: str | None = None
    n: int | None = None
    details: dict[str, JsonValue] = {}


def check(evidence: Evidence, rule: OwnRule, *, name: str) -> tuple[Finding, ...]:
    """Ask the program or the function, and take its answer.

    Raises
    ------
    InvalidInput
        The program ends with an error, or the answer is no JSON object with `outcome` and `reason` and what else a
        finding holds, or its words cannot be recorded.
    """
    asked = question(evidence, rule)
    if rule.command:
        answer = _ask_program(rule.command, asked, rule)
    else:
        answer = own_function(str(rule.entry_point), evidence.own_checks)(asked)
    try:
        found = OwnAnswer.model_validate(answer)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = f"{wrong['loc'][0]}: " if wrong["loc"] else ""
        raise InvalidInput(
            f"own check '{name}' answered {str(answer)[:200]}, and needs a JSON object with outcome "
            f"({', '.join(Outcome.__members__)}) and reason; {place}{wrong['msg']}",
            code="wrong-check-answer",
            hint=None,
        ) from None
    _require_recordable(found, name)
    return (Finding(**{**found.model_dump(), "check": name, "outcome": Outcome[found.outcome]}),)


def _require_recordable(found: OwnAnswer, name: str) -> None:
    """Refuse words that are too many or unreadable: a verdict with them is kept for good."""
    for field in ("reason", "measured", "limit", "direction"):
        if isinstance(said := getattr(found, field), str) and said:
            require_reason(said, f"the {field} of own check '{name}'")
    require_storable(found.details, f"what own check '{name}' answered")
    if len(json.dumps(found.details)) > DETAILS_CHARACTERS:
        raise InvalidInput(
            f"the details of own check '{name}' have more than {DETAILS_CHARACTERS:,} characters as JSON",
            code="text-too-long",
            hint="log them as an artifact, and name it",
        )


def question(evidence: Evidence, rule: OwnRule) -> dict[str, Any]:
    """Return what the check is given: names and local paths, `null` where there is nothing."""
    rows = evidence.rows[rule.data, rule.target]
    champion = evidence.champion
    found = rows if isinstance(rows, Rows) else None
    measured = evidence.candidate.provenance.metrics
    return {
        "version": str(evidence.candidate.version),
        "stage": evidence.stage,
        "path": str(evidence.candidate.folder) if evidence.candidate.folder else None,
        "champion": str(champion.version) if champion else None,
        "champion_path": str(champion.folder) if champion and champion.folder else None,
        "rows": str(found.path) if found else None,
        "target": found.target if found else None,
        "metrics": {name: value if is_measurement(value) else None for name, value in measured.items()},
        "tags": dict(evidence.candidate.version.tags),
    }


def _ask_program(command: tuple[str, ...], asked: Mapping[str, Any], rule: OwnRule) -> Any:
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=rule.timeout_s, check=False
        )
    except FileNotFoundError:
        raise InvalidInput(f"there is no program '{command[0]}'", code="no-such-check", hint=None) from None
    if done.returncode:
        said = done.stderr.strip()[-300:]
        raise InvalidInput(
            f"{command[0]} ended with status {done.returncode}: {said}{_without(rule)}", code="check-failed", hint=None
        )
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout


def _without(rule: OwnRule) -> str:
    """Return in words what a program that failed may have missed."""
    variables = f"environment: [{', '.join(rule.environment)}]" if rule.environment else "none of your variables"
    network = "the network" if rule.network else "no network (network: true)"
    return f"; it had {network} and {variables} (environment: [NAME, …])"
