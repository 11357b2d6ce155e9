"""The Open Inference Protocol as the engine asks it.

Tensors that are the signature's own are understood by a mapping that was compiled at load time, others by the slow
lane, as requests of MLflow's protocol.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from slipway.registry.errors import InvalidInput
from slipway.serving.engine.engine import Request
from slipway.serving.engine.loaded import Loaded
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.protocols.oip.mapping import TensorMapping
from slipway.serving.protocols.oip.outputs import AnswerForm, no_such_output, written
from slipway.serving.protocols.oip.request import Asked, read_request
from slipway.serving.runtimes.runner import PREDICT
from slipway.serving.runtimes.understood import Understood
from slipway.serving.scoring.mlflow_protocol import SlowLane

OIP = "oip"


class OipProtocol:
    """The protocol for one request, of which `json_bytes` are JSON where binary tensors follow."""

    name = OIP

    def __init__(self, lane: SlowLane, json_bytes: int | None = None) -> None:
        self._lane, self._json_bytes = lane, json_bytes
        self._asked: Asked | None = None

    def plain(self, loaded: Loaded, request: Request) -> Understood | None:
        """Return what a request asks whose tensors are the signature's own; raises InvalidInput where one is wrong."""
        mapping: TensorMapping = loaded.decoders[OIP]
        asked = self._read(mapping, request)
        wanted = methods_wanted(asked, loaded)
        understood = mapping.plain(asked)
        return understood and with_form(understood, asked, loaded, wanted)

    async def parsed(self, loaded: Loaded, request: Request) -> Understood:
        """Return what any request asks, as MLflow judges it."""
        mapping: TensorMapping = loaded.decoders[OIP]
        asked = self._read(mapping, request)
        wanted = methods_wanted(asked, loaded)
        arrays = mapping.arrays(asked)
        if arrays is not None:
            return with_form(Understood(arrays), asked, loaded, wanted)
        document = await asyncio.to_thread(mapping.document, asked)
        understood = await self._lane.parse(loaded.folder, document, BodyKind.JSON)
        return with_form(understood, asked, loaded, wanted)

    def encode(self, understood: Understood, predictions: Any) -> bytes:
        """Return an answer: JSON, and behind it the outputs that were asked for as bytes."""
        return written(understood.form, predictions)

    def _read(self, mapping: TensorMapping, request: Request) -> Asked:
        """Return the request, read once."""
        if self._asked is None:
            self._asked = self._asked_in(request, mapping.names)
        return self._asked

    def _asked_in(self, request: Request, known: Sequence[str]) -> Asked:
        return read_request(request.body, self._json_bytes, known)


def methods_wanted(asked: Asked, loaded: Loaded) -> tuple[str, ...]:
    """Return the methods whose outputs are asked for; none where the request says nothing of outputs.

    Raises
    ------
    InvalidInput
        An output is asked for that the model has not, as far as its signature tells.
    """
    outputs: Sequence[str] = loaded.decoders[OIP].outputs
    further = [each for each in loaded.runner.report.methods if each != PREDICT and each not in outputs]
    known = [*outputs, *further]
    for place, each in enumerate(asked.outputs):
        if outputs and each.name not in known:
            raise no_such_output(place, known)
    return tuple(dict.fromkeys(each.name if each.name in further else PREDICT for each in asked.outputs))


def with_form(understood: Understood, asked: Asked, loaded: Loaded, wanted: Sequence[str]) -> Understood:
    """Return a request with the methods that its outputs ask for, and how its answer is written."""
    method = understood.method
    if wanted and method != PREDICT and tuple(wanted) != (method,):
        raise InvalidInput("outputs and the parameter method ask for different things", code="wrong-params", hint=None)
    methods = wanted or (method,)
    # The first is never `predict` where there are several: requests that ask one thing alone have a quicker way.
    first, *also = sorted(methods, key=lambda each: each == PREDICT)
    outputs: Sequence[str] = loaded.decoders[OIP].outputs
    form = AnswerForm(
        model=loaded.target.model,
        version=loaded.number,
        names={each: outputs[0] if each == PREDICT and len(outputs) == 1 else each for each in methods},
        id=asked.id,
        wanted=asked.outputs,
        is_binary=asked.is_binary,
    )
    return msgspec.structs.replace(understood, method=first, also=tuple(also), form=form)
