"""The gate on stand-ins: which checks are made, and how long a recorded verdict holds."""

import shutil
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from registry.check_runner import run_here
from registry.decide import carry_out, look
from registry.errors import Corrupt, NotFound
from registry.events import EventKind
from registry.evidence import Tools
from registry.gate import Gate, assess, still_valid
from registry.ledger_decisions import deciding
from registry.promote import Grounds
from registry.record import record
from registry.register import register
from registry.verdict import Verdict
from registry.version import VersionRef
from tests.fakes import logged_model
from tests.unit.registry.test_checks import stored
from tests.unit.registry.test_promote import Desk

OWN = {"entry_point": "tests.unit.registry.test_gate:loads_it"}
CHECKS = {"artifact": {}, "own": {"loads": OWN}}


def loads_it(asked: dict) -> dict:
    """Pass, as a model that is loaded could have itself pass."""
    return {"outcome": "PASS", "reason": "loaded"}


def nothing(*_: object) -> None:
    """Be a tool that these checks do not use."""


class Bench(Desk):
    """A desk with a gate: two versions with files of their own, registered by Slipway."""

    def __init__(self, folder: Path, checks: dict) -> None:
        super().__init__(0)
        self.check(checks)
        self.rows = pd.DataFrame({"x": [1.0], "y": [0]})
        self.folders = {number: stored(folder / str(number)) for number in (1, 2)}
        for number, files in self.folders.items():
            self.registry.folders[f"models:/m-{number}"] = files
            logged = logged_model(run_id=f"r{number}", model_uri=f"models:/m-{number}")
            register(
                logged,
                model="m",
                registry=self.registry,
                note=lambda made, files: self.decisions.register(
                    VersionRef(model="m", number=made.number), "trained", files
                ),
            )
        tools = Tools(load=nothing, load_as_served=nothing, example=nothing, serve=nothing, untrusted=lambda _: ())
        self.gate = Gate(
            ledger=self.ledger, tools=tools, read_rows=lambda *_: (self.rows, "digest"), run_checks=run_here
        )

    def check(self, checks: dict) -> None:
        """Set what is checked before production."""
        stages = {"staging": {"checks": {"lineage": {}}}, "production": {"checks": checks}}
        self.document = {"stages": {name: {**stage, "enter_from": "any"} for name, stage in stages.items()}}

    def assess(self) -> Verdict:
        """Judge m/2 for production."""
        version = self.registry.version(VersionRef(model="m", number=2))
        return assess(version, "production", look("m", self.ledger), self.gate, promoter="petra", now=self.now)

    def record(self, verdict: Verdict) -> int:
        """Put a verdict into the ledger."""
        version = self.registry.version(VersionRef(model="m", number=2))
        return record(verdict, version, self.ledger, actor="petra", authenticated=False)

    def kept(self) -> Grounds | None:
        """Return the recorded verdict if it still holds."""
        version = self.registry.version(VersionRef(model="m", number=2))
        return still_valid(version, "production", look("m", self.ledger), self.gate, promoter="petra", now=self.now)

    def decide(self, verdict: Verdict) -> None:
        """Promote on the grounds of a verdict."""
        version = self.registry.version(VersionRef(model="m", number=2))
        carry_out(
            "m",
            deciding(version, "production", self.who(), Grounds(verdict=verdict, seq=1, by="petra"), self.ledger),
            self.ledger,
        )


def outcomes(verdict: Verdict) -> list[str]:
    """Return the outcomes in order."""
    return [finding.outcome.name for finding in verdict.findings]


def break_the_check(folder: Path) -> None:
    """Add a file on which the check artifact breaks."""
    with zipfile.ZipFile(folder / "weights.zip", "w") as archive:
        archive.writestr("a", b"b")
    whole = (folder / "weights.zip").read_bytes()
    (folder / "weights.zip").write_bytes(whole.replace(b"PK\x01\x02", b"PK\x00\x00"))


def touch(folder: Path) -> None:
    """Change a byte."""
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text() + " ")


def hide_a_pickle(folder: Path) -> None:
    """Add a file that would run code."""
    (folder / "model.bin").write_bytes(b"\x80\x04.")


