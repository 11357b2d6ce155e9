"""Whatever a request holds, the API answers it: by its OpenAPI document, on real databases."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from slipway.registry.engines.sql_heartbeats import SqlClaims, SqlHeartbeats
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.situation import look
from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.server.app_limits import MAX_BODY_BYTES, BoundedBody
from slipway.registry.text import require_storable
from slipway.registry.version import parse_ref
from tests.doubles.asgi import ask
from tests.servers.guarded import Answer
from tests.unit.registry.server.test_app import Office, beat

UNDERSTOOD = {200, 400, 403, 404, 405, 409, 413}
NUMBERS = [0, -1, 2**31 - 1, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, 1e308, True]
TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "m\udfff/1",
    "m/99999999999999999999",
    "m/0",
    "m/-1",
    "m/\u0661",
    "m/1\0",
    "m/1/1",
    "m@\0",
    "m@production",
    "default/1",
    "default/x/m",
    "default/99999999999999999999999/m",
    "default/1/m\0",
    "default/1/",
    "\u0661:abc",
    f"{10**30}:{'a' * 64}",
    "9" * 5_000,
    "x" * 1_000_000,
    "\x1b[2J",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-11-01",
    "NaN",
    "%",
    "_",
    "🦉",
]
DEEP: Any = "x"
for _ in range(300):
    DEEP = {"a": [DEEP]}
ODD = [None, [], {}, [[]], DEEP, {"low": "x", "threshold": []}, {"slices": 5}, {"slices": [1]}, {"\0": 1}]
HUGE_FINDING = {"check": "lineage", "outcome": "FAIL", "reason": "x", "measured": 10**400, "n": 10**400}
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"\xff"',
    b"\x00",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"model": "m", "reason": NaN}',
    b'{"\\ud800": 1}',
    b'{"model": "m", "reason": "x", "from_version": 1e999}',
    b'{"model": "m", "reason": "x", "from_version": ' + b"9" * 10_000 + b"}",
]


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Office:
    """Return an office whose history and heartbeats are in a real database; the first version is in production."""
    url = f"sqlite:///{tmp_path}/h.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").create_database()
    made = Office(tmp_path)
    made.ledger = replace(made.ledger, history=open_history(url, beside_mlflow=False))
    made.heartbeats, made.claims = SqlHeartbeats(url), SqlClaims(url)
    for number in (1, 2, 3):
        made.decisions.register(parse_ref(f"m/{number}"), "trained")
    made.moved(1, "production")
    return made


def described(office: Office) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and operation of every route in the OpenAPI document."""
    paths = office.api.openapi()["paths"]
    return [(method.upper(), path, how) for path, each in paths.items() for method, how in each.items()]


def right_values(office: Office) -> dict[str, Any]:
    """Return a value for each field that a request may have, with which it could be right."""
    judged = office.judged(2, "staging")
    return {
        **judged,
        "version": "m/2",
        "model": "m",
        "stage": "staging",
        "reason": "because",
        "to": "staging",
        "actor": "ann",
        "engine": "e",
        "beats": [beat(1, office.now)],
        "model_uid": look("m", office.ledger).model_uid,
        "dry_run": True,
        "limit": 10,
    }


