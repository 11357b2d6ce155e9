"""The program of `judged_files`: the check artifact is made in it as in a gate, confined, on a server's behalf."""

import json
import pickle
import sys
from dataclasses import replace
from datetime import UTC, datetime

from slipway.registry.gate.check_runner import CheckJob, run_checks
from slipway.registry.gate.checks import artifact
from slipway.registry.gate.evidence import NO_TOOLS, Evidence, Subject
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.registry.model_registry import Measured


def main() -> None:
    """Read a pickled question of `judged_files` from standard input, and write the findings to standard output."""
    version, folder, manifest, rule = pickle.load(sys.stdin.buffer)
    run = Measured(metrics={}, params={})
    candidate = Subject(version=version, folder=folder, manifest=manifest, run=run, holdout=None)
    evidence = Evidence(
        stage="",
        candidate=candidate,
        champion=None,
        occupant=None,
        rows={},
        events=(),
        entered_at=None,
        policy_digest="",
        promoter="",
        now=datetime.now(UTC),
        tools=replace(NO_TOOLS, untrusted=untrusted_types),
    )
    found = run_checks([CheckJob(name="artifact", check=artifact.check, evidence=evidence, rule=rule)])
    json.dump([finding.to_document() for finding in found], sys.stdout)


if __name__ == "__main__":
    main()
