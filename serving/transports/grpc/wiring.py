"""The transport of gRPC, made of what a worker has; imported where an engine is asked for gRPC, and nowhere else."""

from slipway.serving.transports.grpc.calls import OipCalls
from slipway.serving.transports.grpc.transport import GrpcTransport
from slipway.serving.transports.transport import Transport, WorkerServices


def grpc_transport(
    services: WorkerServices, *, max_bytes: int, age_s: float, idle_s: float, stop_within_s: float
) -> Transport:
    """Return the transport of gRPC for a worker."""
    calls = OipCalls(services.engine, services.lane)
    return GrpcTransport(calls, max_bytes=max_bytes, age_s=age_s, idle_s=idle_s, stop_within_s=stop_within_s)
