"""The engine on stand-ins: which way a request takes, what is answered, counted and recorded."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.serving.engine.engine import Engine, Request
from slipway.serving.engine.exchange import Exchange, Recorder
from slipway.serving.engine.metrics import added, exposition
from slipway.serving.engine.outcome import MadeBy
from slipway.serving.engine.routing import Choice, Placement, routed
from slipway.serving.protocols.mlflow.forms import INVOCATIONS, BodyKind
from slipway.serving.scoring.mlflow_protocol import MlflowProtocol, protocols_of
from slipway.serving.table import Table, joined, split
from slipway.serving.target import Target
from slipway.serving.transports.http.answers import Answer, answer_to, header_lines
from tests.doubles.serving_stand_ins import PLAIN, TARGET, Adding, EngineWithLane, Runner, engine_with, loaded

JSON = b"application/json"


def fail() -> Any:
    """Be a model with a bug."""
    raise ValueError("secret 4711")


def ask(engine: EngineWithLane, body: bytes, content_type: bytes = JSON, form: str = "invocations") -> Answer:
    """Ask as a transport does: at once where that can be, else off the loop."""
    asked = request(engine, body, content_type, form)
    (now,) = engine.score_now([asked])
    return answer_to(now or asyncio.run(engine.score(asked)), "id-1")


def request(
    engine: EngineWithLane,
    body: bytes,
    content_type: bytes = JSON,
    form: str = "invocations",
    target: Target = TARGET,
) -> Request:
    """Return a request as a transport makes it."""
    protocol = protocols_of(engine.lane)[form]
    return engine.arrive(engine.placements[target], protocol, body, content_type, routed("id-1", time.perf_counter()))


def now(engine: EngineWithLane, *requests: Request) -> list[Answer | None]:
    """Return the answers to requests that arrive together."""
    return [outcome and answer_to(outcome, "id-1") for outcome in engine.score_now(requests)]


def rows(*pairs: list[float]) -> bytes:
    """Return a plain body."""
    return json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": list(pairs)}}).encode()


def bodies(answers: list[Answer | None]) -> list[bytes | None]:
    """Return what was answered."""
    return [answer and answer.body for answer in answers]


def test_a_plain_request_to_a_quick_model_is_answered_at_once():
    """And says who made the answer."""
    engine, lane = engine_with(loaded())
    (answer,) = now(engine, request(engine, PLAIN))
    assert answer
    assert (answer.status, answer.body) == (200, b'{"predictions":[7]}')
    assert answer.made_by == b"x-slipway-model: cancer\r\nx-slipway-version: 1\r\nx-slipway-variant: stable\r\n"
    assert lane.asked == []


def test_a_model_that_cannot_be_put_in_place_keeps_no_other_from_being_asked():
    """Of those that come into the stage by themselves; one that was named is waited for."""
    other = Target("other", "production")
    for named, ready in (((), True), ((other,), False)):
        engine, _ = engine_with(loaded(), named=named)
        engine.expect(other)
        assert not engine.is_ready()
        engine.expect(other).problem = "other/1 cannot be served"
        assert engine.is_ready() is ready
    nothing = Engine()
    nothing.expect(other).problem = "other/1 cannot be served"
    assert not nothing.is_ready()


def test_a_models_name_ends_no_header():
    """MLflow lets models have names with line breaks."""
    wicked = MadeBy("a\r\nX: 1\r\n\r\n[666] größe", 1, "stable", is_recorded=True)
    assert header_lines(wicked).splitlines()[0] == rb"x-slipway-model: a\r\nX: 1\r\n\r\n[666] gr\xf6\xdfe"
    assert header_lines(wicked).count(b"\r\n") == 3


@pytest.mark.parametrize("body", [b'{"odd":1}', PLAIN + b" " * 20_000])
def test_what_is_not_plain_or_not_small_goes_off_the_loop(body: bytes):
    """It is answered the same."""
    engine, lane = engine_with(loaded())
    assert engine.score_now([request(engine, body)]) == [None]
    assert ask(engine, body).body == b'{"predictions":[7]}'
    assert len(lane.asked) == (1 if body.startswith(b'{"odd"') else 0)


def test_a_slow_model_is_never_asked_on_the_loop():
    """One row of it takes longer than all others would wait."""
    engine, _ = engine_with(loaded(one_row_s=0.01))
    assert engine.score_now([request(engine, PLAIN)]) == [None]


def test_the_event_loop_waits_for_no_other_process():
    """However quick a model in a process of its own was on its example: every other model would wait with it."""
    engine, _ = engine_with(loaded(runner=Runner(lambda: np.array([7]), 1e-9, "isolated")))
    assert engine.score_now([request(engine, PLAIN)]) == [None]
    assert asyncio.run(engine.score(request(engine, PLAIN))).payload == b'{"predictions":[7]}'
    assert ask(engine, PLAIN).status == 200


def test_requests_that_arrive_together_are_predicted_together_and_answered_apart():
    """Each with its own rows' answers, in its place, whatever is between them."""
    adding, other = Adding(), Target("other", "production")
    engine, _ = engine_with(loaded(runner=adding), loaded(lambda: np.array([7]), target=other))
    asked = [
        request(engine, rows([1, 2])),
        request(engine, b'{"odd":1}'),
        request(engine, rows([3, 4], [5, 6])),
        request(engine, rows([1, 1]), target=other),
        request(engine, rows([7, 8])),
    ]
    assert bodies(now(engine, *asked)) == [
        b'{"predictions":[3.0]}',
        None,
        b'{"predictions":[7.0,11.0]}',
        b'{"predictions":[7]}',
        b'{"predictions":[15.0]}',
    ]
    assert adding.asked == [4]


