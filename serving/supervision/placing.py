"""What every worker should serve, and that it does: moves of all workers, and the mending of what differs in one.

A version replaces another in this order: one worker opens and warms it, then every other one, then each serves it. If
any of them refuses, or dies, the version that was serving goes on. From the moment when all have opened it, it is what
should serve, and whatever a worker still has otherwise is mended: at every poll each worker is asked what it really
has. So a worker that was started meanwhile, was too slow, or missed a word ends up with the same as all others.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from slipway.registry.errors import SlipwayError, Unavailable
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.supervision.worker_pool import StartedWorker, WorkerPool
from slipway.serving.target import Target, Variant

log = logging.getLogger("slipway.serve")

OPEN_WITHIN_S = 300.0
TELL_WITHIN_S = 5.0
SILENT_S = 60.0
RETRY_AFTER_S = 5.0
RETRY_AT_MOST_S = 300.0
# What takes longer to be opened than this keeps a new worker from its other versions' requests no longer.
AWAITED_S = 60.0
# One death while a version is opened may have any reason; two in a row are put down to the version.
DEATHS = 2

Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What should serve as a variant; `is_recorded` is false where an alias alone put it there."""

    prepared: Prepared
    is_recorded: bool

    @property
    def key(self) -> Key:
        """Return what tells it from other versions, in a worker."""
        return self.prepared.digest, self.prepared.number


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What is to be said of a target: what is wrong with the newest version, and which one is being prepared."""

    problem: str | None = None
    preparing: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """A version that could not be opened in a worker: why, how often, and when (monotonic, s) it is tried again."""

    why: str
    failures: int
    retry_at: float


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker says that it has: variant → version and whether it is recorded; target → what it says of it."""

    variants: Mapping[Variant, tuple[Key, bool]]
    notes: Mapping[Target, Note]


