"""The V1 protocol as the engine asks it: a request of MLflow's protocol in another's words."""

from typing import Any

import msgspec

from slipway.serving.engine.engine import Request
from slipway.serving.engine.loaded import Loaded
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.protocols.v1.requests import V1Request, as_invocation, encode
from slipway.serving.runtimes.understood import Understood
from slipway.serving.scoring.mlflow_protocol import MLFLOW, SlowLane
from slipway.serving.scoring.oip_protocol import OIP

V1 = "v1"


class V1Protocol:
    """The protocol for one request."""

    name = V1

    def __init__(self, lane: SlowLane) -> None:
        self._lane = lane
        self._read: V1Request | None = None

    def plain(self, loaded: Loaded, request: Request) -> Understood | None:
        """Return what a plain request asks; raises InvalidInput where it is none of this protocol."""
        asked = self._asked(loaded, request)
        decoder = loaded.decoders[MLFLOW]
        understood = decoder.decode(asked.body) if decoder is not None else None
        return understood and msgspec.structs.replace(understood, form=asked.answer_key)

    async def parsed(self, loaded: Loaded, request: Request) -> Understood:
        """Return what any request asks, as MLflow judges it."""
        asked = self._asked(loaded, request)
        understood = await self._lane.parse(loaded.folder, asked.body, BodyKind.JSON)
        return msgspec.structs.replace(understood, form=asked.answer_key)

    def encode(self, understood: Understood, predictions: Any) -> bytes:
        """Return an answer in JSON."""
        return encode(understood.form, predictions)

    def _asked(self, loaded: Loaded, request: Request) -> V1Request:
        """Return the request, read once."""
        if self._read is None:
            self._read = as_invocation(request.body, loaded.decoders[OIP].signature)
        return self._read
