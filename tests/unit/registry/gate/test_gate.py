"""The gate on stand-ins: which checks are made, and how long a recorded verdict holds."""

import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.decisions.carry_out import carry_out
from slipway.registry.decisions.ledger_decisions import deciding
from slipway.registry.decisions.record_verdict import record
from slipway.registry.errors import Conflict, Corrupt, NotFound, Unavailable
from slipway.registry.gate.check_runner import CheckJob, run_here
from slipway.registry.gate.evidence import NO_TOOLS, Rows
from slipway.registry.gate.gate import Gate, assess, gathered, still_valid
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Finding, Outcome, Verdict
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.situation import look
from slipway.registry.manifest import copied, manifest_of
from slipway.registry.model_registry import Measured, Origin
from slipway.registry.rows import row_ids
from slipway.registry.version import VersionRef
from slipway.registry.versions.register import register
from tests.doubles.fakes import as_mlflow_does, logged_model
from tests.unit.registry.decisions.test_projection import Refusing
from tests.unit.registry.decisions.test_promote import Desk
from tests.unit.registry.gate.checks.test_checks import stored

OWN = {"entry_point": "tests.unit.registry.gate.test_gate:loads_it"}
CHECKS = {"artifact": {}, "own": {"loads": OWN}}


def loads_it(asked: dict) -> dict:
    """Pass, as a model that is loaded could have itself pass."""
    return {"outcome": "PASS", "reason": "loaded"}


def nothing(*_: object) -> None:
    """Be a tool that these checks do not use."""