def asked(draw: Any, office: Office, method: str, path: str, how: dict[str, Any]) -> Answer:
    """Send a request of which something is wrong, or all."""
    right = right_values(office)
    wrong = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(ODD), st.text(max_size=5))

    def chosen(name: str) -> Any:
        return draw(st.just(right[name]) | wrong) if name in right else draw(wrong)

    for part in how.get("parameters", []):
        if part["in"] == "path":
            path = path.replace(
                f"{{{part['name']}}}", quote(str(chosen(part["name"]))[:100], safe="", errors="replace")
            )
    query = [p["name"] for p in how.get("parameters", []) if p["in"] == "query"]
    given_ = {name: str(chosen(name))[:2000] for name in query if draw(st.booleans())}
    path += "?" + "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in given_.items())
    body: Any = None
    if "requestBody" in how:
        schema = office.api.openapi()["components"]["schemas"][
            how["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        ]
        body = {name: chosen(name) for name in schema["properties"] if draw(st.integers(0, 9))}
        body |= draw(st.sampled_from([{}, {}, {}, {"\ud800": 1}, {"surprise": DEEP}]))
    content = draw(st.sampled_from(BODIES)) if draw(st.integers(0, 9)) == 0 else body
    kind = draw(st.sampled_from(["application/json"] * 9 + ["text/plain", "application/x-www-form-urlencoded", "\xff"]))
    return ask(office.api, method, path, content, {"content-type": kind})


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_is_a_fault_of_the_servers(office: Office, data: st.DataObject):
    """Every route of the OpenAPI document answers every value of every field in the one shape, and all goes on."""
    method, path, how = data.draw(st.sampled_from(described(office)))
    answer = asked(data.draw, office, method, path, how)
    assert answer.status in UNDERSTOOD, answer.text[:2000]
    if answer.status != 200:
        error = answer.document["error"]
        assert set(error) == {"kind", "code", "message", "hint"}
        assert len(answer.text) < 20_000
    assert office.get("/status").document["problems"] == []
    records = office.ledger.history.records(look("m", office.ledger).model_uid)
    assert verify(look("m", office.ledger).model_uid, records) == ()
    for record in records:
        require_storable({"reason": record.event.reason, "details": record.event.details}, "the history")


def wrong_requests() -> Iterator[tuple[str, str, Any]]:
    """Yield requests that were answered with 500 or 503."""
    yield "GET", f"/ledger/records?model_uid=default/1/m&version={10**30}", None
    yield "GET", f"/ledger/records?model_uid=default/1/m&after_seq={2**63}", None
    yield "GET", "/ledger/records?model_uid=default/1/m&after_seq=-1", None
    yield "GET", "/ledger/records?model_uid=default/1/m%00", None
    yield "GET", "/ledger/anchors?model_uid=default/x", None
    yield "GET", "/ledger/models?prefix=%00", None
    yield "GET", "/models/m/history?at=yesterday", None
    yield "GET", "/models/m%00/history", None
    yield "GET", f"/models/m/history?verify=true&head={'9' * 5000}:{'a' * 64}", None
    yield "GET", f"/models/m/history?verify=true&head=\u0661:{'a' * 64}", None
    yield "POST", "/rollbacks", {"model": "m\0", "reason": "x"}
    yield "POST", "/rollbacks", {"model": "m", "reason": "x", "to_version": 0}
    yield "POST", "/rollbacks", {"model": "m", "reason": "x" * 5_000_000}
    yield "POST", "/rollbacks", {"model": "m", "reason": "a\0b"}
    yield "POST", "/rollbacks", {"model": "m", "reason": "x", "actor": "a\0b"}
    yield "POST", "/rollbacks", {"model": "m", "reason": "x", "actor": "x" * 300}
    yield "POST", "/archivals", {"version": f"m/{10**19}", "reason": "x"}
    yield "POST", "/archivals", {"version": "m/\u0661", "reason": "x"}
    yield "POST", "/heartbeats", {"beats": [{**{"engine": "e" * 201}, "model": "m"}]}
    yield "POST", "/registrations", {"version": "m/2", "reason": "x", "manifest": '[{"path": ["a"]}]'}
    yield "POST", "/registrations", {"version": "m/2", "reason": "x", "manifest": '{"a": 1}'}
    for odd in (0, 1, "false", "true"):
        yield "POST", "/rollbacks", {"model": "m", "reason": "x", "dry_run": odd}
        yield "POST", "/rollbacks", {"model": "m", "reason": "x", "skip_damaged": odd}
    for odd in (True, "1", 1.0):
        yield "POST", "/rollbacks", {"model": "m", "reason": "x", "to_version": odd}


@pytest.mark.parametrize(("method", "path", "body"), list(wrong_requests()))
def test_what_no_database_could_be_asked_is_wrong_in_the_request(office: Office, method: str, path: str, body: Any):
    """400, and nothing is recorded."""
    before = look("m", office.ledger).seq
    answer = ask(office.api, method, path, body)
    assert (answer.status, answer.document["error"]["kind"]) == (400, "InvalidInput"), answer.text[:500]
    assert look("m", office.ledger).seq == before


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "m"},
        {"version": "m/abc"},
        {"at": "now"},
        {"at": "0001-01-01T00:00:00+23:59"},
        {"champion": 10**30},
        {"digests": {"rows": "a\0b"}},
        {"findings": [HUGE_FINDING]},
        {"findings": [{"check": "lineage", "outcome": "FAIL", "reason": "x" * 5_000}]},
        {"findings": [{"check": "lineage", "outcome": "FAIL", "reason": "x", "details": {"a": {"b": "\0"}}}]},
        {"findings": [{"check": "lineage", "outcome": "FAIL", "reason": "x", "details": {"a": "x" * 200_000}}]},
        {"findings": [{"check": "lineage", "outcome": "FAIL", "reason": "x", "details": {"a": DEEP}}]},
    ],
)
def test_a_verdict_that_could_not_be_kept_is_wrong_in_the_request(office: Office, changes: dict[str, Any]):
    """Also what is deep inside of its findings."""
    before = look("m", office.ledger).seq
    judged = office.judged(2, "staging")
    digests = judged["digests"] | changes.get("digests", {})
    answer = office.post("/verdicts", {**judged, **changes, "digests": digests})
    assert answer.status == 400, answer.text[:500]
    assert look("m", office.ledger).seq == before


@pytest.mark.parametrize("details", [{"low": "x", "threshold": []}, {"slices": 5}, {"slices": [{"low": 10**400}]}])
def test_a_verdict_whose_details_cannot_be_drawn_is_recorded_with_its_report(office: Office, details: dict[str, Any]):
    """What clients put there is their own."""
    judged = office.judged(2, "staging")
    judged["findings"] = [{**each, "details": details} for each in judged["findings"]]
    answer = office.post("/verdicts", judged)
    assert answer.status == 200, answer.text[:500]
    assert any(path.endswith(".html") for _, path in office.registry.texts)


def test_a_body_that_is_too_large_is_not_kept(office: Office):
    """413 in the one shape."""
    answer = ask(office.api, "POST", "/rollbacks", b" " * (MAX_BODY_BYTES + 1))
    assert (answer.status, answer.document["error"]["code"]) == (413, "request-too-large")
    fits = ask(office.api, "POST", "/rollbacks", b" " * (MAX_BODY_BYTES - 2) + b"{}")
    assert (fits.status, fits.document["error"]["code"]) == (400, "wrong-request")


def test_a_body_that_never_ends_is_not_read_for_ever():
    """Whoever sends on after many times as much as may be sent gets an answer."""
    sent: list[dict[str, Any]] = []
    chunks = iter(range(1_000_000))

    async def receive() -> dict[str, Any]:
        next(chunks)
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(BoundedBody(nobody, max_bytes=100)({"type": "http", "headers": []}, receive, send))
    assert sent[0]["status"] == 413
    assert next(chunks) < 100


async def nobody(*_: object) -> None:
    """Be asked for nothing."""
    raise AssertionError("the request was passed on")
