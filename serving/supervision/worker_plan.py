"""What a worker is told when it is started."""

from dataclasses import dataclass

from slipway.serving.settings import ServingSettings

NOT_YET = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPlan:
    """What a worker is started with; sockets are file descriptors, sizes in bytes, times in seconds."""

    listener: int
    line: int
    targets: tuple[str, ...]
    max_body_bytes: int
    warm_bytes: int
    idle_s: float
    drain_s: float
    stop_within_s: float
    log_json: bool


def plan_of(settings: ServingSettings) -> WorkerPlan:
    """Return the plan of a worker by settings, its sockets left open."""
    return WorkerPlan(
        listener=NOT_YET,
        line=NOT_YET,
        targets=settings.targets,
        max_body_bytes=int(settings.max_body_mb * 2**20),
        warm_bytes=settings.warm_mb * 2**20,
        idle_s=settings.idle_s,
        drain_s=settings.drain_s,
        stop_within_s=settings.stop_within_s,
        log_json=settings.log_json,
    )