class Bench(Desk):
    """A desk with a gate: two versions with files of their own, registered by Slipway."""

    def __init__(
        self,
        folder: Path,
        checks: dict,
        *,
        runs: Path = Path("no runs"),
        stored_by: str | None = None,
        is_known: bool = True,
    ) -> None:
        super().__init__(0)
        self.registry.folder = runs
        if stored_by is not None:
            there = Measured(metrics={}, params={}, status="FINISHED", experiment_id="0")
            self.registry.recorded = dict.fromkeys(("r2", stored_by), there)
        if stored_by is not None and is_known:
            self.registry.origins["models:/m-2"] = Origin(run_id=stored_by, experiment_id="0")
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
        tools = replace(NO_TOOLS, load=nothing, rehearse=as_mlflow_does, untrusted=lambda _: ())
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
        return record(verdict, version, self.ledger, actor="petra", authenticated=False).seq

    def kept(self) -> Grounds | None:
        """Return the recorded verdict if it still holds."""
        version = self.registry.version(VersionRef(model="m", number=2))
        return still_valid(version, "production", look("m", self.ledger), self.gate, promoter="petra", now=self.now)

    def rows_or_why(self) -> Rows | str:
        """Return the rows that m/2 is measured on, or why there are none."""
        version = self.registry.version(VersionRef(model="m", number=2))
        with gathered(version, "production", look("m", self.ledger), self.gate, promoter="p", now=self.now) as evidence:
            return evidence.rows[None, None]

    def compared_with(self, stage: str = "production") -> int | None:
        """Return which version m/2 is compared with."""
        version = self.registry.version(VersionRef(model="m", number=2))
        with gathered(version, stage, look("m", self.ledger), self.gate, promoter="p", now=self.now) as evidence:
            return evidence.champion.version.number if evidence.champion else None

    def add_another(self, files: Path) -> int:
        """Register one more version, and return its number."""
        number = len(self.registry.known["m"]) + 1
        self.registry.folders[f"models:/m-{number}"] = stored(files)
        logged = logged_model(run_id=f"r{number}", model_uri=f"models:/m-{number}")
        return self.registry.create_version(logged, model="m", description="", tags={}).number

    def decide(self, verdict: Verdict, seq: int | None = None) -> None:
        """Promote on the grounds of a verdict."""
        version = self.registry.version(VersionRef(model="m", number=2))
        carry_out(
            "m",
            deciding(version, "production", self.who(), Grounds(verdict=verdict, seq=seq, by="petra"), self.ledger),
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


@pytest.mark.parametrize("harm", [touch, hide_a_pickle])
def test_other_files_than_were_registered_are_judged_by_no_check(tmp_path: Path, harm):
    """Also where the policy asks nothing of files: a verdict names those that were registered."""
    bench = Bench(tmp_path, {"own": {"loads": OWN}, "lineage": {"require": ["run"]}})
    assert "ERROR" not in outcomes(bench.assess())
    harm(bench.folders[2])
    held_back = bench.assess().findings[-1]
    assert held_back.outcome.name == "ERROR"
    assert held_back.reason.startswith("not made: the stored files are not those that were registered: ")


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


def test_what_may_pass_by_itself_is_looked_at_anew(tmp_path: Path):
    """Files that were restored, a machine that is idle again, a program of one's own: no digest names them."""
    bench = Bench(tmp_path, {"artifact": {}, "metric": {"limits": {"accuracy": {"min": 0.9}}}})
    bench.registry.recorded["r2"] = Measured(metrics={"accuracy": 0.1}, params={}, status="FINISHED")
    untouched = (bench.folders[2] / "MLmodel").read_text()
    touch(bench.folders[2])
    bench.record(bench.assess())
    (bench.folders[2] / "MLmodel").write_text(untouched)
    assert bench.kept() is None, "a FAIL of files that are whole again"
    bench.record(bench.assess())
    assert outcomes(bench.kept().verdict)[-1] == "INCONCLUSIVE", "what cannot change by itself is kept"
    for check, rule in (("servable", {"servable": {}}), ("loads", {"own": {"loads": OWN}})):
        bench.check({"artifact": {}, **rule})
        for outcome in ("FAIL", "INCONCLUSIVE"):
            given = bench.assess()
            bad = Finding(check=check, outcome=Outcome[outcome], reason="that moment")
            bench.record(replace(given, findings=(*given.findings[:2], bad)))
            assert bench.kept() is None, (check, outcome)


def test_a_verdict_holds_as_long_as_the_runs_say_the_same(tmp_path: Path):
    """The candidate's and the champion's: a run that ends, or is rewritten, is looked at anew."""
    bench = Bench(tmp_path, {"artifact": {}, "lineage": {"require": ["run"]}})
    bench.promote(1, "production")
    for number in (1, 2):
        bench.registry.recorded[f"r{number}"] = Measured(metrics={}, params={}, status="RUNNING")
    seq = bench.record(bench.assess())
    assert bench.kept().seq == seq
    for number in (1, 2):
        bench.registry.recorded[f"r{number}"] = Measured(metrics={}, params={}, status="FINISHED")
        assert bench.kept() is None, number
        seq = bench.record(bench.assess())
        assert bench.kept().seq == seq


def test_a_verdict_that_was_replaced_moves_nothing(tmp_path: Path):
    """Whoever still holds the PASS: the last word is read with the decision."""
    bench = Bench(tmp_path, {"artifact": {}})
    passed = bench.assess()
    seq = bench.record(passed)
    bench.record(replace(passed, findings=(Finding(check="artifact", outcome=Outcome.FAIL, reason="x"),)))
    with pytest.raises(Conflict, match="was replaced by that of event") as refused:
        bench.decide(passed, seq=seq)
    assert (refused.value.code, bench.shown()[2]) == ("verdict-superseded", ([], None))


def test_a_version_that_is_served_from_elsewhere_is_not_judged(tmp_path: Path):
    """It is resolved once; what MLflow would serve today is something else."""
    bench = Bench(tmp_path, {"artifact": {}})
    verdict = bench.assess()
    bench.registry.moved["m/2"] = "models:/m-1"
    for refusing in (bench.assess, lambda: bench.decide(verdict)):
        with pytest.raises(Conflict, match="its files at models:/m-2, and MLflow serves it from models:/m-1"):
            refusing()


def test_a_champion_with_other_files_is_neither_loaded_nor_compared_with(tmp_path: Path):
    """Whoever makes the champion worse does not make the candidate good."""
    bench = Bench(tmp_path, {"artifact": {}, "contract": {}, "champion": {"data": "rows.csv", "target": "y"}})
    bench.promote(1, "production")
    touch(bench.folders[1])
    found = {finding.check: finding for finding in bench.assess().findings}
    for check in ("contract", "champion"):
        assert found[check].outcome is Outcome.INCONCLUSIVE
        assert "m/1 is not stored as it was registered (changed: MLmodel)" in found[check].reason


def test_held_out_rows_that_were_rewritten_are_not_measured_on(tmp_path: Path):
    """They could be the candidate's own answers."""
    holdout = tmp_path / "r2" / "holdout"
    holdout.mkdir(parents=True)
    pd.DataFrame({"x": [1.0], "y": [0]}).to_parquet(holdout / "rows.parquet")
    held = row_ids(pd.DataFrame({"x": [1.0]}))
    np.savez(holdout / "row_ids.npz", train=held[:0], holdout=held)
    (holdout / "holdout.json").write_text(json.dumps({"data_digest": "d", "target": "y", "id_columns": ["x"]}))
    bench = Bench(tmp_path, {"artifact": {}, "champion": {}}, runs=tmp_path)
    assert bench.rows_or_why().held_out
    pd.DataFrame({"x": [1.0], "y": [1]}).to_parquet(holdout / "rows.parquet")
    assert "not those that were recorded at its registration" in bench.rows_or_why()


def test_what_is_known_at_once_is_not_waited_for(tmp_path: Path):
    """Checks that only compare values are made before those that load a model; findings stand in the policy's order."""
    own = {"loads": OWN}
    bench = Bench(tmp_path, {"contract": {}, "metric": {"limits": {"f1": {"min": 0.5}}}, "lineage": {}, "own": own})
    made: list[str] = []

    def noted(jobs: Sequence[CheckJob]) -> list[Finding]:
        made.extend(job.name for job in jobs)
        return run_here(jobs)

    bench.gate = replace(bench.gate, run_checks=noted)
    found = [finding.check for finding in bench.assess().findings]
    assert made == ["lineage", "metric", "contract", "loads"]
    assert list(dict.fromkeys(found)) == ["lineage", "contract", "metric", "loads"]


def test_a_verdict_of_before_a_constant_was_asked_for_does_not_hold(tmp_path: Path):
    """Else a constant that accuracy let pass would enter by what was recorded; other verdicts are not touched."""
    bench = Bench(tmp_path, {"artifact": {}, "champion": {}})
    passed = Finding(check="champion", outcome=Outcome.PASS, reason="by accuracy")
    verdict = replace(bench.assess(), findings=(passed,))
    bench.record(verdict)
    assert bench.kept() is not None
    before = {name: digest for name, digest in verdict.digests.items() if name != "judged_as"}
    bench.record(replace(verdict, digests=before))
    assert bench.kept() is None
    assert "judged_as" not in Bench(tmp_path / "files alone", {"artifact": {}}).assess().digests


def test_no_source_is_read_because_somebody_elses_run_names_it(tmp_path: Path):
    """Whoever judges may read what whoever wrote the run may not."""
    holdout = tmp_path / "r2" / "holdout"
    holdout.mkdir(parents=True)
    held = row_ids(pd.DataFrame({"x": [1.0]}))
    np.savez(holdout / "row_ids.npz", train=held[:0], holdout=held)

    def bench(data: str) -> Bench:
        document = {"data": data, "data_digest": "digest", "target": "y", "id_columns": ["x"]}
        (holdout / "holdout.json").write_text(json.dumps(document))
        return Bench(tmp_path / data.partition(":")[0], {"artifact": {}, "champion": {}}, runs=tmp_path)

    for data, is_read in (("sql:warehouse:SELECT secret FROM vault", False), ("sklearn:iris", True)):
        ours = bench(data)
        assert ours.rows_or_why().held_out
        ours.gate = replace(ours.gate, runs_are_ours=False)
        found = ours.rows_or_why()
        assert isinstance(found, Rows) == is_read, found
        assert is_read or "no source is read because a run names it" in found


def test_a_verdict_with_an_error_is_never_taken_again(tmp_path: Path):
    """What broke may work the next time; what failed would fail again."""
    bench = Bench(tmp_path, {**CHECKS, "own": {"loads": {"entry_point": "tests.unit:nobody"}}})
    bench.record(bench.assess())
    assert bench.kept() is None
    bench.check({**CHECKS, "metric": {"limits": {"accuracy": {"min": 1}}}})
    bench.record(bench.assess())
    assert "INCONCLUSIVE" in outcomes(bench.kept().verdict)


def test_an_approval_is_of_files_that_are_on_record(tmp_path: Path):
    """Before, nobody knows whose they are, nor which."""
    bench = Bench(tmp_path, {"artifact": {}})
    number = bench.add_another(tmp_path / "3")
    with pytest.raises(Conflict, match="an approval would be of none") as refused:
        bench.decisions.approve(VersionRef(model="m", number=number), "production", "good")
    assert refused.value.hint == 'slipway register m/3 --reason "…", then approve it'


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


def test_what_one_check_has_judged_is_what_the_next_one_loads(tmp_path: Path):
    """Files that are exchanged in the store after the first check, and put back after the last, deceive none."""
    bench = Bench(tmp_path, CHECKS)
    stored_text = (bench.folders[2] / "MLmodel").read_text()
    seen = []

    def exchanged(jobs) -> list[Finding]:
        folder = jobs[0].evidence.candidate.folder
        (bench.folders[2] / "MLmodel").write_text("another")
        seen.append((folder / "MLmodel").read_text())
        found = run_here(jobs)
        (bench.folders[2] / "MLmodel").write_text(stored_text)
        return found

    bench.gate = replace(bench.gate, run_checks=exchanged)
    assert bench.assess().outcome is Outcome.PASS
    assert seen == [stored_text] * 2


def test_files_that_cannot_be_copied_are_told(tmp_path: Path):
    """What is neither file nor folder is left out; what disappears meanwhile is an error that says what to do."""
    folder = stored(tmp_path / "m")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("MLmodel")
    made = copied(folder, tmp_path / "copy")
    assert not (made / "pipe").exists()
    assert (made / "link").is_symlink()
    with pytest.raises(Unavailable, match="cannot be copied, to be judged as they are now"):
        copied(tmp_path / "gone", tmp_path / "other")


def test_a_verdict_is_recorded_whatever_becomes_of_its_report(tmp_path: Path):
    """The answer says which part could not be written, and leaves a description alone that has no room."""
    bench = Bench(tmp_path, CHECKS, stored_by="r2")
    bench.registry.set_description("m", 2, "x" * 4_990)
    version, verdict = bench.registry.version(VersionRef(model="m", number=2)), bench.assess()
    done = record(verdict, version, bench.ledger, actor="petra", authenticated=False)
    assert done.notes == (
        "the description of m/2 is too long for a link to the report; what people wrote is left as it is",
    )
    assert bench.registry.known["m"][2].description == "x" * 4_990
    bench.registry.set_description("m", 2, "words")
    broken = replace(bench.ledger, registry=Refusing(bench.registry, "log_text", "set_description"))
    done = record(verdict, version, broken, actor="petra", authenticated=False)
    assert [note.partition(" could not")[0] for note in done.notes] == ["the report"] * 2 + [
        "the verdict's line in the description"
    ]
    assert bench.history.records(look("m", bench.ledger).model_uid)[-1].seq == done.seq


def test_whoever_takes_a_version_out_of_a_stage_does_not_get_past_the_comparison(tmp_path: Path):
    """Demoted or archived, it is still what a candidate stands beside; its own files are compared with another's."""
    bench = Bench(tmp_path, {"artifact": {}})
    one, two = (VersionRef(model="m", number=number) for number in (1, 2))
    assert bench.compared_with() is None
    bench.promote(1, "production")
    bench.decisions.demote(one, "out", to=None, dry_run=False)
    assert bench.compared_with() == 1
    bench.decisions.archive(one, "away", dry_run=False)
    assert bench.compared_with() == 1
    verdict = bench.assess()
    assert (verdict.champion, verdict.digests["champion_manifest"]) == (None, manifest_of(tmp_path / "1").digest)
    bench.decide(verdict)
    assert look("m", bench.ledger).occupant("production") == 2
    bench.decisions.demote(two, "out", to=None, dry_run=False)
    assert bench.compared_with() is None


def test_a_stage_whose_version_went_on_starts_anew(tmp_path: Path):
    """Staging is empty again when its version is in production, and not when it came back from there."""
    bench = Bench(tmp_path, {"artifact": {}})
    bench.promote(1, "staging")
    bench.promote(1, "production")
    assert bench.compared_with("staging") is None
    bench.decisions.demote(VersionRef(model="m", number=1), "back", to="staging", dry_run=False)
    assert bench.compared_with("production") == 1


def test_a_deleted_occupant_leaves_the_comparison_to_the_one_before(tmp_path: Path):
    """Whoever may delete versions may not choose so what a candidate is compared with."""
    bench = Bench(tmp_path, {"artifact": {}})
    third = bench.add_another(tmp_path / "3")
    bench.promote(1, "production")
    bench.promote(third, "production")
    bench.registry.delete_version(bench.registry.version(VersionRef(model="m", number=third)))
    assert bench.compared_with() == 1


def test_whoever_deletes_what_was_in_a_stage_leaves_nothing_to_pass_by(tmp_path: Path):
    """Demoted, archived and deleted: the comparison cannot be made, which is no PASS, and says what to do."""
    bench = Bench(tmp_path, {"artifact": {}, "champion": {}, "contract": {}})
    one = VersionRef(model="m", number=1)
    bench.promote(1, "production")
    bench.decisions.demote(one, "out", to=None, dry_run=False)
    bench.decisions.archive(one, "away", dry_run=False)
    bench.registry.delete_version(bench.registry.version(one))
    verdict = bench.assess()
    assert verdict.outcome is Outcome.INCONCLUSIVE
    reasons = {finding.check: finding.reason for finding in verdict.findings}
    assert "m/1 is deleted, as is all that was in production before" in reasons["contract"], reasons


@pytest.mark.parametrize(
    ("called", "words", "read"),
    [
        (["good", "bad", None], ("bad",), ["good", "bad", None]),
        ([1.0, 2.0, None], ("2", "2.0"), [1.0, 2.0, None]),
        (["1", "2", "NA"], ("NA", "2"), [1.0, 2.0, None]),
        (["1", "2", "none"], ("NA",), ["1", "2", "none"]),
        (["bad", "bad"], ("bad",), ["bad", "bad"]),
    ],
)
def test_no_versions_words_say_what_a_named_row_is_called(
    tmp_path: Path, called: list, words: tuple[str, ...], read: list
):
    """A class is no missing value, and a number is none; what stands among numbers for a missing one is."""
    holdout = tmp_path / "r2" / "holdout"
    holdout.mkdir(parents=True)
    np.savez(holdout / "row_ids.npz", train=np.array([], np.uint64), holdout=np.array([], np.uint64))
    (holdout / "holdout.json").write_text(json.dumps({"target": "y", "id_columns": ["x"], "missing_words": words}))
    bench = Bench(tmp_path, {"champion": {"data": "d.csv", "target": "y"}}, runs=tmp_path)
    frame = pd.DataFrame({"x": np.arange(len(called)), "y": called})
    masked = frame.assign(y=frame.y.where(~frame.y.astype(str).isin(words)))
    bench.gate = replace(
        bench.gate, read_rows=lambda _, __, how: ((masked if how.missing_words else frame).copy(), "digest")
    )
    version = bench.registry.version(VersionRef(model="m", number=2))
    situation = look("m", bench.ledger)
    with gathered(version, "production", situation, bench.gate, promoter="p", now=bench.now) as evidence:
        rows = evidence.rows["d.csv", "y"]
        found = pd.read_parquet(rows.path)["y"]
    assert [None if pd.isna(each) else each for each in found] == read


def test_rows_that_a_versions_separator_cuts_otherwise_are_not_taken(tmp_path: Path):
    """Else each row could be given another's class."""
    holdout = tmp_path / "r2" / "holdout"
    holdout.mkdir(parents=True)
    np.savez(holdout / "row_ids.npz", train=np.array([], np.uint64), holdout=np.array([], np.uint64))
    document = {"target": "y", "id_columns": ["x"], "reading": {"sep": ";", "sniffed": ["decimal"], "decimal": ","}}
    (holdout / "holdout.json").write_text(json.dumps(document))
    bench = Bench(tmp_path, {"champion": {"data": "d.csv", "target": "y"}}, runs=tmp_path)
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [0, 1, 0]})
    bench.gate = replace(
        bench.gate, read_rows=lambda _, __, how: ((frame.head(2) if how.sep else frame).copy(), "digest")
    )
    version = bench.registry.version(VersionRef(model="m", number=2))
    situation = look("m", bench.ledger)
    with gathered(version, "production", situation, bench.gate, promoter="p", now=bench.now) as evidence:
        said = evidence.rows["d.csv", "y"]
    assert said == "the rows cannot be read: d.csv has 3 rows, and 2 as the training said that files are read"
