"""What a worker is told when it is started."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.serving.settings import ServingSettings
from slipway.serving.target import parse_target

NOT_YET = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPlan:
    """What a worker is started with; sockets are file descriptors, sizes in bytes, times in seconds.

    `listeners` is the name of a transport → the socket that it accepts from. `targets` are models and stages that were
    named: they are waited for, before the engine says that it is ready.
    """

    listeners: Mapping[str, int]
    line: int
    targets: tuple[tuple[str, str], ...]
    max_body_bytes: int
    warm_bytes: int
    predict_within_s: float
    idle_s: float
    grpc_connection_age_s: float
    drain_s: float
    stop_within_s: float
    log_json: bool


def plan_of(settings: ServingSettings) -> WorkerPlan:
    """Return the plan of a worker by settings, its sockets left open."""
    return WorkerPlan(
        listeners={},
        line=NOT_YET,
        targets=tuple((each.model, each.stage) for each in map(parse_target, settings.targets)),
        max_body_bytes=int(settings.max_body_mb * 2**20),
        warm_bytes=settings.warm_mb * 2**20,
        predict_within_s=settings.predict_within_s,
        idle_s=settings.idle_s,
        grpc_connection_age_s=settings.grpc_connection_age_s,
        drain_s=settings.drain_s,
        stop_within_s=settings.stop_within_s,
        log_json=settings.log_json,
    )
