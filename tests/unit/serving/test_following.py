"""What follows from a look at the registry."""

from serving.following import RETRY_AT_MOST_S, Followed, Step, failed, next_step, succeeded
from serving.prepared import Prepared
from serving.target import Sighting, Target

TARGET = Target("cancer", "production")
ONE, TWO = (Sighting(identity="default/1", number=n) for n in (1, 2))


def prepared(seen: Sighting) -> Prepared:
    """Return a version that was prepared."""
    return Prepared(identity=seen.identity, number=seen.number, digest="d", folder="f", runner="r", runner_digest="rd")


def in_place(seen: Sighting) -> Followed:
    """Return a target with a version in place."""
    return succeeded(Followed(target=TARGET), prepared(seen))


def test_a_new_version_is_prepared_and_the_one_in_place_is_kept():
    """Whether there was one before or not."""
    assert next_step(Followed(target=TARGET), ONE, 0.0)[0] is Step.PREPARE
    assert next_step(in_place(ONE), TWO, 0.0)[0] is Step.PREPARE
    assert next_step(in_place(ONE), ONE, 0.0)[0] is Step.KEEP


def test_a_recreated_model_with_the_same_number_is_another_version():
    """Numbers start at 1 again when a model is deleted and made anew."""
    assert next_step(in_place(ONE), Sighting(identity="default/9", number=1), 0.0)[0] is Step.PREPARE


def test_an_emptied_stage_keeps_what_answers_and_says_so():
    """An alias that somebody deleted must not stop production."""
    step, followed = next_step(in_place(ONE), None, 0.0)
    assert step is Step.KEEP
    assert followed.in_place is not None
    assert followed.problem == "no version of cancer is in production in the registry; keeping 1"
    assert next_step(followed, ONE, 0.0)[1].problem is None


def test_a_version_that_failed_is_tried_again_later_and_later():
    """The one in place goes on, and another version is tried at once."""
    followed = failed(in_place(ONE), TWO, "its files are gone", 100.0)
    assert followed.problem == "cancer/2 cannot be put in place: its files are gone; 1 goes on"
    assert next_step(followed, TWO, followed.retry_at - 0.1)[0] is Step.KEEP
    assert next_step(followed, TWO, followed.retry_at)[0] is Step.PREPARE
    assert next_step(followed, Sighting(identity="default/1", number=3), 100.0)[0] is Step.PREPARE
    waits = []
    for _ in range(12):
        followed = failed(followed, TWO, "still", 0.0)
        waits.append(followed.retry_at)
    assert waits == sorted(waits)
    assert waits[-1] == RETRY_AT_MOST_S


def test_going_back_to_the_version_in_place_ends_the_problem():
    """Whoever rolls back after a broken promotion has a clean status again."""
    followed = failed(in_place(ONE), TWO, "broken", 0.0)
    assert next_step(followed, ONE, 0.0) == (Step.KEEP, in_place(ONE))
