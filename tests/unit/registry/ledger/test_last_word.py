"""Only the last verdict counts: what was found later about the same thing replaces what was found before."""

from collections.abc import Sequence

import pytest

from slipway.registry.errors import Conflict
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.last_word import counting, require_last_word
from tests.unit.registry.ledger.test_history import chain, event


def verdict(outcome: str, actor: str = "ci", *, champion: int | None = 1, **digests: str) -> Event:
    """Return a verdict on m/1 for production."""
    rests_on = {"manifest": "files", "policy": "policy", "champion_manifest": "theirs", **digests}
    details = {"outcome": outcome, "champion": champion, "findings": []}
    return event(EventKind.GATE_ASSESSED, actor=actor, digests=rests_on, details=details)


def is_last(first: Event, *later: Event, verdict_by: Sequence[str] | None = None) -> bool:
    """Return whether the first of some verdicts may still be decided on."""
    try:
        require_last_word(chain(first, *later), "production", verdict_by, seq=1)
    except Conflict:
        return False
    return True


@pytest.mark.parametrize("later", ["FAIL", "INCONCLUSIVE", "ERROR", "PASS"])
def test_a_pass_is_replaced_by_whatever_was_found_later(later: str):
    """Also by another PASS: that is the one to decide on."""
    assert is_last(verdict("PASS"))
    with pytest.raises(Conflict, match=f"event 1 was replaced by that of event 2, by ci: {later}"):
        require_last_word(chain(verdict("PASS"), verdict(later)), "production", None, seq=1)


def test_what_was_found_about_something_else_replaces_nothing():
    """Other files, another policy, another champion, another stage."""
    others = [
        verdict("FAIL", manifest="other"),
        verdict("FAIL", policy="other"),
        verdict("FAIL", champion_manifest="other"),
        verdict("FAIL", champion=None),
        event(EventKind.GATE_ASSESSED, stage="staging", details={"outcome": "FAIL", "champion": 1}),
        event(EventKind.VERSION_APPROVED),
    ]
    assert is_last(verdict("PASS"), *others)
    assert not is_last(verdict("PASS"), *others, verdict("FAIL", rows="others"))


def test_whose_verdicts_do_not_count_neither_help_nor_block():
    """A FAIL by somebody who is not listed is no way to stop others."""
    assert is_last(verdict("PASS"), verdict("FAIL", "mallory"), verdict_by=("ci",))
    assert not is_last(verdict("PASS"), verdict("FAIL", "ci"), verdict("PASS", "mallory"), verdict_by=("ci",))
    records = chain(verdict("PASS", "ci"), verdict("FAIL", "mallory"))
    assert [each.seq for each in counting(records, "production", ("ci",))] == [1]
    assert [each.seq for each in counting(records, "production", None)] == [1, 2]
