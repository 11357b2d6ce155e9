"""Name the families of URLs that a worker answers."""

import logging

from slipway.serving.scoring.mlflow_protocol import SlowLane
from slipway.serving.transports.http.answers import Answer
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.family import Call, Family, Gone, with_flat_error
from slipway.serving.transports.http.oip_routes import OipRoutes
from slipway.serving.transports.http.refusals import engine_failed
from slipway.serving.transports.http.v1_routes import V1Routes

log = logging.getLogger("slipway.serve")


def flat(family: Family) -> Family:
    """Return a family whose errors all are texts, those too that are the engine's own fault."""

    async def answer(call: Call) -> Answer:
        try:
            return await family(call)
        except Gone:
            raise
        except Exception:  # the edge: whoever asked gets an answer, whatever went wrong
            log.exception("request %s could not be answered", call.request_id)
            return with_flat_error(engine_failed(call.request_id))

    return answer


def families_of(door: Door, lane: SlowLane) -> dict[str, Family]:
    """Return the first word of a URL → what answers below it."""
    return {"v1": flat(V1Routes(door, lane).answer), "v2": flat(OipRoutes(door, lane).answer)}
