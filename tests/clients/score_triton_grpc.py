"""Score by Triton's client for gRPC, in an environment of its own: `python score_triton_grpc.py HOST:PORT MODEL BATCH`.

`BATCH` is JSON, name → datatype and values. Printed is what each way of asking was answered.
"""

import asyncio
import contextlib
import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as sync
import tritonclient.grpc.aio as aio

URL, MODEL, BATCH = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
KINDS = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
OUTPUTS = ("predict", "predict_proba")


def inputs() -> list[sync.InferInput]:
    """Return the batch as tensors."""
    found = []
    for name, (datatype, values) in BATCH.items():
        column = np.array(values, KINDS[datatype]).reshape(-1, 1)
        found.append(sync.InferInput(name, column.shape, datatype))
        found[-1].set_data_from_numpy(column)
    return found


def ways() -> list[dict[str, Any]]:
    """Return every way of asking: compressed or not, and by a deadline."""
    outputs = [sync.InferRequestedOutput(name) for name in OUTPUTS]
    asked = {"inputs": inputs(), "outputs": outputs, "request_id": "mine"}
    return [
        *({**asked, "compression_algorithm": how} for how in (None, "gzip", "deflate")),
        {**asked, "client_timeout": 60},
    ]


def told(result: Any) -> Any:
    """Return an answer's id, version, labels and probabilities."""
    head = result.get_response()
    values = [result.as_numpy(name).tolist() for name in OUTPUTS]
    labels = [each.decode() if isinstance(each, bytes) else each for each in values[0]]
    return [head.id, head.model_version, labels, values[1]]


def refusal(error: sync.InferenceServerException) -> list[str]:
    """Return status and words of an error."""
    return [error.status(), error.message()]


def by_sync() -> dict[str, Any]:
    """Return what the synchronous client is told."""
    client = sync.InferenceServerClient(URL)
    metadata = client.get_model_metadata(MODEL)
    waiting: queue.Queue[Any] = queue.Queue()
    client.async_infer(MODEL, callback=lambda result, error: waiting.put((result, error)), **ways()[0])
    result, error = waiting.get(timeout=60)
    assert error is None, error
    try:
        client.infer(MODEL, inputs()[1:])
        refused = None
    except sync.InferenceServerException as found:
        refused = refusal(found)
    try:
        client.is_model_ready("nobody")
        absent = None
    except sync.InferenceServerException as found:
        absent = refusal(found)
    return {
        "live": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(MODEL)],
        "absent": absent,
        "server": client.get_server_metadata().name,
        "inputs": [[each.name, each.datatype] for each in metadata.inputs],
        "answers": [told(client.infer(MODEL, **way)) for way in ways()],
        "later": told(result),
        "version": told(client.infer(MODEL, model_version="1", **ways()[0])),
        "refused": refused,
    }


def by_stream() -> list[str]:
    """Return how a stream is refused."""
    client = sync.InferenceServerClient(URL)
    waiting: queue.Queue[Any] = queue.Queue()
    client.start_stream(callback=lambda result, error: waiting.put(error))
    with contextlib.suppress(sync.InferenceServerException):  # where the stream was refused before
        client.async_stream_infer(MODEL, inputs())
    error = waiting.get(timeout=60)
    client.stop_stream()
    return refusal(error)


async def by_asyncio() -> dict[str, Any]:
    """Return what the client for asyncio is told."""
    async with aio.InferenceServerClient(URL) as client:
        live = [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready(MODEL)]
        return {"live": live, "answers": [told(await client.infer(MODEL, **way)) for way in ways()]}


print(json.dumps({"sync": by_sync(), "stream": by_stream(), "asyncio": asyncio.run(by_asyncio())}))
