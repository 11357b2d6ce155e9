"""The API on stand-ins: who may ask for what, on which verdicts it decides, and how errors leave."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from slipway.registry.errors import InvalidInput, NotApproved, SlipwayError
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.situation import look
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.model_registry import Measured, Origin
from slipway.registry.policy.policy import ArtifactRule, PolicyBook, default_policy
from slipway.registry.server.app import STATUS, answer_to, build_api
from slipway.registry.server.app_routes import Keeper
from slipway.registry.version import Version, parse_ref
from tests.doubles.asgi import ask
from tests.doubles.fakes import FakeClaims, FakeHeartbeats, logged_model
from tests.servers.guarded import Answer
from tests.unit.registry.decisions.test_promote import Desk
from tests.unit.registry.gate.checks.test_checks import stored

DIGEST = f"sha256:{'0' * 64}"
CHECKS = {"lineage": {}, "artifact": {}}


@dataclass
class FakeAccess:
    """Users by header; who may edit and who may only see."""

    known: set[str] | None = None
    editors: set[str] = field(default_factory=set)
    blind: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    administrators: set[str] = field(default_factory=set)

    def user(self, request: Request) -> str | None:
        name = request.headers.get("user")
        if self.known is None:
            return None
        if name not in self.known:
            raise NotApproved("who are you", code="not-authenticated", hint=None)
        return name

    def may(self, user: str | None, model: str, *, edit: bool) -> bool:
        if self.known is None:
            return True
        if model in self.denied:
            return False
        return user in self.editors if edit else user not in self.blind

    def administers(self, user: str) -> bool:
        return user in self.administrators

    def refuses_origin(self, request: Request) -> bool:
        return request.headers.get("origin") == "http://evil.example"


class Office(Desk):
    """A desk whose three versions have files, behind the API."""

    def __init__(self, folder: Path, **stages: dict[str, Any]) -> None:
        document = {
            name: {"checks": CHECKS, "enter_from": "any", **stages.get(name, {})} for name in ("staging", "production")
        }
        super().__init__(0, {"stages": document})
        self.access = FakeAccess()
        self.files_found: list[Finding] = []
        self.heartbeats, self.claims = FakeHeartbeats(), FakeClaims()
        for number in (1, 2, 3):
            self.add(stored(folder / str(number)))
        keeper = Keeper(
            ledger=lambda: self.ledger,
            heartbeats=lambda: self.heartbeats,
            claims=lambda: self.claims,
            workspace=lambda: "default",
            access=self.access,
            judge=self.judged_by_server,
            now=lambda: self.now,
        )
        self.api: FastAPI = build_api(keeper, version="1")

    def judged_by_server(self, version: Version, folder: Path, manifest: Manifest, rule: ArtifactRule) -> list[Finding]:
        """Return what the server finds in files, which are those that were registered."""
        assert manifest_of(folder) == manifest
        return self.files_found

    def add(self, folder: Path) -> None:
        """Register a version with a run, recorded with its files."""
        self.decisions.register(parse_ref(f"m/{self.add_unrecorded(folder)}"), "trained", manifest_of(folder))

    def add_unrecorded(self, folder: Path) -> int:
        """Register a version with a run, and return its number."""
        number = len(self.registry.known.get("m", {})) + 1
        self.registry.folders[f"models:/m-{number}"] = folder
        self.registry.recorded[f"r{number}"] = Measured(metrics={}, params={}, user="tina", status="FINISHED")
        self.registry.origins[f"models:/m-{number}"] = Origin(run_id=f"r{number}", experiment_id=None)
        logged = logged_model(run_id=f"r{number}", model_uri=f"models:/m-{number}")
        self.registry.create_version(logged, model="m", description="", tags={})
        return number

    def get(self, path: str, user: str = "ann") -> Answer:
        return ask(self.api, "GET", path, headers={"user": user})

    def post(self, path: str, body: Any, user: str = "ann", **headers: str) -> Answer:
        return ask(self.api, "POST", path, body, {"user": user, **headers})

    def judged(self, number: int, stage: str, /, outcome: str = "PASS", **changes: Any) -> dict[str, Any]:
        """Return a verdict as a client would send it."""
        found = look("m", self.ledger)
        occupant = found.occupant(stage)
        digests = {"policy": found.policy.digest, "manifest": self.digest(number)}
        digests |= {"champion_manifest": self.digest(occupant)} if occupant else {}
        names = found.policy.stages[stage].checks.rules()
        return {
            "version": f"m/{number}",
            "stage": stage,
            "at": "2020-01-01T00:00:00+00:00",
            "champion": occupant,
            "digests": digests,
            "findings": [{"check": name, "outcome": outcome, "reason": "looked at"} for name in names],
            **changes,
        }

    def digest(self, number: int) -> str:
        return manifest_of(self.registry.folders[f"models:/m-{number}"]).digest

    def moved(self, number: int, stage: str, user: str = "ann", **more: Any) -> Answer:
        """Record a PASS and promote."""
        given = self.post("/verdicts", self.judged(number, stage), user)
        assert given.status == 200, given
        return self.post("/promotions", {"version": f"m/{number}", "stage": stage, "reason": "x", **more}, user)

    def events(self) -> list[Any]:
        return [record.event for record in self.history.records(look("m", self.ledger).model_uid)]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return an office without users."""
    return Office(tmp_path)


