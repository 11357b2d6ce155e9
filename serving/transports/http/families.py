"""Name the families of URLs that a worker answers."""

from slipway.serving.scoring.mlflow_protocol import SlowLane
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.family import Family
from slipway.serving.transports.http.oip_routes import OipRoutes
from slipway.serving.transports.http.v1_routes import V1Routes


def families_of(door: Door, lane: SlowLane) -> dict[str, Family]:
    """Return the first word of a URL → what answers below it."""
    return {"v1": V1Routes(door, lane).answer, "v2": OipRoutes(door, lane).answer}