def test_a_row_that_fails_the_model_fails_no_neighbour():
    """It is answered with 500, and they with what they asked."""
    engine, _ = engine_with(loaded(runner=Adding()))
    answers = now(engine, *(request(engine, rows([each, 1])) for each in (1, -1, 2)))
    assert [answer and answer.status for answer in answers] == [200, 500, 200]
    assert bodies(answers)[::2] == [b'{"predictions":[2.0]}', b'{"predictions":[3.0]}']


@pytest.mark.parametrize("kind", ["native", "pyfunc"])
def test_a_model_whose_rows_may_hang_together_is_asked_for_each_request(kind: str):
    """Nobody has shown that it answers a row alike among others."""
    adding = Adding(kind)
    engine, _ = engine_with(loaded(runner=adding))
    engine.score_now([request(engine, rows([1, 2])), request(engine, rows([3, 4]))])
    assert adding.asked == [1, 1]


@pytest.mark.parametrize("others", [0, 2])
def test_what_the_model_cannot_do_without_is_400(others: int):
    """Alone and among others: it is the caller's to mend."""

    class Needing(Adding):
        def predict(self, table: Table, method: str, params: Any) -> Any:
            if (table.numbers < 0).any():
                raise InvalidInput("columns are missing: 'a'", code="missing-columns", hint=None)
            return super().predict(table, method, params)

    engine, _ = engine_with(loaded(runner=Needing()))
    answers = now(engine, *(request(engine, rows([each, 1])) for each in (-1, *range(others))))
    assert [answer and answer.status for answer in answers] == [400] + [200] * others
    assert answer_to(asyncio.run(engine.score(request(engine, rows([-1, 1])))), "id-1").status == 400


def test_text_columns_are_joined_too():
    """Text and missing values stay what they were."""
    tables = [
        Table(np.array([[1.0]]), {"c": np.array(["x"], dtype=object)}),
        Table(np.array([[2.0], [3.0]]), {"c": np.array(["y", None], dtype=object)}),
    ]
    both = joined(tables)
    assert both.numbers.tolist() == [[1.0], [2.0], [3.0]]
    assert both.others["c"].tolist() == ["x", "y", None]
    assert [part.tolist() for part in split(np.arange(3), tables)] == [[0], [1, 2]]


@pytest.mark.parametrize("body", [PLAIN, b'{"odd":1}'])
def test_a_model_that_fails_is_answered_with_500_and_tells_nothing(body: bytes, caplog: pytest.LogCaptureFixture):
    """The log has the reason under the request's id."""
    engine, _ = engine_with(loaded(fail))
    answer = ask(engine, body)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["request_id"]) == (500, "model-failed", "id-1")
    assert b"4711" not in answer.body
    assert "4711" in caplog.text
    assert "id-1" in caplog.text


def test_a_refusal_of_the_lane_is_the_answer():
    """400 for what MLflow refuses, 503 when the lane is full."""
    engine, lane = engine_with(loaded())
    for error, status in (
        (InvalidInput("column 'a' must be a number", code="wrong-input", hint=None), 400),
        (Unavailable("the slow lane is full", code="slow-lane-full", hint=None), 503),
    ):
        lane.refuses = error
        answer = ask(engine, b'{"odd":1}')
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, error.code)