def code(answer: Answer) -> tuple[int, str]:
    """Return an error's status and code."""
    return answer.status, answer.document["error"]["code"]


def test_a_recorded_verdict_moves_a_version(office: Office):
    """And everything can be asked afterwards."""
    done = office.moved(1, "production")
    assert done.document == {
        "version": "m/1",
        "stage": "production",
        "kind": "VersionPromoted",
        "verdict": "PASS",
        "seq": 5,
        "previous": None,
        "dry_run": False,
        "changes": [
            "alias production → 1",
            "MLflow stage of 1 → Production",
            "tags of 1: slipway.stage, slipway.by, slipway.reason, slipway.verdict",
        ],
        "served": [],
        "notes": [],
    }
    (row,) = office.get("/status").document["stages"]
    assert (row["version"], row["stage"], row["by"]) == ("1", "production", "nobody named")
    events = office.get("/models/m/history").document["events"]
    assert [event["kind"] for event in events][-2:] == ["GateAssessed", "VersionPromoted"]
    assert office.get("/models/m/history?verify=true").document["defects"] == []
    assert office.get("/models/m/history?at=2026-01-02").document["stages"]["production"]["version"] == 1
    assert office.get("/models/m/policy").document["digest"] == look("m", office.ledger).policy.digest


@pytest.mark.parametrize("asked", ["at=", "verify=true&head="])
def test_an_empty_moment_or_head_is_not_taken_for_none(office: Office, asked: str):
    """The present would be shown for a moment, and a chain be compared with nothing."""
    refused = office.get(f"/models/m/history?{asked}")
    assert (refused.status, refused.document["error"]["code"]) == (400, "wrong-request")
    assert "should have at least 1 character" in refused.document["error"]["message"]


def test_every_verb_is_there(office: Office):
    """Approve, roll back, demote, archive, adopt, register, settle."""
    assert (
        office.post("/approvals", {"version": "m/1", "stage": "staging", "reason": "ok", "actor": "bob"}).status == 200
    )
    office.moved(1, "production")
    office.moved(2, "production")
    body = {"model": "m", "reason": "worse", "from_version": 2}
    assert office.post("/rollbacks", body).document["version"] == "m/1"
    assert office.post("/rollbacks", body).document["kind"] is None
    assert office.post("/demotions", {"version": "m/1", "to": "staging", "reason": "x"}).document["stage"] == "staging"
    assert office.post("/archivals", {"version": "m/2", "reason": "x"}).document["kind"] == "VersionArchived"
    office.registry.set_alias("m", "production", 3)
    assert office.post("/adoptions", {"version": "m@production", "reason": "x"}).document["version"] == "m/3"
    assert code(office.post("/registrations", {"version": "m/3", "reason": "x"})) == (409, "already-registered")
    image = {"name": "m:1", "digest": DIGEST, "config": DIGEST, "platform": "linux/amd64", "base": None}
    body = {"version": "m/1", "image": {**image, "manifest": office.digest(1)}}
    assert office.post("/images", body).document["manifest"] == office.digest(1)
    assert code(office.post("/images", {**body, "image": {**image, "manifest": "x"}})) == (400, "wrong-request")
    assert office.post("/models/m/settle", {}).document["applied"] == len(office.events())


@pytest.mark.parametrize("outcome", ["FAIL", "INCONCLUSIVE", "ERROR"])
@pytest.mark.parametrize("numbered", [True, False])
def test_a_pass_that_was_replaced_moves_nothing(office: Office, outcome: str, numbered: bool):
    """Neither by its number nor without one: only the last word counts."""
    passed = office.post("/verdicts", office.judged(1, "production")).document["seq"]
    assert office.post("/verdicts", office.judged(1, "production", outcome)).status == 200
    body = {"version": "m/1", "stage": "production", "reason": "x"}
    refused = office.post("/promotions", {**body, "verdict_seq": passed} if numbered else body)
    expected = (409, "verdict-superseded") if numbered else (403, f"verdict-{outcome.lower()}")
    assert code(refused) == expected
    again = office.post("/verdicts", office.judged(1, "production")).document["seq"]
    assert office.post("/promotions", {**body, "verdict_seq": again}).status == 200


