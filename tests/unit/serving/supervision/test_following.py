"""What follows from a look at the registry."""

from dataclasses import replace

import pytest

from slipway.registry.versions.aliases import AliasHolder
from slipway.registry.versions.occupants import StageView
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.supervision.following import (
    RETRY_AT_MOST_S,
    Followed,
    NextStep,
    Seen,
    failed,
    problem_of,
    seen_of,
    succeeded,
)
from slipway.serving.supervision.following import next_step as step_after
from slipway.serving.target import Sighting, Target, Variant

TARGET = Target("cancer", "production")
ONE, TWO = (Sighting(identity="default/1", number=n) for n in (1, 2))


def next_step(followed: Followed, sighting: Sighting | None, now: float) -> tuple[NextStep, Followed]:
    """Return what follows from a version that alias and history agree on."""
    return step_after(followed, Seen(sighting=sighting), now)


def held(number: int) -> AliasHolder:
    """Return a version as the registry shows it."""
    return AliasHolder(identity="default/1", number=number)


def prepared(seen: Sighting) -> Prepared:
    """Return a version that was prepared."""
    return Prepared(identity=seen.identity, number=seen.number, digest="d", folder="f", runner="r", runner_digest="rd")


def in_place(seen: Sighting) -> Followed:
    """Return a target with a version in place."""
    return succeeded(Followed(variant=Variant(TARGET)), prepared(seen))


def test_a_new_version_is_prepared_and_the_one_in_place_is_kept():
    """Whether there was one before or not."""
    assert next_step(Followed(variant=Variant(TARGET)), ONE, 0.0)[0] is NextStep.PREPARE
    assert next_step(in_place(ONE), TWO, 0.0)[0] is NextStep.PREPARE
    assert next_step(in_place(ONE), ONE, 0.0)[0] is NextStep.KEEP


def test_a_recreated_model_with_the_same_number_is_another_version():
    """Numbers start at 1 again when a model is deleted and made anew."""
    assert next_step(in_place(ONE), Sighting(identity="default/9", number=1), 0.0)[0] is NextStep.PREPARE


def test_other_files_of_the_same_version_are_not_what_was_chosen():
    """They were prepared before anybody recorded which files are the version's."""
    assert next_step(in_place(ONE), replace(ONE, manifest="d"), 0.0)[0] is NextStep.KEEP
    assert next_step(in_place(ONE), replace(ONE, manifest="e"), 0.0)[0] is NextStep.PREPARE


@pytest.mark.parametrize(
    "then",
    [
        Seen(sighting=None),
        Seen(sighting=TWO),
        Seen(sighting=None, withheld="not decided"),
        Seen(sighting=None, dispute="the history has nothing there"),
    ],
    ids=["alias removed", "another decided", "withheld", "disputed"],
)
def test_what_no_decision_chose_stays_so_while_it_serves(then: Seen):
    """What is seen of another version says nothing of the one that serves."""
    alone = replace(in_place(ONE), is_recorded=False)
    assert not step_after(alone, then, 0.0)[1].is_recorded
    assert step_after(alone, Seen(sighting=ONE), 0.0)[1].is_recorded, "adopted"
    assert not step_after(in_place(ONE), Seen(sighting=ONE, is_recorded=False), 0.0)[1].is_recorded
    assert step_after(in_place(ONE), Seen(sighting=TWO, is_recorded=False), 0.0)[1].is_recorded


def test_an_emptied_stage_keeps_what_answers_and_says_so():
    """An alias that somebody deleted must not stop production."""
    step, followed = next_step(in_place(ONE), None, 0.0)
    assert step is NextStep.KEEP
    assert followed.in_place is not None
    assert followed.problem == "no version of cancer is in production in the registry; keeping 1"
    assert next_step(followed, ONE, 0.0)[1].problem is None


def test_a_version_that_failed_is_tried_again_later_and_later():
    """The one in place goes on, and another version is tried at once."""
    followed = failed(in_place(ONE), TWO, "its files are gone", 100.0)
    assert followed.problem == "cancer/2 cannot be served: its files are gone; 1 goes on"
    assert next_step(followed, TWO, followed.retry_at - 0.1)[0] is NextStep.KEEP
    assert next_step(followed, TWO, followed.retry_at)[0] is NextStep.PREPARE
    assert next_step(followed, Sighting(identity="default/1", number=3), 100.0)[0] is NextStep.PREPARE
    waits = []
    for _ in range(12):
        followed = failed(followed, TWO, "still", 0.0)
        waits.append(followed.retry_at)
    assert waits == sorted(waits)
    assert waits[-1] == RETRY_AT_MOST_S


def test_going_back_to_the_version_in_place_ends_the_problem():
    """Whoever rolls back after a broken promotion has a clean status again."""
    followed = failed(in_place(ONE), TWO, "broken", 0.0)
    assert next_step(followed, ONE, 0.0) == (NextStep.KEEP, replace(in_place(ONE), is_known=True))


def seen(placed: StageView | None, *, require_history: bool = False) -> Seen:
    """Return what a look leads to."""
    return seen_of(TARGET, placed, require_history=require_history)