def test_a_method_that_the_model_lacks_is_refused_by_name():
    """Both on plain requests and on others."""
    engine, _ = engine_with(loaded())
    answer = ask(engine, PLAIN[:-1] + b',"params":{"method":"predict_proba"}}')
    assert answer.status == 400
    assert "has no method 'predict_proba'; it has: predict" in json.loads(answer.body)["error"]["message"]


def test_another_content_type_is_415():
    """With what is taken."""
    engine, _ = engine_with(loaded())
    answer = ask(engine, b"a,b\n1,2\n", b"text/plain")
    assert answer.status == 415
    assert "text/csv" in json.loads(answer.body)["error"]["hint"]


def test_the_plain_form_of_features_reaches_mlflow_as_what_it_is():
    """Where its values are not plain."""
    engine, lane = engine_with(loaded())
    assert ask(engine, b'{"features": [1, "x"]}', form="predict").status == 200
    assert lane.asked == [(b'{"features": [1, "x"]}', BodyKind.FEATURES)]


def test_a_new_version_answers_from_the_moment_it_is_put_in_place():
    """The one before is kept warm, the one before that is closed."""
    versions = [loaded(lambda n=n: np.array([n]), number=n) for n in (1, 2, 3)]
    engine, _ = engine_with(*versions)
    placement = engine.placements[TARGET]
    assert (placement.stable, placement.warm["stable"]) == (versions[2], versions[1])
    assert ask(engine, PLAIN).body == b'{"predictions":[3]}'
    engine.put_in_place(versions[1])
    assert (placement.stable, placement.warm["stable"]) == (versions[1], versions[2])
    engine.close()
    versions[0].threads._pool.shutdown(wait=True)
    assert versions[0].runner.closed


def test_every_outcome_is_counted_and_recorded_once():
    """Answered, refused and failed alike, over both ways; the counts also of versions that are gone."""
    seen: list[Exchange] = []
    recorder = Recorder(seen.extend)
    engine, lane = engine_with(loaded(), recorder=recorder)
    ask(engine, PLAIN)
    ask(engine, b'{"odd":1}')
    lane.refuses = InvalidInput("wrong", code="wrong-input", hint=None)
    ask(engine, b'{"odd":1}')
    engine.put_in_place(loaded(fail, number=2))
    ask(engine, PLAIN)
    engine.put_in_place(loaded(number=3))
    recorder.close()
    facts = [(each.version, each.variant, each.lane, each.outcome, each.code, each.n_rows) for each in seen]
    assert facts == [
        (1, "stable", "inline", "answered", None, 1),
        (1, "stable", "slow", "answered", None, 1),
        (1, "stable", "slow", "refused", "wrong-input", 0),
        (2, "stable", "inline", "failed", "model-failed", 1),
    ]
    assert {(each.request_id, each.model, each.stage, each.protocol, each.weight) for each in seen} == {
        ("id-1", "cancer", "production", "invocations", 1.0)
    }
    assert seen[0].predictions.tolist() == [7]
    assert seen[0].rows.numbers.tolist() == [[1.0, 2.0]]
    assert all(0 <= each.understand_s + each.predict_s <= each.seconds for each in seen)
    text = exposition(added([engine.snapshot(), engine.snapshot()])).decode()
    labels = 'model="cancer",protocol="invocations",stage="production",variant="stable",version="1"'
    assert f"slipway_requests_total{{{labels}}} 6.0" in text
    assert f"slipway_rows_total{{{labels}}} 4.0" in text
    assert f'slipway_errors_total{{code="wrong-input",{labels}}} 2.0' in text
    assert f'slipway_request_duration_seconds_bucket{{le="+Inf",{labels}}} 6.0' in text
    assert 'slipway_swaps_total{model="cancer",stage="production"} 6.0' in text


def test_what_nothing_could_answer_is_counted_and_recorded_too():
    """Without a version."""
    seen: list[Exchange] = []
    recorder = Recorder(seen.extend)
    engine, _ = engine_with(recorder=recorder)
    engine.expect(TARGET).preparing = 3
    answer = ask(engine, PLAIN)
    recorder.close()
    assert answer.status == 503
    assert b"yet: version 3 is being prepared" in answer.body
    assert [(each.version, each.outcome, each.code) for each in seen] == [(None, "refused", "nothing-in-place")]
    assert 'slipway_errors_total{code="nothing-in-place",model="cancer"' in exposition(engine.snapshot()).decode()


