"""The limit of calls over gRPC: its library on the worker's event loop, answering with fixed bytes: `PORT ANSWER`."""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio
import uvloop


class Bare(grpc.GenericRpcHandler):
    """Answers every call with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call."""
        return grpc.unary_unary_rpc_method_handler(self._fixed)

    async def _fixed(self, content: bytes, context: Any) -> bytes:
        return self._answer


async def serve(port: int, answer: bytes) -> None:
    """Answer until this process ends."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Bare(answer),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), bytes.fromhex(sys.argv[2])))
