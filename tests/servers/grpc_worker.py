"""The gRPC side of a worker for tests, on a loop like a worker's in a thread."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import uvloop

from slipway.serving.supervision.listener import holding
from slipway.serving.transports.grpc.calls import OipCalls
from slipway.serving.transports.grpc.transport import GrpcTransport
from tests.doubles.serving_stand_ins import EngineWithLane

LIMIT = 100_000


@contextmanager
def speaking(engine: EngineWithLane, *, age_s: float = 60) -> Iterator[tuple[grpc.Channel, GrpcTransport, Callable]]:
    """Serve an engine on a free port; what is called with the third is called on the loop."""
    ready = threading.Event()
    found = []

    async def serve() -> None:
        calls = OipCalls(engine, engine.lane)
        transport = GrpcTransport(calls, max_bytes=LIMIT, age_s=age_s, idle_s=60, stop_within_s=10)
        found.extend((transport, asyncio.get_running_loop()))
        ready.set()
        await transport.serve(held)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    with holding("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        thread = threading.Thread(target=run)
        thread.start()
        ready.wait(10)
        transport, loop = found
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(20)
                yield channel, transport, loop.call_soon_threadsafe
        finally:
            loop.call_soon_threadsafe(transport.stop)
            thread.join(20)
            assert not thread.is_alive(), "it does not end"