def test_an_observer_that_fails_fails_no_request():
    """It is counted and logged."""

    def broken(group: object) -> None:
        raise RuntimeError("disk full")

    recorder = Recorder(broken)
    engine, _ = engine_with(loaded(), recorder=recorder)
    assert ask(engine, PLAIN).status == 200
    recorder.close()
    assert engine.snapshot()["slipway_record_failures"] == {"{}": 1}


def test_an_observer_that_blocks_keeps_no_request_waiting_and_what_is_dropped_is_counted():
    """Exactly: what was taken and what was dropped is all that was answered."""
    go_on, seen = threading.Event(), []

    def blocks(group: Sequence[Exchange]) -> None:
        go_on.wait(10)
        seen.extend(group)

    recorder = Recorder(blocks, most_exchanges=3)
    engine, _ = engine_with(loaded(), recorder=recorder)
    assert [ask(engine, PLAIN).status for _ in range(20)] == [200] * 20
    dropped = engine.snapshot()["slipway_exchanges_dropped"]["{}"]
    go_on.set()
    recorder.close()
    assert dropped >= 20 - 2 * 3
    assert len(seen) + dropped == 20


def test_a_queue_is_bounded_in_rows_and_takes_one_that_is_larger_alone():
    """Large requests would fill the memory otherwise."""
    recorder = Recorder(lambda group: go_on.wait(10), most_rows=2)
    go_on = threading.Event()
    engine, _ = engine_with(loaded(), recorder=recorder)
    ask(engine, PLAIN)
    while recorder._waiting:
        time.sleep(0.001)
    ask(engine, rows([1, 2], [3, 4], [5, 6]))
    ask(engine, PLAIN)
    assert [each.n_rows for each in recorder._waiting] == [3]
    assert recorder.n_dropped == 1
    go_on.set()
    recorder.close()


def test_the_chooser_decides_who_answers_once():
    """The seam of canaries and A/B tests: what it is asked, and that it is not asked again for the long way."""
    other, asked = loaded(lambda: np.array([42]), number=9, variant="candidate"), []

    def choose(placement: Placement, context: Any) -> Choice:
        asked.append((placement.target, context.request_id, 0 <= context.draw < 1))
        return Choice(placement.variants["candidate"], 0.25)

    seen: list[Exchange] = []
    recorder = Recorder(seen.extend)
    engine, _ = engine_with(loaded(), other, choose=choose, recorder=recorder)
    for body in (PLAIN, b'{"odd":1}'):
        answer = ask(engine, body)
        assert answer.body == b'{"predictions":[42]}'
        assert b"x-slipway-version: 9\r\nx-slipway-variant: candidate" in answer.made_by
    recorder.close()
    assert asked == [(TARGET, "id-1", True)] * 2
    assert [(each.variant, each.weight) for each in seen] == [("candidate", 0.25)] * 2


@pytest.mark.parametrize("wrong", [ZeroDivisionError("oh"), SystemExit(3), None])
def test_a_chooser_that_fails_leaves_it_to_the_stable_version(wrong: BaseException | None):
    """Its neighbours get their own answers, and the failure is counted."""

    def choose(placement: Placement, context: Any) -> Choice:
        if context.request_id == "bad":
            if wrong:
                raise wrong
            return None  # type: ignore[return-value]
        return Choice(placement.variants["candidate"])

    candidate = loaded(lambda: np.array([42]), number=9, variant="candidate")
    engine, lane = engine_with(loaded(), candidate, choose=choose)
    protocol = MlflowProtocol(INVOCATIONS, lane)
    arrived = [
        engine.arrive(engine.placements[TARGET], protocol, PLAIN, JSON, routed(name, time.perf_counter()))
        for name in ("good", "bad", "also good")
    ]
    assert bodies(now(engine, *arrived)) == [
        b'{"predictions":[42]}',
        b'{"predictions":[7]}',
        b'{"predictions":[42]}',
    ]
    assert engine.snapshot()["slipway_choice_failures"] == {"{}": 1}


def test_a_variant_that_is_taken_out_answers_no_more():
    """Its counts stay."""
    engine, _ = engine_with(loaded(), loaded(number=9, variant="candidate"), choose=of_candidate)
    assert b"x-slipway-version: 9" in ask(engine, PLAIN).made_by
    engine.take_out(TARGET, "candidate")
    assert b"x-slipway-version: 1" in ask(engine, PLAIN).made_by
    assert 'variant="candidate",version="9"} 1.0' in exposition(engine.snapshot()).decode()


