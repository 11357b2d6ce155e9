"""The verb package: only what a gate passed goes into an image, or what somebody answers for; and it is on record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.registry.decisions.package import ImageMade
from slipway.registry.errors import Conflict, InvalidInput, NotApproved, NotFound, SlipwayError
from slipway.registry.ledger.situation import look
from slipway.registry.manifest import CARD, manifest_of
from slipway.registry.version import parse_ref
from tests.unit.registry.gate.checks.test_checks import stored
from tests.unit.registry.server.test_app import Office

IMAGE = f"sha256:{'a' * 64}"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return an office with three versions and no users."""
    return Office(tmp_path)


def made(office: Office, number: int, digest: str = IMAGE) -> ImageMade:
    return ImageMade(
        name="slipway/m:1",
        digest=digest,
        config=f"sha256:{'b' * 64}",
        manifest=office.digest(number),
        platform="linux/amd64",
        base=None,
    )


def assess(office: Office, number: int, stage: str = "staging", outcome: str = "PASS") -> None:
    assert office.post("/verdicts", office.judged(number, stage, outcome)).status == 200


def refused(office: Office, name: str, **given: Any) -> SlipwayError:
    before = len(office.events())
    with pytest.raises(SlipwayError) as error:
        office.decisions.package(parse_ref(name), given.get("image") or made(office, 1), given.get("override"))
    assert len(office.events()) == before, "nothing is recorded of what was refused"
    return error.value


def test_an_image_of_what_a_gate_passed_is_recorded(office: Office):
    """With its digest, the files in it and the verdicts that it rests on; it moves nothing."""
    assess(office, 1)
    before = look("m", office.ledger).state
    noted = office.decisions.package(parse_ref("m/1"), made(office, 1), None)
    event = office.events()[-1]
    assert (str(event.kind), event.version, event.stage, noted.seq) == (
        "VersionPackaged",
        1,
        None,
        len(office.events()),
    )
    assert event.digests == {"image": IMAGE, "manifest": office.digest(1)}
    assert event.details["verdicts"] == {"staging": noted.seq - 1}
    assert (event.details["name"], event.details["platform"]) == ("slipway/m:1", "linux/amd64")
    assert look("m", office.ledger).state == before


def test_the_same_image_is_recorded_once(office: Office):
    """Packaging again gives the same digest, and that is no news; another digest is."""
    assess(office, 1)
    first = office.decisions.package(parse_ref("m/1"), made(office, 1), None)
    again = office.decisions.package(parse_ref("m/1"), made(office, 1), None)
    other = office.decisions.package(parse_ref("m/1"), made(office, 1, f"sha256:{'c' * 64}"), None)
    assert (again.seq, other.seq) == (first.seq, first.seq + 1)


def test_what_no_gate_passed_is_refused(office: Office):
    """Neither the one that was never judged nor the one that failed, last."""
    assert refused(office, "m/1").code == "no-gate"
    assess(office, 1)
    assess(office, 1, outcome="FAIL")
    error = refused(office, "m/1")
    assert isinstance(error, NotApproved)
    assert "no gate has passed m/1 with the files that it has" in error.message
    assert "slipway gate m/1 --to staging" in error.hint


def test_a_verdict_on_other_files_does_not_count(office: Office, tmp_path: Path):
    """The gate has seen what was there then."""
    assess(office, 1)
    uid = look("m", office.ledger).model_uid
    chain = office.history.chains[uid]
    last = chain[-1].event
    other = replace(last, digests={**last.digests, "manifest": f"sha256:{'0' * 64}"})
    office.history.append(other, after_seq=len(chain))
    assert refused(office, "m/1").code == "no-gate"


def test_a_verdict_of_somebody_who_may_not_vouch_does_not_count(tmp_path: Path):
    """Where the policy names whose verdicts count."""
    office = Office(tmp_path, staging={"verdict_by": ["ci"]})
    assess(office, 1)
    assert refused(office, "m/1").code == "no-gate"


def test_an_override_is_on_record_with_its_reason(office: Office):
    """Whoever looks for what passed no gate finds it."""
    office.decisions.package(parse_ref("m/1"), made(office, 1), "the customer waits")
    event = office.events()[-1]
    assert (event.details["override"], event.details["verdicts"]) == ("the customer waits", {})


def test_of_a_stage_the_version_that_the_history_has_there_is_meant(office: Office):
    """And the verdict for that very stage has to be the one that passed it."""
    office.moved(1, "staging")
    office.moved(2, "production")
    done = office.decisions.package(parse_ref("m@production"), made(office, 2), None)
    assert done.version == "m/2"
    assess(office, 2, "production", "FAIL")
    assess(office, 2, "staging")
    image = made(office, 2, f"sha256:{'c' * 64}")
    assert "no gate has passed m/2 for production" in refused(office, "m@production", image=image).message


def test_an_alias_that_was_moved_behind_the_history_is_refused(office: Office):
    """Which of both was meant nobody can tell."""
    office.moved(1, "production")
    office.registry.set_alias("m", "production", 3)
    error = refused(office, "m@production")
    assert isinstance(error, Conflict)
    assert error.code == "moved-behind-history"


def test_an_alias_that_is_no_stage_names_its_version(office: Office):
    """Resolved once, as MLflow has it now."""
    office.registry.set_alias("m", "candidate", 1)
    assess(office, 1)
    assert office.decisions.package(parse_ref("m@candidate"), made(office, 1), None).version == "m/1"


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("m@production", NotFound, "nothing is in production of m"),
        ("m@prodction", InvalidInput, "did you mean 'production'"),
        ("m/9", NotFound, "has no version 9"),
    ],
)
def test_what_is_not_there_is_named(office: Office, name: str, kind: type[SlipwayError], said: str):
    """With what was probably meant."""
    error = refused(office, name)
    assert isinstance(error, kind)
    assert said in error.message


def test_what_was_archived_takes_an_override(office: Office):
    """Somebody ruled that nothing goes back to it."""
    assess(office, 1)
    office.decisions.archive(parse_ref("m/1"), "wrong labels", dry_run=False)
    error = refused(office, "m/1")
    assert (error.code, "wrong labels" in error.message) == ("archived", True)


def test_an_image_of_other_files_is_refused(office: Office):
    """They were changed, or the stage moved, while it was built."""
    assess(office, 1)
    error = refused(office, "m/1", image=made(office, 2))
    assert (error.code, error.hint) == ("overtaken", "package it again")


def test_a_version_whose_files_nobody_recorded_is_refused_whatever_is_said(office: Office, tmp_path: Path):
    """An override answers for a gate, not for files that nobody knows."""
    number = office.add_unrecorded(stored(tmp_path / "new"))
    error = refused(office, f"m/{number}", override="urgent", image=made(office, number))
    assert (error.code, "slipway register m/4" in error.hint) == ("not-registered", True)


def test_the_card_of_an_image_is_no_file_of_a_version(tmp_path: Path):
    """So that what lies in an image is compared with what was registered."""
    (tmp_path / "MLmodel").write_text("flavors: {}")
    before = manifest_of(tmp_path)
    (tmp_path / CARD).write_text("{}")
    assert manifest_of(tmp_path) == before
