"""Twenty decide at the same moment: one order, one winner, and everybody else learns who that was."""

from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.situation import look
from tests.generators.deciding import (
    MODEL,
    VERSIONS,
    Copies,
    all_at_once,
    promote_when,
    require_agreement,
    roll_back_when,
)

PROMOTERS = range(VERSIONS - 19, VERSIONS + 1)


def test_twenty_promote_to_the_same_stage_at_once(copies: Copies):
    """Every verdict was given against the version that the winner replaced, and is worth nothing afterwards."""
    place = copies.of("promote", "race")
    said = all_at_once(promote_when, place, numbers=PROMOTERS)
    (winner,) = [number for number in PROMOTERS if not said[number]]
    for number in set(PROMOTERS) - {winner}:
        assert said[number].startswith("Conflict: "), said[number]
        assert f"staging is now {MODEL}/{winner}, put there by promoter of {winner}" in said[number]
    assert require_agreement(place) == {"production": 1, "staging": winner}
    ledger = place.ledger()
    records = ledger.history.records(look(MODEL, ledger).model_uid)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assessed = {record.version for record in records if record.kind == EventKind.GATE_ASSESSED}
    assert assessed >= set(PROMOTERS), "a verdict was lost"


def test_of_many_bare_rollbacks_at_once_one_is_made(copies: Copies):
    """The others are asked which one they mean, instead of going back further."""
    place = copies.of("rollback", "race")
    said = all_at_once(roll_back_when, place, numbers=range(8))
    assert list(said.values()).count("") == 1
    for words in filter(None, said.values()):
        assert words.startswith(f"Conflict: {MODEL} was rolled back to 1 in production at ")
    assert require_agreement(place) == {"production": 1}
