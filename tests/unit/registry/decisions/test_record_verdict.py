"""Where the report of a verdict goes: into the run that stored the version's files, and nowhere else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.registry.decisions.record_verdict import RecordedVerdict, record, report_path
from slipway.registry.gate.verdict import Outcome
from slipway.registry.ledger.situation import look
from slipway.registry.version import VersionRef
from tests.unit.registry.gate.test_gate import CHECKS, Bench


def reports(bench: Bench) -> list[tuple[str, str]]:
    """Return run and path of each stored report."""
    return sorted(key for key in bench.registry.texts if key[1].startswith("slipway/gate/"))


def recorded(bench: Bench) -> RecordedVerdict:
    """Record a verdict on m/2."""
    version = bench.registry.version(VersionRef(model="m", number=2))
    return record(bench.assess(), version, bench.ledger, actor="petra", authenticated=False)


def test_the_report_goes_into_the_run_that_stored_the_files(tmp_path: Path):
    """And the description links to it."""
    bench = Bench(tmp_path, CHECKS, stored_by="r2")
    done = recorded(bench)
    assert done.notes == ()
    path = report_path(look("m", bench.ledger).model_uid, bench.assess(), done.seq)
    assert reports(bench) == [("r2", f"{path}.html"), ("r2", f"{path}.json")]
    assert json.loads(bench.registry.texts["r2", f"{path}.json"])["version"] == "m/2"
    assert f"runs/r2/artifacts/{path}.html)" in bench.registry.known["m"][2].description


@pytest.mark.parametrize(
    ("stored_by", "why"),
    [
        ("another", "its files were stored by run another, and it names run r2"),
        ("nobody", "run r2, which it names, is not known to have stored its files"),
        ("r2", "nobody recorded where it comes from: slipway register m/2"),
    ],
)
def test_nothing_goes_into_a_run_that_the_version_only_names(stored_by: str, why: str, tmp_path: Path):
    """Whoever can read a run can name it; the verdict is recorded, and the answer says why the report is nowhere."""
    bench = Bench(tmp_path, CHECKS, stored_by=stored_by, is_known=stored_by != "nobody")
    if stored_by == "r2":
        bench.history.chains.clear()
    done = recorded(bench)
    (note,) = done.notes
    assert note.startswith("the report of m/2 is left out of its run")
    assert why in note
    assert reports(bench) == []
    described = bench.registry.known["m"][2].description
    assert "- production: **" in described
    assert "[report]" not in described
    assert bench.history.records(look("m", bench.ledger).model_uid)[-1].seq == done.seq


def test_nothing_goes_among_a_models_own_files(tmp_path: Path):
    """One that lies at the root of its run would be changed by its own verdict."""
    bench = Bench(tmp_path, CHECKS, stored_by="r2", runs=tmp_path / "runs")
    (tmp_path / "runs" / "r2").mkdir(parents=True)
    (tmp_path / "runs" / "r2" / "MLmodel").write_text("flavors: {}")
    done = recorded(bench)
    assert [note.partition(" could not")[0] for note in done.notes] == ["the report"] * 2
    assert reports(bench) == []
    assert "[report]" not in bench.registry.known["m"][2].description


def test_two_models_never_share_a_reports_place(tmp_path: Path):
    """However they are called: numbers of events are each model's own, and names lead nowhere."""
    bench = Bench(tmp_path, CHECKS)
    verdict = bench.assess()
    uids = ["default/1/m", "default/2/m", "default/1/m:", "default/1/..", "default/1/.", "default/1/m" + "n" * 99]
    names = [uid.split("/", 2)[2] for uid in uids]
    paths = [report_path(uid, replace(verdict, model=name), 7) for uid, name in zip(uids, names, strict=True)]
    assert len(set(paths)) == len(uids)
    assert all(part not in ("", ".", "..") and len(part) < 60 for path in paths for part in path.split("/"))
    assert len({report_path("default/1/m", replace(verdict, version=n), 7) for n in (1, 2)}) == 2
    assert verdict.outcome is Outcome.PASS
