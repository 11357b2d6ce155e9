"""gRPC as a transport of a worker: the protocol's service, health and reflection, on a port that all workers share."""

import asyncio
import contextlib
import socket

import grpc.aio
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from slipway.registry.addresses import host_and_port
from slipway.serving.protocols.oip.descriptor import DESCRIPTOR
from slipway.serving.protocols.oip.messages import SERVICE
from slipway.serving.transports.grpc.calls import OipCalls
from slipway.serving.transports.grpc.connections import n_connections, stop_accepting
from slipway.serving.transports.names import GRPC
from slipway.serving.waiting import set_within

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
HEALTH_EVERY_S = 1.0
LOOK_EVERY_S = 0.05
# Clients keep connections alive behind balancers that end idle ones; gRPC takes a ping in five minutes and no more.
PING_EVERY_MS = 10_000


class GrpcTransport:
    """The calls of an engine, on a socket of gRPC's own beside the one that holds the port.

    A connection is ended in peace after `age_s`, so that one client meets all workers, and after `idle_s` without a
    call. A message may have `max_bytes`; calls have `stop_within_s` to end when it is stopped.
    """

    name = GRPC

    def __init__(self, calls: OipCalls, *, max_bytes: int, age_s: float, idle_s: float, stop_within_s: float) -> None:
        self._calls, self._stop_within_s = calls, stop_within_s
        self._health = health.aio.HealthServicer()
        self._news = asyncio.Event()
        self._stopped = asyncio.Event()
        self._options = (
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_connection_age_ms", int(age_s * 1000)),
            ("grpc.max_connection_idle_ms", int(idle_s * 1000)),
            ("grpc.http2.min_ping_interval_without_data_ms", PING_EVERY_MS),
            ("grpc.keepalive_permit_without_calls", 1),
        )

    async def serve(self, listener: socket.socket) -> None:
        """Answer until it is stopped; `listener` holds the port, and does not listen."""
        if self._stopped.is_set():
            return
        host, port, *_ = listener.getsockname()
        server = grpc.aio.server(options=self._options)
        server.add_generic_rpc_handlers((self._calls,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), server, _described())
        server.add_insecure_port(host_and_port(host, port))
        await self._say_health()
        watching = asyncio.create_task(self._keep_health())
        await server.start()
        try:
            await self._stopped.wait()
            ends_at = asyncio.get_running_loop().time() + self._stop_within_s
            await self._let_go(port, ends_at)
            await server.stop(max(ends_at - asyncio.get_running_loop().time(), 0))
        finally:
            watching.cancel()
            listener.close()

    def renew(self) -> None:
        """Say whether the engine is ready now."""
        self._news.set()

    def drain(self) -> None:
        """Be ready no more."""
        self._calls.is_draining = True
        self._news.set()

    def stop(self) -> None:
        """Accept nothing more."""
        self._stopped.set()

    async def _let_go(self, port: int, ends_at: float) -> None:
        """Accept no connection, and wait until those that there are have come of age, or the time is over."""
        stop_accepting(port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at):
                while n_connections(port):
                    await asyncio.sleep(LOOK_EVERY_S)

    async def _keep_health(self) -> None:
        while True:
            await set_within(self._news, HEALTH_EVERY_S)
            self._news.clear()
            await self._say_health()

    async def _say_health(self) -> None:
        for name in ("", SERVICE):
            await self._health.set(name, SERVING if self._calls.is_ready() else NOT_SERVING)


def _described() -> DescriptorPool:
    """Return what reflection describes."""
    pool = DescriptorPool()
    for each in (DESCRIPTOR, health_pb2.DESCRIPTOR.serialized_pb, reflection_pb2.DESCRIPTOR.serialized_pb):
        pool.AddSerializedFile(each)
    return pool
