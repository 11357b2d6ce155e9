"""Score by Triton's own client, in an environment of its own: `python score_triton.py HOST:PORT MODEL BATCH`.

`BATCH` is JSON, name → datatype and values. Printed is what each way of asking was answered.
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as sync
import tritonclient.http.aio as aio

URL, MODEL, BATCH = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
KINDS = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
OUTPUTS = ("predict", "predict_proba")


def inputs(is_binary: bool) -> list[sync.InferInput]:
    """Return the batch as tensors."""
    found = []
    for name, (datatype, values) in BATCH.items():
        column = np.array(values, KINDS[datatype]).reshape(-1, 1)
        found.append(sync.InferInput(name, column.shape, datatype))
        found[-1].set_data_from_numpy(column, binary_data=is_binary)
    return found


def asked(is_binary: bool, compression: str | None) -> dict[str, Any]:
    """Return what a call of the client says beside the model."""
    return {
        "inputs": inputs(is_binary),
        "outputs": [sync.InferRequestedOutput(name, binary_data=is_binary) for name in OUTPUTS],
        "request_id": "mine",
        "request_compression_algorithm": compression,
        "response_compression_algorithm": compression,
    }


def told(result: Any) -> Any:
    """Return an answer's id, version, labels and probabilities."""
    head = result.get_response()
    values = [result.as_numpy(name).tolist() for name in OUTPUTS]
    labels = [each.decode() if isinstance(each, bytes) else each for each in values[0]]
    return [head["id"], head["model_version"], labels, values[1]]


def ways() -> list[dict[str, Any]]:
    """Return every way of asking: bytes or JSON, compressed or not."""
    return [asked(is_binary, how) for is_binary in (False, True) for how in (None, "gzip", "deflate")]


def by_sync() -> dict[str, Any]:
    """Return what the synchronous client is told."""
    client = sync.InferenceServerClient(URL)
    metadata = client.get_model_metadata(MODEL)
    try:
        client.infer(MODEL, inputs(True)[1:])
        refused = None
    except sync.InferenceServerException as error:
        refused = [error.status(), error.message()]
    return {
        "live": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(MODEL)],
        "absent": [client.is_model_ready("nobody"), client.is_model_ready(MODEL, "9")],
        "server": client.get_server_metadata()["extensions"],
        "inputs": [[each["name"], each["datatype"]] for each in metadata["inputs"]],
        "config": client.get_model_config(MODEL)["max_batch_size"] > 0,
        "index": [[each["name"], each["version"]] for each in client.get_model_repository_index()],
        "answers": [told(client.infer(MODEL, **way)) for way in ways()],
        "version": told(client.infer(MODEL, model_version="1", **ways()[0])),
        "refused": refused,
    }


async def by_asyncio() -> dict[str, Any]:
    """Return what the client for asyncio is told."""
    async with aio.InferenceServerClient(URL) as client:
        live = [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready(MODEL)]
        return {"live": live, "answers": [told(await client.infer(MODEL, **way)) for way in ways()]}


print(json.dumps({"sync": by_sync(), "asyncio": asyncio.run(by_asyncio())}))
