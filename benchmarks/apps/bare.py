"""The limit: our HTTP stack, reading the same body and sending fixed bytes, without a model."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import uvicorn
import uvloop

from slipway.serving.engine.engine import Request
from slipway.serving.engine.outcome import MadeBy, Outcome, Predicted
from slipway.serving.engine.routing import Choice, RoutingContext
from slipway.serving.transports.http.connections import protocol_of

MADE_BY = MadeBy("iris", 1, "stable", is_recorded=True)
NOBODY = Choice(None)


def serve(port: int, answers: Callable[[Sequence[Request]], list[Outcome]]) -> None:
    """Answer the POSTs to /invocations that arrive together, with nothing counted."""
    door: Any = SimpleNamespace(
        engine=SimpleNamespace(score_now=answers, arrive=_arrive),
        routes={b"/invocations": (None, None)},
        max_body_bytes=2**30,
        is_draining=False,
        waiting=[],
        request_id=lambda asked: "0123456789ab-1",
    )
    config = uvicorn.Config(
        _ping, host="127.0.0.1", port=port, http=protocol_of(door), lifespan="off", log_config=None, access_log=False
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


def _arrive(placement: Any, protocol: Any, body: bytes, content_type: bytes, context: RoutingContext) -> Request:
    return Request(placement, protocol, body, content_type, context, NOBODY)


async def _ping(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"\n"})


if __name__ == "__main__":
    fixed = Predicted(sys.argv[2].encode(), MADE_BY)
    serve(int(sys.argv[1]), lambda requests: [fixed] * len(requests))