def test_a_dry_run_changes_nothing(office: Office):
    """Also on a verdict that nobody recorded."""
    before = office.events()
    body = {
        "version": "m/1",
        "stage": "staging",
        "reason": "x",
        "dry_run": True,
        "verdict": office.judged(1, "staging"),
    }
    assert office.post("/promotions", body).document["changes"][0] == "alias staging → 1"
    assert code(office.post("/promotions", {**body, "verdict": office.judged(1, "staging", "FAIL")}))[0] == 403
    assert (office.events(), office.registry.versions("m")[-1].aliases) == (before, frozenset())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"champion": 7}, (409, "verdict-overtaken")),
        ({"digests": {"policy": "sha256:old"}}, (409, "verdict-overtaken")),
        ({"findings": [{"check": "lineage", "outcome": "PASS", "reason": "x"}]}, (400, "checks-missing")),
        ({"findings": []}, (400, "wrong-request")),
        ({"findings": [{"check": "lineage", "outcome": "GREAT", "reason": "x"}]}, (400, "wrong-request")),
        ({"stage": "prod"}, (400, "unknown-stage")),
        ({"version": "m/9"}, (404, "unknown-version")),
        ({"surprise": 1}, (400, "wrong-request")),
    ],
)
def test_a_verdict_that_does_not_fit_is_not_recorded(office: Office, changes: dict, expected: tuple[int, str]):
    """For another occupant or policy, without a check that the policy asks for, about what is not there."""
    before = office.events()
    assert code(office.post("/verdicts", office.judged(1, "production", **changes))) == expected
    assert office.events() == before


def test_a_verdict_on_other_files_is_not_recorded(office: Office):
    """The ledger says which files the version has."""
    judged = office.judged(1, "staging")
    judged["digests"]["manifest"] = office.digest(2) + "0"
    assert code(office.post("/verdicts", judged)) == (409, "verdict-overtaken")


def test_the_server_says_how_a_verdict_ended_and_when(office: Office):
    """Not the client."""
    judged = {**office.judged(1, "staging", "FAIL"), "outcome": "PASS"}
    assert office.post("/verdicts", judged).status == 200
    event = office.events()[-1]
    assert (event.details["outcome"], event.at) == ("FAIL", office.now)
    refused = office.post("/promotions", {"version": "m/1", "stage": "staging", "reason": "x"})
    assert code(refused) == (403, "verdict-fail")


def test_without_a_verdict_nothing_moves(office: Office):
    """Nor on a number that is none."""
    body = {"version": "m/1", "stage": "staging", "reason": "x"}
    assert code(office.post("/promotions", body)) == (404, "no-verdict")
    assert code(office.post("/promotions", {**body, "verdict_seq": 1})) == (404, "no-verdict")


def test_files_that_changed_since_are_not_promoted(office: Office):
    """The server reads them itself."""
    assert office.post("/verdicts", office.judged(1, "staging")).status == 200
    (office.registry.folders["models:/m-1"] / "MLmodel").write_text("other")
    body = {"version": "m/1", "stage": "staging", "reason": "x"}
    assert code(office.post("/promotions", body)) == (500, "artifacts-changed")


def test_approval_and_soak_are_the_servers_to_know(tmp_path: Path):
    """What a client says of them is looked at anew."""
    office = Office(tmp_path, production={"checks": {**CHECKS, "approval": {}, "soak": {"hours": 3}}})
    office.moved(1, "staging")
    assert office.post("/verdicts", office.judged(1, "production")).status == 200
    body = {"version": "m/1", "stage": "production", "reason": "x", "actor": "petra"}
    refused = office.post("/promotions", body)
    assert code(refused) == (403, "verdict-inconclusive")
    assert "nobody has approved m/1" in refused.text
    for actor in ("tina", "petra", "bob"):
        office.post("/approvals", {"version": "m/1", "stage": "production", "reason": "ok", "actor": actor})
    office.who()
    office.who()
    office.who()
    assert office.post("/promotions", body).status == 200


def test_the_policys_voucher_is_demanded(tmp_path: Path):
    """The last verdict of somebody who counts is taken, whoever assessed after that."""
    office = Office(tmp_path, staging={"verdict_by": ["ci"]})
    judged = office.judged(1, "staging")
    assert office.post("/verdicts", {**judged, "actor": "ann"}).status == 200
    body = {"version": "m/1", "stage": "staging", "reason": "x"}
    assert code(office.post("/promotions", body)) == (404, "no-verdict")
    assert code(office.post("/promotions", {**body, "verdict_seq": 4})) == (403, "verdict-by-another")
    assert office.post("/verdicts", {**judged, "actor": "ci"}).status == 200
    assert office.post("/verdicts", {**judged, "actor": "ann"}).status == 200
    assert office.post("/promotions", body).document["verdict"] == "PASS"


