"""A rollback to a version whose files are damaged says so, and on request goes to the next good one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.registry.decisions.carry_out import carry_out
from slipway.registry.decisions.ledger_decisions import going_back
from slipway.registry.errors import Corrupt, Unavailable
from tests.unit.registry.decisions.test_promote import CHOSEN, Desk
from tests.unit.registry.server.test_app import Office, code

BACK = {"model": "m", "reason": "errors doubled"}
SKIP = {**BACK, "skip_damaged": True}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return an office in which 1 and 2 were in production, and 3 is."""
    office = Office(tmp_path)
    for number in (1, 2, 3):
        assert office.moved(number, "production").status == 200
    return office


def extra_file(office: Office, number: int) -> None:
    (office.registry.folders[f"models:/m-{number}"] / "extra.py").write_text("x")


def changed_file(office: Office, number: int) -> None:
    (office.registry.folders[f"models:/m-{number}"] / "MLmodel").write_text("flavors: {}")


def files_gone(office: Office, number: int) -> None:
    shutil.rmtree(office.registry.folders[f"models:/m-{number}"])


def version_gone(office: Office, number: int) -> None:
    del office.registry.known["m"][number]


DAMAGES = (extra_file, changed_file, files_gone, version_gone)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_not_gone_back_to_and_the_way_on_is_said(office: Office, damage: Callable):
    """Nothing is decided; the hint has the command that goes on to the next one."""
    damage(office, 2)
    before = office.events()
    answer = office.post("/rollbacks", BACK)
    assert answer.status in (404, 500)
    assert "slipway rollback m --stage production --skip-damaged" in answer.document["error"]["hint"]
    assert office.events() == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_on_request_it_goes_to_the_next_good_one(office: Office, damage: Callable):
    """What was skipped is told, recorded with the decision, and gone back to no more."""
    damage(office, 2)
    shown = office.post("/rollbacks", {**SKIP, "dry_run": True}).document
    done = office.post("/rollbacks", SKIP).document
    assert (done["version"], done["previous"], shown["version"]) == ("m/1", 3, "m/1")
    (note,) = done["notes"]
    assert note.startswith("skipped: ")
    assert "m/2" in note or "version 2" in note
    event = office.events()[-1]
    assert event.kind == "VersionRolledBack"
    assert list(event.details["skipped"]) == ["2"]
    assert office.registry.model("m").aliases == {"production": 1}


def test_a_whole_one_is_not_skipped(office: Office):
    """The option changes nothing where nothing is damaged."""
    done = office.post("/rollbacks", SKIP).document
    assert (done["version"], done["notes"]) == ("m/2", [])
    assert "skipped" not in office.events()[-1].details


def test_where_all_are_damaged_that_is_said(office: Office):
    """Each with what is wrong, and what is left to do."""
    extra_file(office, 1)
    files_gone(office, 2)
    answer = office.post("/rollbacks", SKIP)
    assert code(answer) == (404, "nothing-whole-to-go-back-to")
    assert "m/2 has no stored files any more; m/1 is not stored as it was registered: extra: extra.py" in answer.text


def test_a_store_that_does_not_answer_is_no_damage(office: Office):
    """Nothing is known of the version then, and a better one is not passed over."""

    class Away(type(office.registry)):
        def stored_files(self, model_uri: str) -> Path:
            raise Unavailable("S3 does not answer", code="s3-unavailable", hint=None)

    office.registry.__class__ = Away
    assert code(office.post("/rollbacks", SKIP)) == (503, "s3-unavailable")


def test_a_version_that_was_named_is_not_replaced_by_another(office: Office):
    """Whoever names one wants that one."""
    assert code(office.post("/rollbacks", {**SKIP, "to_version": 1})) == (400, "one-of-both")


def test_what_nobody_registered_is_gone_back_to_as_it_was_chosen(tmp_path: Path):
    """Its promotion names the files that were judged; others are not put back, though nobody recorded them."""
    desk = Desk(folder=tmp_path)
    desk.promote(1, "production")
    desk.promote(2, "production")
    (tmp_path / "MLmodel").write_text("others")
    with pytest.raises(Corrupt, match="m/1 is not stored as it was when it was put there"):
        carry_out("m", going_back("production", desk.who(), desk.ledger), desk.ledger)
    (tmp_path / "MLmodel").unlink()
    done = carry_out("m", going_back("production", desk.who(), desk.ledger), desk.ledger)
    assert (done.event.version, dict(done.event.digests)) == (1, {"manifest": CHOSEN})
