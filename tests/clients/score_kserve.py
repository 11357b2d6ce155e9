"""Score by KServe's own client, in an environment of its own: `python score_kserve.py URL MODEL`."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

ROWS = np.array([[1.0, 2.0], [-1.0, -2.0]])


async def by_tensors(url: str, model: str) -> list[object]:
    """Return what V2 says, in JSON and with binary tensors."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    found: list[object] = [
        await client.is_server_live(url),
        await client.is_server_ready(url),
        await client.is_model_ready(url, model),
    ]
    for is_binary in (False, True):
        tensor = InferInput("input-0", list(ROWS.shape), "FP64")
        tensor.set_data_from_numpy(ROWS, binary_data=is_binary)
        wanted = [RequestedOutput("predict", {"binary_data": is_binary})]
        request = InferRequest(model, [tensor], request_id="mine", request_outputs=wanted)
        answer = await client.infer(url, request, model_name=model)
        found.append([answer.id, answer.model_name, answer.outputs[0].as_numpy().tolist()])
    return found


async def by_rows(url: str, model: str) -> list[object]:
    """Return what V1 says."""
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    ready = [await client.is_server_live(url), await client.is_model_ready(url, model)]
    return [*ready, await client.infer(url, {"instances": ROWS.tolist()}, model_name=model)]


async def main() -> None:
    """Print both."""
    print(json.dumps({"v2": await by_tensors(*sys.argv[1:]), "v1": await by_rows(*sys.argv[1:])}))


asyncio.run(main())
