"""Twenty decide at the same moment: one order, one winner, and everybody else learns who that was."""

from registry.decide import look
from registry.events import EventKind
from tests.deciding import CONTEXT, MODEL, VERSIONS, Copies, promote_when, require_agreement, start

PROMOTERS = range(VERSIONS - 19, VERSIONS + 1)


def test_twenty_promote_to_the_same_stage_at_once(copies: Copies):
    """Every verdict was given against the version that the winner replaced, and is worth nothing afterwards."""
    place = copies.of("promote", "race")
    at_once = CONTEXT.Barrier(len(PROMOTERS), timeout=120)
    processes = [start(promote_when, place, number, at_once) for number in PROMOTERS]
    for process in processes:
        process.join(180)
    assert [process.exitcode for process in processes] == [0] * len(PROMOTERS)
    said = {number: (place.folder / f"said-{number}").read_text() for number in PROMOTERS}
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
