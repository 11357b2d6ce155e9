"""Checks in processes of their own: what they answer, and what happens when they do not."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.check_runner import Job, run_checks
from registry.evidence import Evidence, Tools
from registry.policy import Rule
from registry.verdict import Finding, Outcome
from tests.processes import wait_for
from tests.unit.registry.test_checks import subject


def passes(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Pass, and tell which process it was."""
    print("words that belong nowhere")
    return (Finding(check="passes", outcome=Outcome.PASS, reason=str(os.getpid())),)


def raises(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Crash."""
    raise RuntimeError("no such luck")


def dies(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """End without a word of Python's."""
    os.write(2, b"out of memory")
    os._exit(9)


def hangs(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Start a child, write down which, and never end."""
    child = os.fork()
    if child:
        (Path(evidence.promoter) / "child").write_text(str(child))
    time.sleep(600)
    return ()


def untrusted(folder: Path) -> tuple[str, ...]:
    """Return nothing."""
    return ()


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Return evidence that no check looks at; `promoter` is a folder to write in."""
    return Evidence(
        stage="production",
        candidate=subject(1, None),
        champion=None,
        rows={},
        events=[],
        entered_at=None,
        policy_digest="",
        promoter=str(tmp_path),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        tools=Tools(load=untrusted, load_as_served=untrusted, example=untrusted, serve=untrusted, untrusted=untrusted),
    )


def alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_each_check_answers_in_order_whatever_became_of_the_others(
    evidence: Evidence, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A crash, a death and a time limit are ERRORs that say so; nothing that a check started lives on."""
    checks = {"hangs": hangs, "raises": raises, "passes": passes, "dies": dies}
    jobs = [
        Job(name=name, check=check, evidence=evidence, rule=Rule(timeout_s=3 if name == "hangs" else 60))
        for name, check in checks.items()
    ]
    found = run_checks(jobs)
    assert [finding.check for finding in found] == list(checks)
    assert [finding.outcome.name for finding in found] == ["ERROR", "ERROR", "PASS", "ERROR"]
    assert found[0].reason == "it took longer than 3 s"
    assert found[1].reason == "it crashed: RuntimeError: no such luck"
    assert found[3].reason == "it died with status 9: out of memory"
    assert int(found[2].reason) != os.getpid()
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: not alive(child), within_s=10)
    assert "words that belong nowhere" not in "".join(capfd.readouterr())
