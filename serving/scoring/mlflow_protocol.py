"""MLflow's scoring protocol as the engine asks it: plain bodies by a compiled decoder, others by the slow lane."""

from pathlib import Path
from typing import Any, Protocol

from slipway.serving.engine.engine import Request
from slipway.serving.engine.loaded import Loaded
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.protocols.mlflow.forms import FORMS, UNWRAPPED, Form, encode, encode_unwrapped, is_json
from slipway.serving.runtimes.understood import Understood

MLFLOW = "mlflow"


class SlowLane(Protocol):
    """MLflow's own parsing and schema enforcement, out of the way of plain requests."""

    async def parse(self, folder: Path, body: bytes, kind: BodyKind) -> Understood:
        """Return what MLflow makes of a body; raises InvalidInput where MLflow refuses, Unavailable when full."""


class MlflowProtocol:
    """One form of MLflow's protocol: `/invocations` or `/predict`."""

    def __init__(self, form: Form, lane: SlowLane) -> None:
        self.name = form.name
        self._form, self._lane = form, lane

    def plain(self, loaded: Loaded, request: Request) -> Understood | None:
        """Return what a plain body in JSON asks."""
        decoder = loaded.decoders.get(MLFLOW)
        if decoder is None or not is_json(request.content_type):
            return None
        return self._form.decode(decoder, request.body)

    async def parsed(self, loaded: Loaded, request: Request) -> Understood:
        """Return what MLflow makes of a body of any kind."""
        return await self._lane.parse(loaded.folder, request.body, self._form.kind(request.content_type))

    def encode(self, understood: Understood, predictions: Any) -> bytes:
        """Return an answer in JSON."""
        return encode_unwrapped(predictions) if understood.form == UNWRAPPED else encode(predictions)


def protocols_of(lane: SlowLane) -> dict[str, MlflowProtocol]:
    """Return the forms of the protocol, by the last part of the URL that asks in them."""
    return {form.name: MlflowProtocol(form, lane) for form in FORMS.values()}
