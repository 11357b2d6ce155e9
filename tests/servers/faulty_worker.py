"""A worker of the engine as a test says: how versions open is in a file, and half of the callers get a candidate.

It is asked by HTTP, and by lines beside it.

The file is JSON, version number → `slow`, `hangs`, `fails`, `dies`, or `lingers`: it opens, and takes a while to
begin to serve. Run as a program, with a worker's plan.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.registry.errors import Unavailable
from slipway.serving.engine.routing import Choice, Placement, RoutingContext
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.scoring.loading import load_prepared
from slipway.serving.supervision.worker import Worker, http_alone, planned, run
from slipway.serving.supervision.worker_plan import WorkerPlan
from slipway.serving.transports.transport import Transport, WorkerServices
from tests.doubles.lines_transport import LinesTransport

SLOW_S = 0.7
LINGER_S = 1.2


def fault(number: int) -> str | None:
    """Return how a version opens now."""
    told = Path(os.environ["SLIPWAY_TEST_FAULTS"]).read_text()
    found: str | None = json.loads(told).get(str(number))
    return found


def open_as_told(target: Any, prepared: Prepared, *, variant: str) -> Any:
    """Open a version, or do not."""
    found = fault(prepared.number)
    if found == "dies":
        os._exit(9)
    if found == "fails":
        raise Unavailable("it cannot be opened now", code="told-so", hint=None)
    if found == "slow":
        time.sleep(SLOW_S)
    while found == "hangs":
        time.sleep(0.05)
        found = fault(prepared.number)
    return load_prepared(target, prepared, variant=variant)


class FaultyWorker(Worker):
    """A worker that stands still while a version that lingers begins to serve."""

    def _put(self, target: Sequence[str], variant: str, key: Sequence[Any], is_recorded: bool) -> None:
        if fault(key[1]) == "lingers":
            time.sleep(LINGER_S)
        super()._put(target, variant, key, is_recorded)


def half(placement: Placement, context: RoutingContext) -> Choice:
    """Have half of the requests answered by the candidate, where there is one."""
    if context.request_id.startswith("wrong"):
        raise ZeroDivisionError("a rule with a fault")
    candidate = placement.variants.get("candidate")
    if candidate is None or context.draw >= 0.5:
        return Choice(placement.stable, 1.0 if candidate is None else 0.5)
    return Choice(candidate, 0.5)


def http_and_lines(plan: WorkerPlan, services: WorkerServices) -> Sequence[Transport]:
    """Return two transports for one engine."""
    return [*http_alone(plan, services), LinesTransport(services)]


if __name__ == "__main__":
    run(FaultyWorker(planned(), choose=half, open_version=open_as_told, transports=http_and_lines))