ROLES = {"assess": ["ci"], "approve": ["bob"], "promote": ["petra"], "override": ["olga"]}


@pytest.fixture
def staffed(tmp_path: Path) -> Office:
    """Return an office with users: some have roles for production, one may edit in MLflow, one sees nothing."""
    office = Office(tmp_path, production={"roles": ROLES, "allow_override": True})
    office.access.known = {"ci", "bob", "petra", "olga", "ed", "vera", "nina"}
    office.access.editors = {"ed"}
    office.access.blind = {"nina"}
    return office


def refusals(office: Office, path: str, body: dict, users: str = "ci bob olga ed vera petra") -> set[str]:
    """Return the users who are told that something is not their role."""
    answers = {user: office.post(path, body, user) for user in users.split()}
    return {user for user, answer in answers.items() if answer.status == 403 and "not-your-role" in answer.text}


def test_roles_say_who_assesses_approves_promotes_and_overrides(staffed: Office):
    """By the policy's lists, whatever MLflow lets them edit."""
    everybody = {"ci", "bob", "petra", "olga", "ed", "vera"}
    assert refusals(staffed, "/verdicts", staffed.judged(1, "production", "FAIL")) == everybody - {"ci"}
    about = {"version": "m/1", "stage": "production", "reason": "x"}
    assert refusals(staffed, "/approvals", about) == everybody - {"bob"}
    assert refusals(staffed, "/promotions", about) == everybody - {"petra"}
    assert refusals(staffed, "/promotions", {**about, "override": "urgent"}) == everybody, "petra may not override"
    staffed.post("/verdicts", staffed.judged(1, "production"), "ci")
    assert staffed.post("/promotions", about, "petra").status == 200
    assert refusals(staffed, "/rollbacks", {"model": "m", "reason": "x"}) == everybody - {"petra"}
    assert refusals(staffed, "/archivals", {"version": "m/2", "reason": "x"}) == everybody - {"petra"}
    assert refusals(staffed, "/demotions", {"version": "m/1", "reason": "x"}) == everybody - {"petra"}
    staffed.registry.set_alias("m", "production", 3)
    assert refusals(staffed, "/adoptions", {"version": "m@production", "reason": "x"}) == everybody - {"olga"}
    image = {"name": "m:1", "digest": DIGEST, "config": DIGEST, "manifest": DIGEST, "platform": "p", "base": None}
    assert refusals(staffed, "/images", {"version": "m/1", "image": image}) == everybody - {"ed"}
    assert refusals(staffed, "/images", {"version": "m/1", "image": image, "override": "now"}) == everybody - {"olga"}


def test_without_a_list_it_takes_mlflows_permission_to_edit(staffed: Office):
    """For staging nobody is listed."""
    others = {"ci", "bob", "petra", "olga", "vera"}
    assert refusals(staffed, "/verdicts", staffed.judged(1, "staging")) == others
    assert refusals(staffed, "/promotions", {"version": "m/1", "stage": "staging", "reason": "x"}) == others
    staffed.history.chains.clear()
    assert refusals(staffed, "/registrations", {"version": "m/1", "reason": "x"}) == others


def test_known_users_are_on_record_as_such(staffed: Office):
    """Whatever they say that they are called."""
    staffed.post("/verdicts", {**staffed.judged(1, "production"), "actor": "somebody else"}, "ci")
    event = staffed.events()[-1]
    assert (event.kind, event.actor, event.actor_authenticated) == (EventKind.GATE_ASSESSED, "ci", True)


def test_others_are_on_record_by_what_they_say(office: Office):
    """As unverified."""
    office.post("/verdicts", {**office.judged(1, "staging"), "actor": "ann"})
    event = office.events()[-1]
    assert (event.actor, event.actor_authenticated) == ("ann", False)


GETS = (
    "/models/m/history",
    "/models/m/policy",
    "/ledger/head?model_uid=default/1/m",
    "/ledger/anchors?model_uid=default/1/m",
)


def test_who_may_not_see_a_model_learns_nothing_of_it(staffed: Office):
    """Neither by reading nor by asking for decisions."""
    for path in (*GETS, "/ledger/records?model_uid=default/1/m"):
        assert code(staffed.get(path, "nina")) == (403, "not-yours-to-see"), path
        assert staffed.get(path, "vera").status == 200, path
    assert staffed.get("/status", "nina").document == {"stages": [], "problems": []}
    assert staffed.get("/ledger/models?model=m", "nina").document == {"model_uids": []}
    for path, body in {
        "/verdicts": staffed.judged(1, "staging"),
        "/promotions": {"version": "m/1", "stage": "staging", "reason": "x"},
        "/rollbacks": {"model": "m", "reason": "x"},
        "/models/m/settle": {},
    }.items():
        assert code(staffed.post(path, body, "nina")) == (403, "not-yours-to-see"), path


