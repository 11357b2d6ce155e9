"""The Open Inference Protocol as messages of gRPC: their library is imported by who serves that alone."""

from collections.abc import Sequence
from typing import Any

from slipway.serving.engine.engine import Request
from slipway.serving.protocols.oip.messages import read_message, written_message
from slipway.serving.protocols.oip.request import Asked
from slipway.serving.runtimes.understood import Understood
from slipway.serving.scoring.mlflow_protocol import SlowLane
from slipway.serving.scoring.oip_protocol import OipProtocol

OIP_MESSAGES = "oip-grpc"


class OipMessages(OipProtocol):
    """The protocol for one request that came as a message: over gRPC."""

    name = OIP_MESSAGES

    def __init__(self, lane: SlowLane, message: Any) -> None:
        super().__init__(lane)
        self._message = message

    def encode(self, understood: Understood, predictions: Any) -> bytes:
        """Return an answer as a message, its tensors raw or typed as those of the request."""
        return written_message(understood.form, predictions)

    def _asked_in(self, request: Request, known: Sequence[str]) -> Asked:
        return read_message(self._message, known)
