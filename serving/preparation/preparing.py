"""How the supervisor has a version prepared: in a child of bounded memory and time, whose end is its answer."""

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.registry.errors import Unavailable, error_from
from slipway.registry.process_table import living_processes
from slipway.registry.programs import program
from slipway.serving.preparation.prepared import Prepared

FROM_REGISTRY = "slipway.serving.preparation.prepare_process"
FROM_IMAGE = "slipway.serving.preparation.prepare_packaged"
LOOK_EVERY_S = 0.05
SAID_CHARACTERS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareJob:
    """A version to prepare, and where.

    `image` is the folder that has it where no registry is asked: the version that was packaged.
    """

    model: str
    number: int
    identity: str
    manifest: str | None
    registry: str
    cache: str
    cache_max_bytes: int
    accelerate: bool
    image: str | None = None

    @property
    def module(self) -> str:
        """Return what the child runs: an image has no MLflow registry, and nothing that reads one."""
        return FROM_REGISTRY if self.image is None else FROM_IMAGE


def job_from(text: str) -> PrepareJob:
    """Return the job that `start` wrote."""
    return PrepareJob(**json.loads(text))


async def prepare_in_child(job: PrepareJob, *, memory_bytes: int, within_s: float, log: Path) -> Prepared:
    """Have a version prepared by a child.

    Raises
    ------
    SlipwayError
        What the child said is wrong; Unavailable when it needs more memory or time than it may, or dies.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            *program(job.module, json.dumps(asdict(job))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    talking = asyncio.create_task(child.communicate())
    try:
        await _watch(child.pid, talking, memory_bytes=memory_bytes, within_s=within_s)
        said, _ = await talking
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.gather(talking, return_exceptions=True)
    return _understood(said, child.returncode, log)


async def _watch(leader: int, talking: "asyncio.Task[object]", *, memory_bytes: int, within_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not talking.done():
        await asyncio.wait([talking], timeout=LOOK_EVERY_S)
        used = resident_bytes(leader)
        if used > memory_bytes:
            raise Unavailable(
                f"preparing it takes more than {memory_bytes / 2**20:.0f} MB of memory",
                code="too-much-memory",
                hint="serving: {prepare_memory_mb: …} allows more",
            )
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(
                f"preparing it takes longer than {within_s:g} s",
                code="too-slow",
                hint="serving: {prepare_within_s: …} allows more",
            )


def _understood(said: bytes, status: int | None, log: Path) -> Prepared:
    try:
        document = json.loads(said)
    except ValueError:
        tail = " ".join(log.read_bytes()[-SAID_CHARACTERS:].decode(errors="replace").split())
        raise Unavailable(
            f"the preparing process ended with status {status}: {tail}", code="preparing-failed", hint=f"see {log}"
        ) from None
    if "error" in document:
        raise error_from(document)
    return Prepared(**document["prepared"])


def resident_bytes(leader: int) -> int:
    """Return the memory that the processes of a session hold."""
    return sum(each.resident_bytes for each in living_processes() if each.session == leader)