def test_another_workspaces_history_is_not_shown(office: Office):
    """Identities begin with the workspace."""
    assert code(office.get("/ledger/records?model_uid=team/1/m")) == (403, "not-yours-to-see")
    assert office.get("/ledger/models?prefix=team/").document == {"model_uids": []}


def test_whoever_does_not_say_who_he_is_is_asked(staffed: Office):
    """With 401 on every route, before anything is read of what was sent: pages that describe the API, unknown paths."""
    routes = {route.path for route in staffed.api.routes}
    assert {"/docs", "/openapi.json", "/docs/oauth2-redirect", "/promotions"} <= routes
    for path in (*GETS, *routes, "/nowhere"):
        assert code(staffed.get(path, "stranger")) == (401, "not-authenticated"), path
        assert code(staffed.post(path, {"no": "field of ours"}, "stranger")) == (401, "not-authenticated"), path
    assert staffed.get("/docs", "vera").status == 200
    assert "/promotions" in staffed.get("/openapi.json", "vera").document["paths"]


def test_another_policy_at_the_client_is_said(office: Office):
    """The server's holds."""
    same = look("m", office.ledger).policy.digest
    body = {"version": "m/1", "stage": "staging", "reason": "x"}
    assert office.post("/approvals", {**body, "policy_digest": same}).document["notes"] == []
    (note,) = office.post("/approvals", {**body, "policy_digest": "sha256:mine"}).document["notes"]
    assert note == "the policy of m in your folder is not the server's (test); the server's holds"


def test_a_page_of_another_site_decides_nothing(office: Office):
    """It may have its reader's credentials."""
    body = {"model": "m", "reason": "x"}
    assert code(office.post("/rollbacks", body, origin="http://evil.example")) == (403, "other-origin")


def test_every_error_leaves_in_one_shape(office: Office):
    """By one table from kind to status; so do requests that nobody understands."""
    assert set(STATUS) == set(SlipwayError.__subclasses__())
    for kind, status in STATUS.items():
        answer = answer_to(kind("what", code="some-code", hint="do"))
        assert (answer.status_code, kind.__name__ in answer.body.decode()) == (status, True)
    assert code(office.get("/nothing")) == (404, "no-route")
    assert code(office.post("/status", {})) == (405, "no-route")
    assert office.post("/status", {}).document["error"]["kind"] == "NotFound"
    assert code(office.post("/rollbacks", b"{")) == (400, "wrong-request")
    assert code(office.post("/rollbacks", {"model": "m", "reason": " "})) == (400, "no-reason")
    assert code(office.post("/rollbacks", {"model": "n", "reason": "x"})) == (404, "unknown-model")


def beat(version: int, at: datetime) -> dict[str, Any]:
    """Return what an engine says of production."""
    where = {"engine": "e", "model": "m", "stage": "production", "address": "http://engine", "runner": "compiled"}
    return {**where, "version": version, "since": at.isoformat(), "at": at.isoformat(), "problem": None}


def test_engines_leave_their_word_and_status_repeats_it(office: Office):
    """Also the answer to a decision says who serves the stage."""
    office.moved(1, "production")
    assert office.post("/heartbeats", {"beats": [beat(1, office.now)]}).document == {"written": 1, "refused": []}
    (row,) = office.get("/status").document["stages"]
    assert row["served"] == [f"http://engine: 1 since {office.now:%H:%M:%S}"]
    done = office.moved(2, "production")
    assert done.document["served"] == [f"http://engine: 1 since {office.now:%H:%M:%S} (not 2 yet)"]
    assert [each["version"] for each in office.get("/heartbeats").document["beats"]] == [1]
    office.post("/heartbeats/leave", {"engine": "e"})
    assert office.get("/heartbeats").document == {"beats": []}


def test_an_engines_word_on_a_model_that_its_user_may_not_see_is_refused(staffed: Office):
    """And nobody reads of it who may not see the model."""
    beats = {"beats": [beat(1, staffed.now)]}
    assert code(staffed.post("/heartbeats", beats, "nina")) == (403, "not-yours-to-see")
    assert staffed.post("/heartbeats", beats, "ed").status == 200
    assert staffed.get("/heartbeats", "nina").document == {"beats": []}
    assert code(staffed.post("/heartbeats/leave", {"engine": "e"}, "stranger")) == (401, "not-authenticated")