class Placing:
    """What should serve, and the workers that are to serve it.

    `prove` has a version prepared anew, and opened, in a child process; it raises where that fails. It is asked before
    a version whose opening has failed, or has ended workers, is opened in one again.
    """

    def __init__(
        self,
        prove: Callable[[Variant, Prepared], Awaitable[Prepared]],
        *,
        awaited_s: float = AWAITED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._awaited_s = awaited_s
        self._clock = clock
        self.pool: WorkerPool
        self.wanted: dict[Variant, Wanted] = {}
        self._notes: dict[Target, Note] = {}
        self._prove = prove
        self._troubles: dict[tuple[Variant, Key], Trouble] = {}
        self._deaths: dict[tuple[Variant, Key], int] = {}
        self._mending: dict[tuple[StartedWorker, Variant], asyncio.Task[None]] = {}
        self._was_ready = False

    async def move(
        self, variant: Variant, prepared: Prepared, *, is_recorded: bool, placed: Callable[[Prepared], None]
    ) -> None:
        """Have every worker serve a version.

        `placed` is called in the moment from which on it should serve: whoever breaks this off finds both, or neither.

        Raises
        ------
        SlipwayError
            One cannot open it, or dies over it: then nothing has changed. `Unavailable` (`no-worker`) while there is
            no worker to ask.
        """
        wanted = Wanted(prepared=prepared, is_recorded=is_recorded)
        if self._deaths.get((variant, wanted.key)):
            wanted = replace(wanted, prepared=await self._prove(variant, prepared))
        await self._open_everywhere(variant, wanted)
        self.wanted[variant] = wanted
        placed(wanted.prepared)
        self._troubles = {case: each for case, each in self._troubles.items() if case[0] != variant}
        self._deaths = {case: count for case, count in self._deaths.items() if case[0] != variant}
        await asyncio.gather(*(self._put_or_mend(worker, variant) for worker in self.pool.accepting))

    async def _open_everywhere(self, variant: Variant, wanted: Wanted) -> None:
        """Have a version opened in one worker, then in all others, also in those that begin to accept meanwhile."""
        opened: set[StartedWorker] = set()
        while lacking := [worker for worker in self.pool.accepting if worker not in opened]:
            asked = lacking if opened else lacking[:1]
            await asyncio.gather(*(self._open(worker, variant, wanted) for worker in asked))
            opened.update(asked)
        if not opened:
            raise Unavailable("no worker is there to open it", code="no-worker", hint=None)

    async def _open(self, worker: StartedWorker, variant: Variant, wanted: Wanted) -> None:
        """Have a worker open a version; a death over it counts against the version."""
        case = variant, wanted.key
        if not worker.is_alive:
            raise Unavailable("the worker is gone", code="process-gone", hint=None)
        try:
            await worker.ask("open", _fields(variant, prepared=asdict(wanted.prepared)), within_s=OPEN_WITHIN_S)
        except Unavailable as error:
            if error.code != "process-gone":
                raise
            self._deaths[case] = self._deaths.get(case, 0) + 1
            raise Unavailable("a worker ended while it opened the version", code="worker-ended", hint=None) from error
        self._deaths.pop(case, None)

    async def _put(self, worker: StartedWorker, variant: Variant) -> None:
        """Have a worker serve what should serve by now; to be called without a pause after that was looked at."""
        wanted = self.wanted[variant]
        await worker.ask(
            "put", _fields(variant, key=wanted.key, is_recorded=wanted.is_recorded), within_s=TELL_WITHIN_S
        )

    async def _put_or_mend(self, worker: StartedWorker, variant: Variant) -> None:
        try:
            await self._put(worker, variant)
        except Unavailable as error:  # it is asked what it has at the next poll, and mended
            log.warning("worker %d does not serve %s yet: %s", worker.pid, variant, error.message)

    async def say_recorded(self, variant: Variant, *, is_recorded: bool) -> None:
        """Note whether a decision put there what serves as a variant, and have every worker say so."""
        self.wanted[variant] = replace(self.wanted[variant], is_recorded=is_recorded)
        await asyncio.gather(*(self._put_or_mend(worker, variant) for worker in self.pool.accepting))

    async def note(self, target: Target, note: Note) -> None:
        """Have every worker say of a target what is to be said."""
        self._notes[target] = note
        await asyncio.gather(
            *(self._tell(worker, "note", _note_fields(target, note)) for worker in self.pool.accepting)
        )

    def note_of(self, target: Target) -> Note:
        """Return what every worker should say of a target."""
        return self._notes.get(target, Note())

    async def expect(self, targets: list[Target]) -> None:
        """Have every worker know exactly these targets."""
        self._notes = {target: self._notes.get(target, Note()) for target in targets}
        gone = [variant for variant in self.wanted if variant.target not in self._notes]
        for variant in gone:
            del self.wanted[variant]
        fields = {"targets": _targets(self._notes)}
        await asyncio.gather(*(self._tell(worker, "targets", fields) for worker in self.pool.accepting))

    async def take_out(self, variant: Variant) -> None:
        """Have no worker serve a variant any more."""
        if self.wanted.pop(variant, None) is not None:
            fields = _fields(variant)
            await asyncio.gather(*(self._tell(worker, "take_out", fields) for worker in self.pool.accepting))

    async def _tell(self, worker: StartedWorker, word: str, fields: dict[str, Any]) -> None:
        try:
            await worker.ask(word, fields, within_s=TELL_WITHIN_S)
        except Unavailable as error:
            log.debug("worker %d was not told '%s': %s", worker.pid, word, error.message)

    def trouble(self, target: Target) -> str | None:
        """Return why a worker does not serve what it should, if one does not."""
        for (variant, key), trouble in self._troubles.items():
            wanted = self.wanted.get(variant)
            if variant.target == target and wanted is not None and wanted.key == key:
                return f"not every worker serves version {key[1]}: {trouble.why}"
        return None

    async def complete(self, worker: StartedWorker) -> None:
        """Have a new worker serve all that should serve, as far as that can be, and then accept connections.

        Raises
        ------
        Unavailable
            It dies meanwhile, or does not answer.
        """
        await worker.ask("targets", {"targets": _targets(self._notes)}, within_s=OPEN_WITHIN_S)
        while lacking := await self._not_yet_begun(worker):
            for variant in lacking:  # one after the other: a death is put down to what was being opened
                await asyncio.wait([self._begin_mending(worker, variant)], timeout=self._awaited_s)
        worker.is_accepting = True
        await worker.ask("accept", {"was_ready": self._was_ready}, within_s=TELL_WITHIN_S)

    async def _not_yet_begun(self, worker: StartedWorker) -> list[Variant]:
        lacking = self._lacking(await self._state(worker, within_s=OPEN_WITHIN_S))
        return [variant for variant in lacking if (worker, variant) not in self._mending]

    async def reconcile(self) -> None:
        """Ask each worker what it really has, and begin to mend what differs; kill those that have long been silent."""
        await asyncio.gather(*map(self._reconcile_one, self.pool.accepting))

    async def settled(self) -> None:
        """Wait until what was begun to be mended is mended, or has failed."""
        await asyncio.gather(*self._mending.values())

    async def _reconcile_one(self, worker: StartedWorker) -> None:
        try:
            state = await self._state(worker, within_s=TELL_WITHIN_S)
        except Unavailable as error:
            silent_s = asyncio.get_running_loop().time() - worker.heard_at
            if worker.is_alive and silent_s > SILENT_S:
                log.error("worker %d has not answered for %d s and is ended: %s", worker.pid, silent_s, error.message)
                worker.kill()
            return
        for variant in self._lacking(state):
            self._begin_mending(worker, variant)
        await self._trim(worker, state)

    async def _trim(self, worker: StartedWorker, state: WorkerState) -> None:
        """Take from a worker what should not be there, and have it say what is to be said."""
        if state.notes.keys() != self._notes.keys():
            await self._tell(worker, "targets", {"targets": _targets(self._notes)})
        for variant in state.variants.keys() - self.wanted.keys():
            if variant.target in self._notes:
                await self._tell(worker, "take_out", _fields(variant))
        for target, note in self._notes.items():
            if state.notes.get(target) != note:
                await self._tell(worker, "note", _note_fields(target, note))

    async def _state(self, worker: StartedWorker, *, within_s: float) -> WorkerState:
        found = await worker.ask("state", {}, within_s=within_s)
        worker.counts = found["counts"]
        self._was_ready |= found["ready"]
        variants = {
            Variant(Target(*target), name): ((digest, number), is_recorded)
            for target, name, digest, number, is_recorded in found["variants"]
        }
        notes = {Target(*target): Note(problem=problem, preparing=number) for target, problem, number in found["notes"]}
        return WorkerState(variants, notes)

    def _lacking(self, state: WorkerState) -> list[Variant]:
        """Return what a worker does not serve as it should, but for what is not to be tried again yet."""
        now = self._clock()
        return [
            variant
            for variant, wanted in self.wanted.items()
            if state.variants.get(variant) != (wanted.key, wanted.is_recorded)
            and not ((trouble := self._troubles.get((variant, wanted.key))) and now < trouble.retry_at)
        ]

    def _begin_mending(self, worker: StartedWorker, variant: Variant) -> "asyncio.Task[None]":
        case = worker, variant
        if case not in self._mending:
            self._mending[case] = asyncio.create_task(self._mend(worker, variant))
            self._mending[case].add_done_callback(lambda _: self._mending.pop(case, None))
        return self._mending[case]

    async def _mend(self, worker: StartedWorker, variant: Variant) -> None:
        """Have a worker open and serve what should serve as a variant; where that fails, it is noted."""
        wanted = self.wanted.get(variant)
        if wanted is None:
            return
        try:
            if (variant, wanted.key) in self._troubles:
                proved = replace(wanted, prepared=await self._prove(variant, wanted.prepared))
                if self.wanted.get(variant) is wanted:
                    wanted = self.wanted[variant] = proved
            await self._open(worker, variant, wanted)
            if self.wanted.get(variant) is wanted:
                await self._put(worker, variant)
                self._troubles.pop((variant, wanted.key), None)
        except SlipwayError as error:
            died = error.code in ("worker-ended", "process-gone")
            if not died or self._deaths.get((variant, wanted.key), 0) >= DEATHS:
                self._note_trouble(variant, wanted, error.message)

    def _note_trouble(self, variant: Variant, wanted: Wanted, why: str) -> None:
        case = variant, wanted.key
        failures = self._troubles[case].failures + 1 if case in self._troubles else 1
        wait_s = min(RETRY_AFTER_S * 2 ** (failures - 1), RETRY_AT_MOST_S)
        self._troubles[case] = Trouble(why=why, failures=failures, retry_at=self._clock() + wait_s)
        log.error("%s: a worker does not serve version %d: %s", variant, wanted.prepared.number, why)


def _fields(variant: Variant, **more: Any) -> dict[str, Any]:
    return {"target": [variant.target.model, variant.target.stage], "variant": variant.name, **more}


def _note_fields(target: Target, note: Note) -> dict[str, Any]:
    return {"target": [target.model, target.stage], **asdict(note)}


def _targets(notes: Mapping[Target, Note]) -> list[list[str]]:
    return [[target.model, target.stage] for target in notes]
