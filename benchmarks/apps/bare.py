"""The limit: our HTTP stack, reading the same body and sending fixed bytes, without a model."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import uvicorn
import uvloop

from slipway.serving.engine.answer import Answer
from slipway.serving.engine.engine import Request
from slipway.serving.protocols.mlflow.forms import INVOCATIONS
from slipway.serving.transports.http.connections import protocol_of

MADE_BY = b"x-slipway-model: iris\r\nx-slipway-version: 1\r\nx-slipway-variant: stable\r\n"


def serve(port: int, answers: Callable[[Sequence[Request]], list[Answer]]) -> None:
    """Answer the POSTs to /invocations that arrive together, with nothing counted."""
    door: Any = SimpleNamespace(
        engine=SimpleNamespace(score_now=answers),
        routes={b"/invocations": (None, INVOCATIONS)},
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


async def _ping(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"\n"})


if __name__ == "__main__":
    fixed = Answer(200, sys.argv[2].encode(), MADE_BY)
    serve(int(sys.argv[1]), lambda requests: [fixed] * len(requests))