def test_an_engines_word_is_taken_on_the_models_that_it_may_speak_of(staffed: Office):
    """The others are named with why: one model's owner silences an engine about that model alone."""
    unknown = {**beat(1, staffed.now), "model": "denied"}
    beats = {"beats": [unknown, beat(1, staffed.now)]}
    staffed.access.denied = {"denied"}
    done = staffed.post("/heartbeats", beats, "ed")
    assert (done.status, done.document["written"]) == (200, 1)
    (refused,) = done.document["refused"]
    assert (refused["model"], refused["stage"]) == ("denied", "production")
    assert refused["error"]["code"] == "not-yours-to-see"
    assert [each.model for each in staffed.heartbeats.all()] == ["m"]
    assert code(staffed.post("/heartbeats", {"beats": [unknown]}, "ed")) == (403, "not-yours-to-see")


def test_a_reader_speaks_for_no_engine(staffed: Office):
    """Neither by a word of its own nor by taking another's away, whatever the stage is called."""
    for stage in ("production", "no-stage"):
        beats = {"beats": [{**beat(1, staffed.now), "stage": stage}]}
        assert code(staffed.post("/heartbeats", beats, "vera")) == (403, "not-your-role")
    assert staffed.post("/heartbeats", {"beats": [beat(1, staffed.now)]}, "ed").status == 200
    assert code(staffed.post("/heartbeats/leave", {"engine": "e"}, "vera")) == (403, "another-engine")
    staffed.claims.owners.clear()  # as of one that spoke before words were bound to users
    assert code(staffed.post("/heartbeats/leave", {"engine": "e"}, "vera")) == (403, "not-your-role")
    assert len(staffed.heartbeats.all()) == 1


def test_the_policy_says_who_is_an_engine(tmp_path: Path):
    """Then whoever may edit the model is none, and an engine's account needs no more than to read."""
    office = Office(tmp_path, production={"roles": {"engine": ["engine"]}})
    office.access.known, office.access.editors = {"engine", "ed"}, {"ed"}
    beats = {"beats": [beat(1, office.now)]}
    assert code(office.post("/heartbeats", beats, "ed")) == (403, "not-your-role")
    assert office.post("/heartbeats", beats, "engine").status == 200


def test_an_engines_word_is_bound_to_who_first_wrote_it(staffed: Office):
    """To nobody else but administrators, until it leaves."""
    staffed.access.editors |= {"bob", "root"}
    staffed.access.known |= {"root"}
    staffed.access.administrators = {"root"}
    beats = {"beats": [beat(1, staffed.now)]}
    mixed = {"beats": [{**beat(2, staffed.now), "engine": "other"}, beat(2, staffed.now)]}
    assert staffed.post("/heartbeats", beats, "ed").status == 200
    for body in (beats, mixed):
        assert code(staffed.post("/heartbeats", body, "bob")) == (403, "another-engine")
    assert code(staffed.post("/heartbeats/leave", {"engine": "e"}, "bob")) == (403, "another-engine")
    assert [each.version for each in staffed.heartbeats.all()] == [1]
    assert staffed.post("/heartbeats", beats, "root").status == 200
    assert staffed.post("/heartbeats", beats, "ed").status == 200, "an administrator's word changed whose it is"
    assert staffed.post("/heartbeats/leave", {"engine": "e"}, "root").status == 200
    assert staffed.heartbeats.all() == ()
    assert staffed.post("/heartbeats", beats, "bob").status == 200


def test_when_an_engine_spoke_is_the_servers_to_know(staffed: Office):
    """One that says it will speak tomorrow would be alive for a day."""
    beats = {"beats": [{**beat(1, staffed.now), "at": "2099-01-01T00:00:00+00:00"}]}
    assert staffed.post("/heartbeats", beats, "ed").status == 200
    assert [each.at for each in staffed.heartbeats.all()] == [staffed.now]


def test_what_engines_say_of_a_renamed_model_is_shown_under_its_name_now(staffed: Office):
    """To whoever may see that, and beside its stage; whoever makes a model under the old name has no part in it."""
    staffed.post("/verdicts", staffed.judged(1, "production"), "ci")
    moved = staffed.post("/promotions", {"version": "m/1", "stage": "production", "reason": "x"}, "petra")
    assert moved.status == 200
    spoken = {**beat(1, staffed.now), "since": staffed.now.isoformat()}
    assert staffed.post("/heartbeats", {"beats": [spoken]}, "ed").status == 200
    staffed.registry.rename("m", "new")

    def shown() -> list[str]:
        return [each["model"] for each in staffed.get("/heartbeats", "vera").document["beats"]]

    def served() -> dict[str, int]:
        stages = staffed.get("/status", "vera").document["stages"]
        return {row["model"]: len(row["served"]) for row in stages if row["stage"] == "production"}

    assert (shown(), served()) == (["new"], {"new": 1})
    made_ms = int(staffed.now.timestamp() * 1000) + 1
    staffed.registry.known["m"] = dict(staffed.registry.known["new"])
    staffed.registry.created_ms["m"] = made_ms
    assert shown() == ["new"]
    staffed.access.denied = {"new"}
    assert shown() == []
    staffed.access.denied = {"m"}
    assert shown() == ["new"]
    staffed.access.denied = set()
    del staffed.registry.known["new"]
    assert shown() == ["m"], "deleted: the name that it was last known by"


