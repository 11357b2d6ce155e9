"""The program of `judged_files`: the check artifact is made in it as in a gate, confined, on a server's behalf."""

import json
import pickle
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from slipway.registry.gate.check_runner import CheckJob, run_checks
from slipway.registry.gate.check_server import ARTIFACT, FOR_FILES, UNTRUSTED_TYPES, warm_up
from slipway.registry.gate.evidence import NO_TOOLS, Evidence, Subject
from slipway.registry.late import call
from slipway.registry.model_registry import Measured


def main() -> None:
    """Read a pickled question of `judged_files` from standard input, and write the findings to standard output."""
    warm_up(FOR_FILES)
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
        tools=replace(NO_TOOLS, untrusted=partial(call, UNTRUSTED_TYPES, "untrusted_types")),
    )
    check = partial(call, ARTIFACT, "check")
    found = run_checks([CheckJob(name="artifact", check=check, evidence=evidence, rule=rule)])
    json.dump([finding.to_document() for finding in found], sys.stdout)


if __name__ == "__main__":
    main()