@pytest.mark.parametrize("require_history", [False, True])
def test_what_alias_and_history_agree_on_is_served(require_history: bool):
    """Nothing is to be said of it."""
    placed = StageView(holder=held(1), occupant=held(1), number=1, is_recorded=True, manifest="d")
    assert seen(placed, require_history=require_history) == Seen(sighting=replace(ONE, manifest="d"))


@pytest.mark.parametrize("holder", [held(2), None])
def test_where_they_disagree_the_history_is_served(holder: AliasHolder | None):
    """However the alias came to point elsewhere; from the second look on that is a problem."""
    found = seen(StageView(holder=holder, occupant=held(1), number=1, is_recorded=True))
    assert found.sighting == ONE
    assert "the history has 1 there, which is served" in str(found.dispute)
    step, once = step_after(in_place(ONE), found, 0.0)
    assert (step, problem_of(once)) == (NextStep.KEEP, None)
    step, twice = step_after(once, found, 1.0)
    assert (step, problem_of(twice)) == (NextStep.KEEP, found.dispute)
    agreed = Seen(sighting=ONE)
    assert problem_of(step_after(twice, agreed, 2.0)[1]) is None
    assert step_after(in_place(TWO), found, 0.0)[0] is NextStep.PREPARE


def test_an_alias_puts_nothing_into_a_stage_that_the_history_emptied():
    """What is in place goes on, as when the alias is gone."""
    found = seen(StageView(holder=held(2), is_recorded=True))
    step, followed = step_after(in_place(ONE), found, 0.0)
    assert (step, followed.in_place) == (NextStep.KEEP, prepared(ONE))
    assert "points at 2, and the history has nothing there; keeping 1" in str(problem_of(followed))
    assert seen(StageView(holder=None, is_recorded=True)) == Seen(sighting=None, is_emptied=True)


@pytest.mark.parametrize("require_history", [False, True])
@pytest.mark.parametrize("placed", [None, StageView(holder=None), StageView(holder=held(1))])
def test_what_was_chosen_by_a_lost_decision_goes_on_and_is_marked(placed: StageView | None, require_history: bool):
    """After a restore to before it; when the history has it again, or another, all is as ever."""
    found = seen(placed, require_history=require_history)
    step, followed = step_after(in_place(ONE), found, 0.0)
    for _ in range(2):
        assert (step, followed.in_place, followed.is_recorded) == (NextStep.KEEP, prepared(ONE), False)
        step, followed = step_after(followed, found, 0.0)
    back = step_after(followed, seen(StageView(holder=held(1), occupant=held(1), number=1, is_recorded=True)), 0.0)[1]
    assert (back.is_recorded, back.is_lost) == (True, False)
    alone = replace(in_place(ONE), is_recorded=False)
    assert not step_after(alone, found, 0.0)[1].is_lost


@pytest.mark.parametrize("holder", [None, held(2)])
def test_what_memory_alone_has_goes_when_the_history_has_nothing_there(holder: AliasHolder | None):
    """It was taken out before this engine began; what a decision had put there since goes on."""
    emptied = seen(StageView(holder=holder, is_recorded=True))
    remembered = replace(in_place(ONE), is_from_memory=True)
    step, followed = step_after(remembered, emptied, 0.0)
    assert (step, followed.in_place) == (NextStep.TAKE_OUT, None)
    assert str(problem_of(followed)).endswith("nothing is served")
    confirmed = step_after(remembered, Seen(sighting=ONE), 0.0)[1]
    assert step_after(confirmed, emptied, 0.0)[0] == NextStep.KEEP
    assert step_after(remembered, Seen(sighting=None), 0.0)[0] == NextStep.KEEP


def test_a_version_that_is_gone_is_replaced_by_no_other():
    """The history has it there, and it was deleted."""
    found = seen(StageView(holder=held(2), number=1, is_recorded=True))
    step, followed = step_after(in_place(ONE), found, 0.0)
    assert step is NextStep.KEEP
    assert "the history has 1 in production, and that version of cancer is gone" in str(problem_of(followed))


def test_what_the_history_knows_nothing_of_is_served_as_unrecorded():
    """Whoever sets aliases by hand is still served, and it is said."""
    found = seen(StageView(holder=held(1)))
    assert (found.sighting, found.is_recorded) == (ONE, False)
    step, followed = step_after(Followed(variant=Variant(TARGET)), found, 0.0)
    assert (step, followed.is_recorded) == (NextStep.PREPARE, False)
    assert not succeeded(followed, prepared(ONE)).is_recorded


def test_where_the_history_is_required_it_is_not_served():
    """The problem names both ways on."""
    found = seen(StageView(holder=held(2)), require_history=True)
    step, followed = step_after(in_place(ONE), found, 0.0)
    assert (step, followed.in_place) == (NextStep.KEEP, prepared(ONE))
    said = str(problem_of(followed))
    assert "cancer/2 has the alias production, and the history knows nothing of it" in said
    assert "slipway adopt cancer@production" in said
    assert "require_history: false" in said


def test_a_failure_and_a_dispute_are_both_said():
    """One does not hide the other."""
    found = Seen(sighting=TWO, dispute="they disagree")
    _, followed = step_after(in_place(ONE), found, 0.0)
    _, followed = step_after(failed(followed, TWO, "broken", 0.0), found, 0.0)
    assert problem_of(followed) == "cancer/2 cannot be served: broken; 1 goes on; they disagree"