def test_a_rollback_does_not_wait_for_the_policy_to_be_mended(staffed: Office):
    """Whom the policy let when it was last read makes it, or who may edit where none ever was; that alone."""
    for number in (1, 2):
        staffed.post("/verdicts", staffed.judged(number, "production"), "ci")
        asked = {"version": f"m/{number}", "stage": "production", "reason": "x"}
        assert staffed.post("/promotions", asked, "petra").status == 200

    def unreadable() -> PolicyBook:
        raise InvalidInput("promotion.yaml is wrong", code="wrong-policy", hint=None)

    read = staffed.ledger.policies()
    staffed.ledger = replace(staffed.ledger, policies=unreadable, last_policies=lambda: read)
    body = {"model": "m", "reason": "it is bad", "policy_digest": "sha256:mine"}
    assert code(staffed.post("/rollbacks", body, "ed")) == (403, "not-your-role")
    assert staffed.post("/rollbacks", {**body, "dry_run": True}, "petra").document["version"] == "m/1"
    staffed.ledger = replace(staffed.ledger, last_policies=default_policy)
    assert code(staffed.post("/rollbacks", body, "vera")) == (403, "not-your-role")
    asked = {"version": "m/3", "stage": "production", "reason": "x"}
    assert code(staffed.post("/promotions", asked, "ed")) == (400, "wrong-policy")
    done = staffed.post("/rollbacks", body, "ed").document
    assert done["version"] == "m/1"
    assert "stages and roles are taken from what was read last: the default policy" in done["notes"][0]


def test_nobody_speaks_of_another_model_by_its_old_name(staffed: Office):
    """An engine's word from before somebody else had the name is about the model that had it: its engines say it."""
    staffed.post("/verdicts", staffed.judged(1, "production"), "ci")
    assert staffed.post("/promotions", {"version": "m/1", "stage": "production", "reason": "x"}, "petra").status == 200
    staffed.registry.rename("m", "new")
    staffed.registry.known["m"] = dict(staffed.registry.known["new"])
    staffed.registry.created_ms["m"] = int(staffed.now.timestamp() * 1000) + 1
    spoken = {"beats": [{**beat(1, staffed.now), "since": staffed.now.isoformat()}]}
    staffed.access.denied = {"new"}
    refused = staffed.post("/heartbeats", spoken, "ed")
    assert code(refused) == (403, "not-yours-to-see")
    assert "new" not in refused.text
    assert staffed.heartbeats.all() == ()
    staffed.access.denied = set()
    assert staffed.post("/heartbeats", spoken, "ed").status == 200
    assert [each["model"] for each in staffed.get("/heartbeats", "vera").document["beats"]] == ["new"]


def test_who_serves_has_no_part_in_what_a_verdict_rests_on(office: Office, tmp_path: Path):
    """Verdicts hold on when an engine is listed."""
    listed = Office(tmp_path / "listed", production={"roles": {"engine": ["engine"]}})
    assert look("m", listed.ledger).policy.digest == look("m", office.ledger).policy.digest


def test_a_long_history_is_given_in_pages(office: Office):
    """After a number, at most so many."""
    asked = f"/ledger/records?model_uid={look('m', office.ledger).model_uid}&limit=2&after_seq="
    pages = [office.get(f"{asked}{after}").document["records"] for after in (0, 2, 3)]
    assert [[record["seq"] for record in page] for page in pages] == [[1, 2], [3], []]


RENAMED = ("/models/m/history", "/ledger/records?model_uid=default/1/m", "/ledger/head?model_uid=default/1/m")


@pytest.mark.parametrize("path", RENAMED)
def test_a_renamed_models_history_is_seen_by_whoever_sees_its_new_name(staffed: Office, path: str):
    """MLflow's permissions go with the name; the history learns of a rename only when something is next decided."""
    assert staffed.get(path, "vera").status == 200
    staffed.registry.rename("m", "new")
    staffed.access.denied = {"new"}
    assert code(staffed.get(path, "vera")) == (403, "not-yours-to-see")
    assert "new" not in staffed.get(path, "vera").text
    assert staffed.get("/ledger/models", "vera").document == {"model_uids": []}
    staffed.access.denied = {"m"}
    assert staffed.get(path, "vera").status == 200


