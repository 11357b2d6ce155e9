"""A closed loop of calls over gRPC, in a process of its own: `ADDRESS REQUEST CALLERS SECONDS`.

Printed are calls and seconds.
"""

import asyncio
import json
import sys
import time

import grpc.aio
import uvloop

from slipway.serving.protocols.oip.messages import SERVICE


async def load(address: str, request: bytes, callers: int, seconds: float) -> tuple[int, float]:
    """Ask as fast as the answers come, on one connection; return how often, and how long that took."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        await call(request, wait_for_ready=True, timeout=60)
        began = time.perf_counter()

        async def ask() -> int:
            count = 0
            while time.perf_counter() < began + seconds:
                await call(request)
                count += 1
            return count

        counts = await asyncio.gather(*(ask() for _ in range(callers)))
        return sum(counts), time.perf_counter() - began


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        words = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
        print(json.dumps(runner.run(load(*words))))