@pytest.mark.parametrize(("harm", "found"), [(touch, "FAIL"), (hide_a_pickle, "FAIL"), (break_the_check, "ERROR")])
def test_a_model_whose_files_did_not_pass_is_loaded_by_no_check(tmp_path: Path, harm, found: str):
    """Whoever makes the check of the files break must not have them loaded either."""
    bench = Bench(tmp_path, CHECKS)
    assert outcomes(bench.assess()) == ["PASS", "PASS", "PASS"]
    harm(bench.folders[2])
    verdict = bench.assess()
    assert found in outcomes(verdict)
    assert verdict.findings[-1].reason.startswith("not made: the stored files did not pass")
    assert verdict.findings[-1].outcome.name == "ERROR"


def test_a_verdict_holds_as_long_as_what_it_rests_on(tmp_path: Path):
    """Files, policy, rows and champion; then it is made anew."""
    rows = {"data": "rows.csv", "target": "y"}
    changes = {
        "files": lambda bench: touch(bench.folders[2]),
        "files gone": lambda bench: bench.registry.folders.update({"models:/m-2": tmp_path / "nowhere"}),
        "policy": lambda bench: bench.check({**CHECKS, "own": {"loads": {**OWN, **rows, "timeout_s": 5}}}),
        "rows": lambda bench: setattr(bench, "rows", bench.rows.assign(x=2.0)),
        "champion": lambda bench: bench.promote(1, "production"),
    }
    for name, change in changes.items():
        bench = Bench(tmp_path / name, {**CHECKS, "own": {"loads": {**OWN, **rows}}})
        assert bench.kept() is None, "nothing was recorded yet"
        seq = bench.record(bench.assess())
        kept = bench.kept()
        assert (kept.seq, outcomes(kept.verdict)) == (seq, ["PASS", "PASS", "PASS"])
        change(bench)
        assert bench.kept() is None, name


def test_a_verdict_with_an_error_is_never_taken_again(tmp_path: Path):
    """What broke may work the next time; what failed would fail again."""
    bench = Bench(tmp_path, {**CHECKS, "own": {"loads": {"entry_point": "tests.unit:nobody"}}})
    bench.record(bench.assess())
    assert bench.kept() is None
    bench.check({**CHECKS, "metric": {"limits": {"accuracy": {"min": 1}}}})
    bench.record(bench.assess())
    assert "INCONCLUSIVE" in outcomes(bench.kept().verdict)


def test_soak_and_approval_are_looked_at_anew(tmp_path: Path):
    """They change without anything that the verdict rests on."""
    bench = Bench(tmp_path, {"artifact": {}, "soak": {"hours": 5}, "approval": {}})
    bench.promote(2, "staging")
    verdict = bench.assess()
    assert outcomes(verdict)[-2:] == ["INCONCLUSIVE", "INCONCLUSIVE"]
    seq = bench.record(verdict)
    bench.now += timedelta(hours=5)
    approved = replace(
        bench.history.records(look("m", bench.ledger).model_uid)[-1].event,
        kind=EventKind.VERSION_APPROVED,
        actor="bob",
        digests={"manifest": verdict.digests["manifest"], "policy": verdict.digests["policy"]},
    )
    bench.history.append(approved, after_seq=seq)
    kept = bench.kept()
    assert (kept.seq, outcomes(kept.verdict)) == (seq, ["PASS"] * 4)


def test_files_that_change_between_verdict_and_decision_are_not_promoted(tmp_path: Path):
    """The verdict was not given for them."""
    bench = Bench(tmp_path, {"artifact": {}})
    verdict = bench.assess()
    before = look("m", bench.ledger).seq
    untouched = shutil.copytree(bench.folders[2], tmp_path / "untouched")
    touch(bench.folders[2])
    with pytest.raises(Corrupt, match="m/2 is not stored as it was registered: changed: MLmodel") as refused:
        bench.decide(verdict)
    assert refused.value.hint == "restore its files, or promote another version"
    shutil.rmtree(bench.folders[2])
    with pytest.raises(NotFound, match="m/2 has no stored files any more"):
        bench.decide(verdict)
    assert (look("m", bench.ledger).seq, bench.shown()[2]) == (before, ([], None))
    shutil.copytree(untouched, bench.folders[2])
    bench.decide(verdict)
    assert bench.shown()[2] == (["production"], "Production")