def test_who_makes_a_model_under_an_old_name_sees_its_history_and_not_the_others(staffed: Office):
    """The name means the model that has it now, whatever was decided under it before."""
    first = look("m", staffed.ledger).model_uid
    staffed.registry.rename("m", "new")
    staffed.registry.created_ms["m"] = 77
    staffed.registry.known["m"] = {1: replace(staffed.registry.known["new"][1], aliases=frozenset())}
    staffed.access.denied = {"new"}
    refused = staffed.get("/models/m/history", "vera")
    assert code(refused) == (404, "unknown-model"), "nothing was decided yet"
    assert "new" not in refused.document["error"]["message"]
    staffed.decisions.register(parse_ref("m/1"), "made anew")
    (event,) = staffed.get("/models/m/history", "vera").document["events"]
    assert event["reason"] == "made anew"
    assert staffed.get("/ledger/identity?model=m", "vera").document == {"model_uid": "default/77/m"}
    assert code(staffed.get(f"/ledger/identity?model={first}", "vera")) == (403, "not-yours-to-see")
    assert code(staffed.get("/ledger/identity?model=new", "vera")) == (403, "not-yours-to-see")
    staffed.access.denied = set()
    assert staffed.get("/ledger/identity?model=new", "vera").document == {"model_uid": first}


@pytest.mark.parametrize(
    "changed",
    [
        lambda files: [],
        lambda files: files[1:],
        lambda files: [{**files[0], "sha256": "0" * 64}, *files[1:]],
        lambda files: [*files, {"path": "../../x", "size_bytes": 1, "sha256": "0" * 64}],
    ],
)
def test_nobody_has_files_recorded_that_are_not_stored(office: Office, tmp_path: Path, changed: Any):
    """Whoever names others is refused, so that whoever made the version can still register it."""
    office.add_unrecorded(stored(tmp_path / "4"))
    files = json.loads(manifest_of(tmp_path / "4").to_json())
    body = {"version": "m/4", "reason": "x"}
    before = look("m", office.ledger).seq
    assert code(office.post("/registrations", {**body, "manifest": json.dumps(changed(files))})) == (
        409,
        "files-differ",
    )
    assert look("m", office.ledger).seq == before
    assert office.post("/registrations", {**body, "manifest": json.dumps(files)}).document["files"] == len(files)


def test_an_engine_that_follows_an_alias_of_ones_own_is_no_problem(office: Office):
    """The policy has no such stage, and the registry has the alias."""
    office.registry.set_alias("m", "live", 1)
    sent = {"beats": [{**beat(1, office.now), "stage": "live"}]}
    assert office.post("/heartbeats", sent).status == 200
    assert office.get("/status").document["problems"] == []
    office.registry.delete_alias("m", "live")
    assert len(office.get("/status").document["problems"]) == 1


def test_an_engine_that_goes_on_with_what_was_taken_out_is_a_problem(office: Office):
    """The stage stands empty, and its version is served: status says where, and what to do."""
    assert office.moved(1, "production").status == 200
    sent = office.post("/heartbeats", {"beats": [beat(1, office.now)]})
    assert sent.status == 200, sent
    assert office.get("/status").document["problems"] == []
    assert office.post("/demotions", {"version": "m/1", "reason": "out"}).status == 200
    (problem,) = office.get("/status").document["problems"]
    assert "goes on serving m/1, and nothing is in production any more" in problem["problem"]
    assert office.moved(2, "production").status == 200
    assert office.get("/status").document["problems"] == []


def test_a_server_finds_itself_whether_files_run_code(office: Office):
    """Whoever vouches for a verdict is not believed that: an engine loads the files beside others' models."""
    office.files_found = [Finding(check="artifact", outcome=Outcome.FAIL, reason="model.bin is a pickle")]
    answer = office.post("/verdicts", office.judged(1, "staging"))
    assert code(answer) == (403, "files-not-as-said")
    assert "this server finds: model.bin is a pickle" in answer.text
    assert office.post("/verdicts", office.judged(1, "staging", "FAIL")).status == 200
    office.files_found = [Finding(check="artifact", outcome=Outcome.PASS, reason="safe")]
    assert office.moved(1, "staging").status == 200


@pytest.mark.parametrize(
    "path", ["/status", "/ledger/models?prefix=-", "/ledger/head?model_uid=x", "/nothing", "/docs"]
)
def test_nobody_between_keeps_an_answer(office: Office, path: str):
    """A proxy's page of a while ago beside a new one would make an engine serve what was rolled back."""
    assert office.get(path).kept == "no-store"
    assert office.post("/promotions", {}).kept == "no-store"
