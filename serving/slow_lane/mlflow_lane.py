"""The slow lane's process: reads requests from a socket, has MLflow judge them, and answers. Started by `lane`.

It ends when the socket does, and at once when the process that started it dies. Signals that ask to stop are not for
it: a server that drains still needs its lane.
"""

import contextlib
import ctypes
import logging
import os
import pickle
import resource
import signal
import socket
import sys
import warnings
from functools import lru_cache
from pathlib import Path

from slipway.registry.errors import Corrupt, SlipwayError, Unavailable
from slipway.serving.protocols.mlflow.unpacked import too_large
from slipway.serving.slow_lane.lane_process import LENGTH, LaneRequest, Reply, frame
from slipway.serving.slow_lane.mlflow_parsing import DescribedModel, judge, stored_model

PR_SET_PDEATHSIG = 1
MOST_MODELS = 64
# What one request may take beyond what the process has when it starts.
MOST_MEMORY_BYTES = 2 * 2**30


def main(descriptor: int, parent: int) -> None:
    """Answer the requests that come through a socket, until it is closed."""
    _die_with(parent)
    limit_memory(MOST_MEMORY_BYTES)
    _be_quiet()
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as connection:
        _send(connection, Reply())
        with connection.makefile("rb") as requests:
            while length := requests.read(LENGTH.size):
                request: LaneRequest = pickle.loads(requests.read(LENGTH.unpack(length)[0]))
                _send(connection, answer(request))


def _send(connection: socket.socket, reply: Reply) -> None:
    for part in frame(reply):
        connection.sendall(part)


def answer(request: LaneRequest) -> Reply:
    """Return what MLflow makes of a request; refusals and failures come back as errors to raise."""
    try:
        stored = _stored_model(request.folder)
        judged = judge(stored, request.body, request.kind)
    except SlipwayError as error:
        return Reply(error=error.to_document())
    except MemoryError:
        return Reply(error=too_large("this process has no memory for it").to_document())
    except Exception as error:
        # What was sent may be in the error's text: it is not logged.
        logging.getLogger(__name__).error("a request could not be read: %s", type(error).__name__)
        failed = Unavailable("the request could not be read", code="slow-lane-failed", hint=None)
        return Reply(error=failed.to_document())
    return Reply(understood=judged)


def _stored_model(folder: Path) -> DescribedModel:
    """Return what is stored of a model, from memory as long as its file is the same."""
    try:
        changed_ns = (folder / "MLmodel").stat().st_mtime_ns
    except OSError as error:
        raise Corrupt(f"the model in {folder} has no MLmodel", code="unreadable-model", hint=None) from error
    return _remembered(folder, changed_ns)


@lru_cache(MOST_MODELS)
def _remembered(folder: Path, changed_ns: int) -> DescribedModel:
    return stored_model(folder)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone (Linux), and end if it is gone already."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def limit_memory(more_bytes: int) -> None:
    """Let this process have so much more memory and no more (Linux): what asks for more gets a MemoryError.

    Counted is what may be written to, and not the addresses that libraries reserve by the gigabyte and never use.
    """
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    most = pages * resource.getpagesize() + more_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _be_quiet() -> None:
    """MLflow and pandas warn of a request's columns with each request: not news for a server's log."""
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
