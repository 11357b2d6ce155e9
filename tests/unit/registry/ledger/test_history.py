"""State is a fold over events, and a chain that was touched shows it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from slipway import command_line
from slipway.registry.errors import Corrupt, InvalidInput
from slipway.registry.ledger.chain import Head, Record, parse_head, record_of, until, verify
from slipway.registry.ledger.events import Event, EventKind, event_from_text, first_hash
from slipway.registry.ledger.model_state import after, fold

START = datetime(2026, 1, 1, tzinfo=UTC)
UID = "default/1/m"


def event(kind: str = EventKind.VERSION_PROMOTED, version: int = 1, stage: str | None = "production", **more) -> Event:
    """Return an event with what matters changed."""
    fields = {
        "kind": kind,
        "model_uid": UID,
        "model": "m",
        "version": version,
        "stage": stage,
        "actor": "ann",
        "actor_authenticated": False,
        "at": START,
        "reason": "why",
    }
    return Event(**{**fields, **more})


def chain(*events: Event) -> list[Record]:
    """Return the events as records, an hour apart."""
    records: list[Record] = []
    before = first_hash(UID)
    for i, each in enumerate(events, start=1):
        records.append(record_of(replace(each, at=START + timedelta(hours=i)), seq=i, before=before))
        before = records[-1].hash
    return records


any_event = st.builds(
    event,
    kind=st.sampled_from(list(EventKind)),
    version=st.integers(1, 4),
    stage=st.sampled_from(["staging", "production"]),
)


def test_a_move_names_who_came_and_who_gave_way():
    """Both have tags that follow from it, whoever applies it after a crash."""
    first, second = event(version=1), event(version=2)
    back = event(EventKind.VERSION_ROLLED_BACK, version=1)
    out = event(EventKind.VERSION_DEMOTED, version=1, stage=None)
    moved = [fold(chain(first, second, back, out)[:n]).moved for n in (1, 2, 3, 4)]
    assert moved == [{1}, {1, 2}, {1, 2}, {1}]


def test_an_event_is_stored_as_canonical_json():
    """Sorted keys, no spaces, UTC: the same event gives the same bytes, and they give the event back."""
    written = event(details={"b": 1, "a": "ü"}).to_text()
    assert written.startswith('{"actor":"ann","actor_authenticated":false,"at":"2026-01-01T00:00:00.000000+00:00"')
    assert json.dumps(json.loads(written), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == written
    assert event_from_text(written).to_text() == written


def test_what_cannot_be_told_from_the_text_is_refused():
    """A time without a zone, a number that JSON does not have, a text that is no event."""
    with pytest.raises(ValueError, match="zone"):
        event(at=datetime(2026, 1, 1)).to_text()
    with pytest.raises(ValueError, match="not JSON compliant"):
        event(details={"x": float("nan")}).to_text()
    with pytest.raises(Corrupt, match="cannot be read"):
        event_from_text('{"kind": "x"}')


@given(st.lists(any_event, max_size=10))
def test_folding_all_at_once_or_one_by_one_is_the_same(events: list[Event]):
    """And events that move nothing can be left out."""
    records = chain(*events)
    state = fold([])
    for record in records:
        state = after(state, record)
    assert state == fold(records)
    for stage, there in state.stages.items():
        assert state.stage_of(there.version) == stage
        assert state.stacks[stage][-1] == there.version


def test_a_kind_of_a_later_slipway_moves_nothing():
    """It is kept, and shown."""
    records = chain(event(), event("VersionBlessed", version=2))
    assert fold(records).stages["production"].version == 1
    assert verify(UID, records) == ()


def test_the_moment_is_told_by_order_and_not_by_clocks():
    """What was decided before the last event of a moment counts, whatever its clock said."""
    records = chain(event(version=1), event(version=2), event(version=3))
    assert until(records, START + timedelta(hours=2, minutes=30)) == records[:2]
    assert until(records, START) == []


def test_an_untouched_chain_verifies():
    """With a head that was noted before."""
    records = chain(event(), event(version=2), event(version=3))
    assert verify(UID, records, [records[1].head]) == ()
    assert parse_head(str(records[1].head)) == records[1].head


@given(st.integers(0, 2), st.integers(0, 400))
def test_one_changed_byte_is_found(place: int, byte: int):
    """In whichever event, at whichever place."""
    records = chain(event(), event(version=2), event(version=3))
    text = records[place].text
    byte %= len(text)
    changed = text[:byte] + ("x" if text[byte] != "x" else "y") + text[byte + 1 :]
    records[place] = replace(records[place], text=changed)
    assert f"event {place + 1}: its text or the event before it was changed" in verify(UID, records)


def test_the_exact_text_is_hashed():
    """Not what it says: the same JSON written in another way is another text."""
    records = chain(event(), event(version=2))
    document = json.loads(records[0].text)
    for other in (f" {records[0].text}", json.dumps(dict(reversed(document.items())), separators=(",", ":"))):
        assert json.loads(other) == document
        assert "event 1: its text or" in verify(UID, [replace(records[0], text=other), records[1]])[0]


def test_an_event_that_was_written_anew_with_its_hash_breaks_the_next():
    """Two that were exchanged, numbers and all, too; and a chain that was moved to another model breaks at once."""
    records = chain(event(), event(version=2), event(version=3))
    anew = record_of(event(version=9), seq=1, before=first_hash(UID))
    assert verify(UID, [anew, *records[1:]]) == ("event 2: its text or the event before it was changed",)
    exchanged = [replace(records[1], seq=1), replace(records[0], seq=2), records[2]]
    assert verify(UID, exchanged)[0] == "event 1: its text or the event before it was changed"
    assert verify("default/2/other", records) == ("event 1: its text or the event before it was changed",)


def test_removed_reordered_and_cut_records_are_named():
    """A cut tail is seen only by somebody who noted the head."""
    records = chain(event(), event(version=2), event(version=3))
    assert verify(UID, [records[0], records[2]])[0] == (
        "event 2: stored with number 3; an event was removed, repeated or moved"
    )
    assert len(verify(UID, [records[1], records[0], records[2]])) >= 2
    assert verify(UID, records[:2]) == ()
    assert verify(UID, records[:2], [records[2].head]) == (
        f"event 3: noted elsewhere as {records[2].hash[:12]}…, and is missing: the end was cut off",
    )


def test_a_history_that_was_written_anew_is_caught_by_a_noted_head():
    """Its chain is whole, and is another one."""
    noted = chain(event(), event(version=2))[1].head
    anew = chain(event(), event(version=3))
    assert verify(UID, anew) == ()
    assert "is another one" in verify(UID, anew, [noted])[0]


@pytest.mark.parametrize("column", [{"kind": "GateAssessed"}, {"model": "other"}, {"version": 2}])
def test_a_column_that_says_other_than_the_text_is_found(column: dict):
    """Events are selected by it, so that it could hide one."""
    records = chain(event())
    assert verify(UID, [replace(records[0], **column)]) == (
        "event 1: its model, kind or version is stored as another than its text says",
    )


@pytest.mark.parametrize("text", ["", "3", "x:" + "0" * 64, "3:abc"])
def test_a_head_that_is_none_is_refused(text: str):
    """With how it is written."""
    with pytest.raises(InvalidInput, match="write SEQ:HASH"):
        parse_head(text)


def test_a_head_prints_as_it_is_read():
    """For notes on paper."""
    assert str(Head(seq=3, hash="a" * 64)) == f"3:{'a' * 64}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--head", f"3:{'a' * 64}"), "--head is what --verify compares with"),
        (("--at", "2026-11-01", "--verify"), "give one"),
        (("--all", "--verify"), "leave them out"),
        (("--most", "3", "--at", "2026-11-01"), "leave them out"),
        (("--most", "3", "--all"), "leave --most out"),
    ],
)
def test_options_that_would_be_ignored_are_refused(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture):
    """A verification that somebody thinks was made, and was not, is worse than none."""
    assert command_line.run(["history", "m", *words]) == 2
    assert said in capsys.readouterr().err