def of_candidate(placement: Placement, context: Any) -> Choice:
    """Choose the candidate, which may not be there."""
    return Choice(placement.variants["candidate"])


@pytest.mark.parametrize("raised", [StopIteration(), SystemExit(2), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("one_row_s", [1e-5, 0.1])
def test_whatever_a_model_raises_is_a_500(raised: BaseException, one_row_s: float):
    """What would end the process, and what would never reach who waits, too; on the loop and off it."""

    def wicked() -> Any:
        raise raised

    engine, _ = engine_with(loaded(wicked, one_row_s=one_row_s))

    async def within() -> Answer:
        async with asyncio.timeout(10):
            asked = request(engine, PLAIN)
            (at_once,) = engine.score_now([asked])
            return answer_to(at_once or await engine.score(asked), "id-1")

    assert asyncio.run(within()).status == 500


def test_a_model_that_hangs_stops_no_other_and_says_so():
    """Its callers are answered in time; while all its threads are lost, more are refused at once."""
    go_on = threading.Event()

    def hangs() -> Any:
        go_on.wait(30)
        return np.array([1])

    other = Target("other", "production")
    engine, _ = engine_with(loaded(hangs, one_row_s=1), loaded(one_row_s=1, target=other), predict_within_s=0.2)
    hanging = engine.placements[TARGET]

    async def scenario() -> tuple[list[Answer], Answer, Answer, bool]:
        first = [engine.score(request(engine, PLAIN)) for _ in range(16)]
        waiting = asyncio.gather(*first)
        answer = await engine.score(request(engine, PLAIN, target=other))
        outcomes = await waiting
        stuck = not hanging.is_ready
        at_once = await engine.score(request(engine, PLAIN))
        go_on.set()
        answers = [answer_to(outcome, "id-1") for outcome in outcomes]
        return answers, answer_to(answer, "id-1"), answer_to(at_once, "id-1"), stuck

    first, others, at_once, stuck = asyncio.run(scenario())
    assert others.status == 200
    assert sorted({(each.status, each.error_code) for each in first}) == [
        (503, "model-busy"),
        (504, "prediction-timeout"),
    ]
    assert [each.error_code for each in first].count("prediction-timeout") == 4
    assert stuck
    assert (at_once.status, at_once.error_code) == (503, "model-busy")
    deadline = time.monotonic() + 10
    while not hanging.is_ready:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert asyncio.run(engine.score(request(engine, PLAIN))).payload == b'{"predictions":[1]}'


def test_a_version_stays_open_until_the_last_request_that_it_took_is_answered():
    """Though two others have come since."""
    go_on = threading.Event()
    first = loaded(lambda: np.array([go_on.wait(10)]), one_row_s=1)
    engine, _ = engine_with(first)

    async def scenario() -> tuple[bool, Any]:
        taken = asyncio.create_task(engine.score(request(engine, PLAIN)))
        await asyncio.sleep(0.01)
        engine.put_in_place(loaded(number=2))
        engine.put_in_place(loaded(number=3))
        closed = first.runner.closed
        go_on.set()
        return closed, await taken

    closed_before, outcome = asyncio.run(scenario())
    assert not closed_before
    assert outcome.payload == b'{"predictions":[true]}'
    first.threads._pool.shutdown(wait=True)
    assert first.runner.closed


def test_a_late_answer_says_of_its_own_version_whether_it_was_decided():
    """Whatever came meanwhile; and so do its refusals and failures."""
    go_on = threading.Event()
    undecided = loaded(lambda: np.array([go_on.wait(10)]), one_row_s=1)
    engine, lane = engine_with()
    engine.put_in_place(undecided, is_recorded=False)

    async def scenario() -> Any:
        taken = asyncio.create_task(engine.score(request(engine, PLAIN)))
        await asyncio.sleep(0.01)
        engine.put_in_place(loaded(number=2))
        go_on.set()
        return await taken

    late = answer_to(asyncio.run(scenario()), "id-1")
    assert b"x-slipway-version: 1" in late.made_by
    assert b"x-slipway-recorded: no" in late.made_by
    assert b"x-slipway-recorded" not in ask(engine, PLAIN).made_by
    engine.put_in_place(undecided, is_recorded=False)
    lane.refuses = InvalidInput("wrong", code="wrong-input", hint=None)
    assert b"x-slipway-recorded: no" in ask(engine, b'{"odd":1}').made_by
