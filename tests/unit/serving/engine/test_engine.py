"""The engine on stand-ins: which way a request takes, what is answered, counted and recorded."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.serving.engine.answer import Answer
from slipway.serving.engine.engine import Engine, Exchange, Request, Slot, header_lines
from slipway.serving.engine.metrics import added, exposition
from slipway.serving.protocols.mlflow.forms import INVOCATIONS, PREDICT, BodyKind
from slipway.serving.table import Table, joined, split
from slipway.serving.target import Target
from tests.doubles.serving_stand_ins import PLAIN, TARGET, Adding, engine_with, loaded

JSON = b"application/json"


def fail() -> Any:
    """Be a model with a bug."""
    raise ValueError("secret 4711")


def ask(engine: Engine, body: bytes, content_type: bytes = JSON, form: Any = INVOCATIONS) -> Any:
    """Ask as the HTTP side does: at once where that can be, else off the loop."""
    asked = request(engine, body, content_type, form)
    (now,) = engine.score_now([asked])
    return now or asyncio.run(engine.score(asked))


def request(
    engine: Engine, body: bytes, content_type: bytes = JSON, form: Any = INVOCATIONS, target: Target = TARGET
) -> Request:
    """Return a request as the HTTP side makes it."""
    return Request(engine.slots[target], form, body, content_type, "id-1", time.perf_counter())


def rows(*pairs: list[float]) -> bytes:
    """Return a plain body."""
    return json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": list(pairs)}}).encode()


def bodies(answers: list[Answer | None]) -> list[bytes | None]:
    """Return what was answered."""
    return [answer and answer.body for answer in answers]


def test_a_plain_request_to_a_quick_model_is_answered_at_once():
    """And says who made the answer."""
    engine, lane = engine_with(loaded())
    (answer,) = engine.score_now([request(engine, PLAIN)])
    assert answer
    assert (answer.status, answer.body) == (200, b'{"predictions":[7]}')
    assert answer.made_by == b"x-slipway-model: cancer\r\nx-slipway-version: 1\r\nx-slipway-variant: stable\r\n"
    assert lane.asked == []


def test_a_model_that_cannot_be_put_in_place_keeps_no_other_from_being_asked():
    """Of those that come into the stage by themselves; one that was named is waited for."""
    other = Target("other", "production")
    for named, ready in (((), True), ((other,), False)):
        engine, _ = engine_with(loaded(), named=named)
        assert engine.is_ready()
        engine.slots[other] = Slot(target=other)
        assert not engine.is_ready()
        engine.slots[other].problem = "other/1 cannot be served"
        assert engine.is_ready() is ready
    nothing = Engine(engine_with()[1])
    nothing.slots[other] = Slot(target=other, problem="other/1 cannot be served")
    assert not nothing.is_ready()


def test_a_models_name_ends_no_header():
    """MLflow lets models have names with line breaks."""
    made = loaded()
    wicked = replace(made, target=Target("a\r\nX: 1\r\n\r\n[666] größe", "production"))
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
    assert bodies(engine.score_now(asked)) == [
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
    answers = engine.score_now([request(engine, rows([each, 1])) for each in (1, -1, 2)])
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
    answers = engine.score_now([request(engine, rows([each, 1])) for each in (-1, *range(others))])
    assert [answer and answer.status for answer in answers] == [400] + [200] * others
    assert asyncio.run(engine.score(request(engine, rows([-1, 1])))).status == 400


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
    assert ask(engine, b'{"features": [1, "x"]}', form=PREDICT).status == 200
    assert lane.asked == [(b'{"features": [1, "x"]}', BodyKind.FEATURES)]


def test_a_new_version_answers_from_the_moment_it_is_put_in_place():
    """The one before is kept warm, the one before that is closed."""
    versions = [loaded(lambda n=n: np.array([n]), number=n) for n in (1, 2, 3)]
    engine, _ = engine_with(*versions)
    slot = engine.slots[TARGET]
    assert (slot.current, slot.warm) == (versions[2], versions[1])
    assert ask(engine, PLAIN).body == b'{"predictions":[3]}'
    engine.put_in_place(versions[1])
    assert (slot.current, slot.warm) == (versions[1], versions[2])
    engine.close()
    engine._pool.shutdown(wait=True)
    assert versions[0].runner.closed


def test_every_answer_is_counted_and_recorded_once():
    """Requests, rows, errors and times, over both ways, also of versions that are gone."""
    seen: list[Exchange] = []
    engine, lane = engine_with(loaded(), record=seen.append)
    ask(engine, PLAIN)
    ask(engine, b'{"odd":1}')
    lane.refuses = InvalidInput("wrong", code="wrong-input", hint=None)
    ask(engine, b'{"odd":1}')
    assert [each.request_id for each in seen] == ["id-1", "id-1"]
    engine.put_in_place(loaded(number=2))
    engine.put_in_place(loaded(number=3))
    text = exposition(added([engine.snapshot(), engine.snapshot()])).decode()
    labels = 'model="cancer",protocol="invocations",stage="production",variant="stable",version="1"'
    assert f"slipway_requests_total{{{labels}}} 6.0" in text
    assert f"slipway_rows_total{{{labels}}} 4.0" in text
    assert f'slipway_errors_total{{code="wrong-input",{labels}}} 2.0' in text
    assert f'slipway_request_duration_seconds_bucket{{le="+Inf",{labels}}} 6.0' in text
    assert 'slipway_swaps_total{model="cancer",stage="production"} 6.0' in text


def test_an_observer_that_fails_fails_no_request():
    """It is counted and logged."""

    def broken(exchange: Exchange) -> None:
        raise RuntimeError("disk full")

    engine, _ = engine_with(loaded(), record=broken)
    assert ask(engine, PLAIN).status == 200
    assert engine.snapshot()["slipway_record_failures"] == {"{}": 1}


def test_the_chooser_decides_who_answers():
    """The seam of canaries and A/B tests."""
    other = loaded(lambda: np.array([42]), number=9)
    engine, _ = engine_with(loaded(), choose=lambda slot, request_id: other)
    answer = ask(engine, PLAIN)
    assert answer.body == b'{"predictions":[42]}'
    assert b"x-slipway-version: 9" in answer.made_by
