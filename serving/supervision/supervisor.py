"""The supervisor: it alone watches the registry, has new versions prepared, and tells all workers.

A version replaces another in this order: a child prepares it, every worker opens and warms it, every worker serves it.
If any of the first two fails, the version that was serving goes on, and who asks is told. Nobody waits for a child:
polling goes on meanwhile, so that a way back takes effect at once, and what is not wanted any more is broken off.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.registry.artifacts.artifact_cache import FILES, ArtifactCache
from slipway.registry.engines.heartbeats import Heartbeat, Heartbeats
from slipway.registry.errors import SlipwayError, is_denied
from slipway.registry.text import one_line
from slipway.registry.versions.occupants import StageViews
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.preparation.preparing import PrepareJob, prepare_in_child
from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.control import Peer
from slipway.serving.supervision.following import (
    Followed,
    NextStep,
    Seen,
    failed,
    next_step,
    problem_of,
    seen_of,
    succeeded,
)
from slipway.serving.supervision.worker_pool import OPEN_WITHIN_S, WorkerPool
from slipway.serving.target import Sighting, Target

log = logging.getLogger("slipway.serve")

LOOK_WITHIN_S = 30.0
COUNT_WITHIN_S = 2.0
HELD_EACH = 2
UNRECORDED = "UNRECORDED: an alias put it there, and no decision"


class Supervisor:
    """Follows targets. Without any given, it follows every model that has a version in the stage of the settings."""

    def __init__(
        self,
        targets: Sequence[Target],
        settings: ServingSettings,
        *,
        engine: str,
        address: str,
        registry: str,
        stage_views: StageViews,
        heartbeats: Heartbeats | None,
        decided_at_server: bool,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._address = address
        self._registry = registry
        self._stage_views = stage_views
        self._decided_at_server = decided_at_server
        self._heartbeats = heartbeats
        self._follows_stage = not targets
        self._index = PreparedVersions(settings.cache.absolute(), registry=registry, accelerate=settings.accelerate)
        self._files = ArtifactCache(settings.cache / FILES, max_bytes=settings.cache_max_mb * 2**20)
        self._held: dict[Target, deque[AbstractContextManager[Path]]] = {}
        self._followed = {target: Followed(target=target) for target in targets}
        self._preparing: dict[Target, tuple[Sighting, asyncio.Task[Prepared]]] = {}
        self._children = asyncio.Semaphore(os.cpu_count() or 1)
        self._wake = asyncio.Event()
        self._since: dict[Target, datetime] = {}
        self._outage: str | None = None
        self._is_denied = False
        self._said: dict[Target, tuple[str | None, bool]] = {}
        self._turn = asyncio.Lock()
        self._beating = asyncio.Event()
        self._beats_fail = False
        self.pool: WorkerPool

    async def answer(self, word: str, fields: dict[str, Any]) -> Any:
        """Answer a worker: poll the registry now, or add up what all workers counted."""
        if word == "refresh":
            await self.look()
            return {"models": [self._described(each) for each in self._followed.values()]}
        return await self.pool.ask_all("metrics", {}, within_s=COUNT_WITHIN_S)

    async def welcome(self, peer: Peer) -> None:
        """Tell a worker that was started later what is serving."""
        await peer.ask("targets", {"targets": list(map(str, self._followed))}, within_s=OPEN_WITHIN_S)
        for followed in self._followed.values():
            if followed.in_place is not None:
                fields = _fields(followed.target, followed.in_place)
                await peer.ask("open", fields, within_s=OPEN_WITHIN_S)
                put = {**fields, "is_recorded": followed.is_recorded}
                await peer.ask("put", put, within_s=OPEN_WITHIN_S)
            await peer.ask("problem", self._told(followed), within_s=OPEN_WITHIN_S)

    async def run(self) -> None:
        """Poll the registry for ever: at once, then each so many seconds, and when a version was prepared."""
        beats = asyncio.create_task(self._beat())
        try:
            while True:
                self._wake.clear()
                await self.look()
                await _set_within(self._wake, self._settings.poll_s)
        finally:
            beats.cancel()
            for _, child in self._preparing.values():
                child.cancel()

    async def look(self) -> None:
        """Poll the registry once, and do what follows from it for every target."""
        async with self._turn:
            seen = await self._seen()
            for target in list(self._followed):
                try:
                    await self._follow(target, seen)
                except Exception as error:  # one target's trouble is its own, and ends no engine
                    log.exception("%s cannot be followed", target)
                    problem = f"{target} cannot be followed: {_why(error)}"
                    self._followed[target] = replace(self._followed[target], problem=problem)

    async def _seen(self) -> Mapping[Target, Seen] | None:
        """Return what the registry shows; `None` when it cannot be read."""
        try:
            found = await asyncio.wait_for(asyncio.to_thread(self._look_at_registry), LOOK_WITHIN_S)
        except Exception as error:  # whatever comes back from there: what is serving goes on
            why = _why(error)
            if self._outage is None:
                log.warning("the registry cannot be read, and what is serving goes on: %s", why)
            self._outage, self._is_denied = f"the registry cannot be read: {why}", is_denied(error)
            await self._expect(self._index.targets(self._settings.stage) if self._follows_stage else ())
            return None
        if self._outage is not None:
            log.info("the registry can be read again")
        self._outage = None
        await self._expect(found)
        return found

    def _look_at_registry(self) -> Mapping[Target, Seen]:
        wanted = {(target.model, target.stage) for target in self._followed}
        if self._follows_stage:
            stage = self._settings.stage
            wanted |= {(model, stage) for model in self._stage_views.models_with(stage)}
        placed = self._stage_views.look(wanted) if wanted else {}
        required = self._requires_history()
        return {
            Target(*each): seen_of(Target(*each), view, require_history=required)
            for each, view in placed.items()
        }

    def _requires_history(self) -> bool:
        """Return whether only what was decided is served: as it is set, else where a server guards its stages."""
        asked = self._settings.require_history
        return asked if asked is not None else self._decided_at_server and self._stage_views.has_history

    async def _expect(self, targets: Sequence[Target] | Mapping[Target, Seen]) -> None:
        """Take up targets that are new, in the workers too."""
        new = [target for target in targets if target not in self._followed]
        if new:
            self._followed |= {target: Followed(target=target) for target in new}
            await self.pool.ask_all("targets", {"targets": list(map(str, new))})

    async def _follow(self, target: Target, seen: Mapping[Target, Seen] | None) -> None:
        followed = self._followed[target]
        found = None if seen is None else seen.get(target, Seen(sighting=None))
        denied = self._is_denied if found is None else found.is_denied
        if (found is None or found.trouble is not None) and followed.in_place is None and not denied:
            await self._start_from_memory(followed)
            followed = self._followed[target]
        if found is not None:
            if found.trouble is None:
                self._break_off_unless(target, found.sighting)
            step, followed = next_step(followed, found, time.monotonic())
            self._followed[target] = followed
            await self._tell(target)
            if step is NextStep.PREPARE and found.sighting is not None:
                self._followed[target] = await self._move(followed, found.sighting, is_recorded=found.is_recorded)
        await self._tell(target)

    async def _start_from_memory(self, followed: Followed) -> None:
        """Serve what was there before, from the cache alone."""
        sighting = self._index.remembered(followed.target)
        is_recorded = self._index.was_recorded(followed.target)
        if sighting is None or not (is_recorded or self._may_be_unrecorded()):
            return
        try:
            prepared = await asyncio.to_thread(self._index.find, sighting)
            if prepared is not None:
                await self._put_in_place(followed.target, prepared, is_recorded=is_recorded)
                self._followed[followed.target] = replace(succeeded(followed, prepared), is_recorded=is_recorded)
        except SlipwayError as error:
            log.error("%s cannot be started from the cache: %s", followed.target, error.message)

    def _may_be_unrecorded(self) -> bool:
        """Return whether what no decision chose may serve while nobody can be asked, by what is set and what is known.

        A server may guard its stages, which nobody can see while it is away.
        """
        asked = self._settings.require_history
        return not self._decided_at_server if asked is None else not asked

    def _break_off_unless(self, target: Target, wanted: Sighting | None) -> None:
        """Stop preparing what the registry shows no more."""
        if target in self._preparing and self._preparing[target][0] != wanted:
            self._preparing.pop(target)[1].cancel()

    async def _move(self, followed: Followed, seen: Sighting, *, is_recorded: bool) -> Followed:
        """Put a version in place where it is prepared; else have it prepared, and leave all as it is."""
        target = followed.target
        try:
            prepared = await self._prepared(target, seen)
            if prepared is None:
                return followed
            await self._put_in_place(target, prepared, is_recorded=is_recorded)
        except SlipwayError as error:
            log.error("%s/%d cannot be served: %s", target.model, seen.number, error.message)
            why = f"{error.message} ({error.hint})" if error.hint else error.message
            return failed(followed, seen, why, time.monotonic())
        before = f" in place of {followed.in_place.number}" if followed.in_place else ""
        log.info("%s: version %d answers%s", target, seen.number, before)
        return replace(succeeded(followed, prepared), is_recorded=is_recorded)

    async def _prepared(self, target: Target, seen: Sighting) -> Prepared | None:
        """Return a version that can be opened; `None` while a child prepares it."""
        if target in self._preparing:
            child = self._preparing[target][1]
            if not child.done():
                return None
            del self._preparing[target]
            return child.result()
        try:
            found = await asyncio.to_thread(self._index.find, seen)
        except SlipwayError as error:
            log.warning("%s/%d is prepared anew: %s", target.model, seen.number, error.message)
            found = None
        if found is None:
            child = asyncio.create_task(self._prepare(target, seen))
            child.add_done_callback(lambda _: self._wake.set())
            self._preparing[target] = seen, child
        return found

    async def _prepare(self, target: Target, seen: Sighting) -> Prepared:
        settings = self._settings
        job = PrepareJob(
            model=target.model,
            number=seen.number,
            identity=seen.identity,
            manifest=seen.manifest,
            registry=self._registry,
            cache=str(settings.cache.absolute()),
            cache_max_bytes=settings.cache_max_mb * 2**20,
            accelerate=settings.accelerate,
        )
        log.info("preparing %s/%d for %s", target.model, seen.number, target.stage)
        async with self._children:
            return await prepare_in_child(
                job,
                memory_bytes=settings.prepare_memory_mb * 2**20,
                within_s=settings.prepare_within_s,
                log=settings.cache.absolute().parent / "logs" / "prepare.log",
            )

    async def _put_in_place(self, target: Target, prepared: Prepared, *, is_recorded: bool) -> None:
        """Have every worker serve a version; that no decision put it there is said with its first answer."""
        fields = _fields(target, prepared)
        held = self._hold_files(Path(prepared.folder))
        try:
            await self.pool.ask_all("open", fields)
            await self.pool.ask_all("put", {**fields, "is_recorded": is_recorded})
        except BaseException:
            held.__exit__(None, None, None)
            raise
        self._hold(target, held)
        self._since[target] = datetime.now(UTC)
        self._remember(target, prepared.sighting, is_recorded=is_recorded)
        self._said.pop(target, None)
        self._beating.set()

    def _remember(self, target: Target, sighting: Sighting, *, is_recorded: bool) -> None:
        """Note what serves a target, for a start while the registry is away; serving does not depend on it."""
        try:
            self._index.remember(target, sighting, is_recorded=is_recorded)
        except OSError as error:
            log.error("what serves %s cannot be noted for a start without the registry: %s", target, error)

    def _hold_files(self, folder: Path) -> AbstractContextManager[Path]:
        """Keep files from being evicted; on a disk that takes no lock, nothing evicts them either."""
        held = self._files.hold(folder)
        try:
            held.__enter__()
        except OSError as error:
            log.error("%s cannot be held in the cache: %s", folder, error)
            return contextlib.nullcontext(folder)
        return held

    def _hold(self, target: Target, held: AbstractContextManager[Path]) -> None:
        """Keep the files of the version that is serving, and of the one before it, from giving way in the cache."""
        holds = self._held.setdefault(target, deque())
        holds.append(held)
        while len(holds) > HELD_EACH:
            holds.popleft().__exit__(None, None, None)

    async def _tell(self, target: Target) -> None:
        """Tell the workers what is wrong with a target, and whether a decision put it there, when that changes."""
        followed = self._followed[target]
        problem, is_recorded = self._problem(followed), followed.is_recorded
        if self._said.get(target) == (problem, is_recorded):
            return
        said_before = self._said.get(target, (None, True))
        self._said[target] = problem, is_recorded
        if problem and problem != said_before[0] and not self._outage:
            log.warning("%s: %s", target, problem)
        if not is_recorded and said_before[1]:
            log.warning('%s is %s; slipway adopt %s --reason "…"', target, UNRECORDED, target)
        if followed.in_place is not None and is_recorded != said_before[1]:
            self._remember(target, followed.in_place.sighting, is_recorded=is_recorded)
        await self.pool.ask_all("problem", self._told(followed))
        self._beating.set()

    def _told(self, followed: Followed) -> dict[str, Any]:
        problem = self._problem(followed)
        return {"target": str(followed.target), "problem": problem, "is_recorded": followed.is_recorded}

    def _problem(self, followed: Followed) -> str | None:
        return problem_of(followed) or self._outage

    def _described(self, followed: Followed) -> dict[str, Any]:
        return {
            "name": followed.target.model,
            "stage": followed.target.stage,
            "version": followed.in_place.number if followed.in_place else None,
            "preparing": self._preparing[followed.target][0].number if followed.target in self._preparing else None,
            "problem": self._problem(followed),
            "recorded": followed.is_recorded,
        }

    async def _beat(self) -> None:
        """Say what is serving each so many seconds, and at once when it changes; serving does not depend on it."""
        while self._heartbeats is not None:
            self._beating.clear()
            try:
                beats = [self._heartbeat(each) for each in self._followed.values()]
                if beats:
                    await asyncio.to_thread(self._heartbeats.beat, beats)
                self._beats_fail = False
            except Exception as error:  # whatever comes back from there: serving does not depend on it
                if not self._beats_fail:
                    told = f" ({error.hint})" if isinstance(error, SlipwayError) and error.hint else ""
                    log.warning("heartbeats cannot all be written, and serving goes on: %s%s", _why(error), told)
                self._beats_fail = True
            await _set_within(self._beating, self._settings.beat_s)

    def _heartbeat(self, followed: Followed) -> Heartbeat:
        target = followed.target
        return Heartbeat(
            engine=self._engine,
            model=target.model,
            stage=target.stage,
            version=followed.in_place.number if followed.in_place else None,
            since=self._since.get(target),
            at=datetime.now(UTC),
            runner=None,
            address=self._address,
            problem=self._problem(followed) or (None if followed.is_recorded else UNRECORDED),
        )


def _why(error: Exception) -> str:
    """Return in one line why something was not to be had."""
    if isinstance(error, SlipwayError):
        return error.message
    if isinstance(error, TimeoutError):
        return f"no answer within {LOOK_WITHIN_S:g} s"
    return one_line(f"{type(error).__name__}: {error}")


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or for so long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _fields(target: Target, prepared: Prepared) -> dict[str, Any]:
    return {"target": str(target), "prepared": asdict(prepared)}
