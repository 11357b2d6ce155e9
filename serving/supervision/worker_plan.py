"""What a worker is told when it is started."""

from dataclasses import dataclass


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
