"""The supervisor: it alone watches the registry, has new versions prepared, and tells all workers.

What the registry shows is polled (`watching`), what it leads to decided (`following`), a version that is new made by a
child (`preparations`) and put into every worker (`placing`). Each variant has its own turn: nobody waits for a child or
for what hangs while it is opened; polling goes on meanwhile, so that a way back takes effect at once, and what is not
wanted any more is broken off.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.registry.artifacts.artifact_cache import FILES, ArtifactCache
from slipway.registry.engines.heartbeats import Heartbeat, Heartbeats
from slipway.registry.errors import SlipwayError
from slipway.registry.versions.occupants import Views
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.beating import Beating
from slipway.serving.supervision.following import (
    Followed,
    NextStep,
    Seen,
    failed,
    next_step,
    problem_of,
    succeeded,
)
from slipway.serving.supervision.placing import Note, Placing
from slipway.serving.supervision.preparations import Preparations
from slipway.serving.supervision.watching import Polled, Watch, why_not
from slipway.serving.supervision.worker_pool import StartedWorker, WorkerPool
from slipway.serving.target import STABLE, Sighting, Target, Variant
from slipway.serving.waiting import set_within

log = logging.getLogger("slipway.serve")

REFRESH_WITHIN_S = 600.0
HELD_EACH = 2
NEED_EACH_S = 60.0
UNRECORDED = "UNRECORDED: an alias put it there, and no decision"
Variants = Callable[[Mapping[Target, Seen]], Mapping[Variant, Seen]]


def only_stable(seen: Mapping[Target, Seen]) -> Mapping[Variant, Seen]:
    """Return what the registry shows as what is to be served, and nothing beside it."""
    return {Variant(target): one for target, one in seen.items()}


class Supervisor:
    """Follows targets. Without any given, it follows every model that has a version in the stage of the settings.

    `variants` says what is to be served beside what the registry shows.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        settings: ServingSettings,
        *,
        engine: str,
        address: str,
        registry: str,
        stage_views: Views,
        heartbeats: Heartbeats | None,
        decided_at_server: bool,
        variants: Variants = only_stable,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._address = address
        self._named = frozenset(targets)
        self._variants = variants
        stage = None if targets else settings.stage
        self._index = PreparedVersions(settings.cache.absolute(), registry=registry, accelerate=settings.accelerate)
        self._knows_history = self._index.knows_history()
        self._watch = Watch(
            stage_views,
            stage=stage,
            require_history=settings.require_history,
            decided_at_server=decided_at_server,
            had_history=self._knows_history,
        )
        self._files = ArtifactCache(settings.cache / FILES, max_bytes=settings.cache_max_mb * 2**20)
        self._held: dict[Variant, deque[AbstractContextManager[Any]]] = {}
        self._wake = asyncio.Event()
        self._preparations = Preparations(self._index, settings, registry=registry, wake=self._wake.set)
        self._placing = Placing(self._preparations.prove)
        self._beating = Beating(heartbeats, every_s=settings.beat_s, beats=self._beats)
        self._followed = {Variant(target): Followed(variant=Variant(target)) for target in targets}
        self._turns: dict[Variant, tuple[Sighting | None, asyncio.Task[None]]] = {}
        self._since: dict[Variant, datetime] = {}
        self._has_read = False
        self._needed_at = -NEED_EACH_S
        self._polled = Polled(seen={})
        self._shown: Mapping[Variant, Seen] = {}
        self._said: dict[Variant, tuple[str | None, bool]] = {}
        self._polling = asyncio.Lock()

    def employ(self, pool: WorkerPool) -> None:
        """Take the workers that are to serve."""
        self._placing.pool = pool

    async def complete(self, worker: StartedWorker) -> None:
        """Make a new worker ready; what had to wait for it goes on."""
        await self._placing.complete(worker)
        self._wake.set()

    async def answer(self, word: str, fields: dict[str, Any]) -> Any:
        """Answer a worker: poll the registry now, or add up what all workers counted."""
        if word == "refresh":
            await self.poll(within_s=REFRESH_WITHIN_S)
            await self._placing.settled()
            return {"models": [self._described(each) for each in self._targets()]}
        return await self._placing.pool.counts()

    async def run(self) -> None:
        """Poll the registry for ever: at once, then each so many seconds, and when a version was prepared."""
        await self._placing.expect(self._targets())
        beats = asyncio.create_task(self._beating.run())
        try:
            while True:
                self._wake.clear()
                try:
                    await self.poll(within_s=self._settings.poll_s)
                except Exception:  # whatever it is, what is serving goes on, and it is polled again
                    log.exception("polling failed")
                await set_within(self._wake, self._settings.poll_s)
        finally:
            beats.cancel()
            self._preparations.close()

    async def poll(self, *, within_s: float) -> None:
        """Poll the registry once, begin what follows from it, and wait for that, but not longer than so many seconds.

        Every worker is asked what it has, and what differs from what should serve is mended.
        """
        async with self._polling:
            self._polled = await self._watch.poll(self._targets())
            self._note_history()
            await self._expect(self._polled)
            for variant in list(self._followed):
                await self._begin_turn(variant)
            await self._placing.reconcile()
            await self._need_runners()
        if turns := [turn for _, turn in self._turns.values()]:
            await asyncio.wait(turns, timeout=within_s)

    async def _need_runners(self) -> None:
        """Say now and then which runners serve, so that none is given up; beside the loop, since disks may wait."""
        if time.monotonic() - self._needed_at < NEED_EACH_S:
            return
        self._needed_at = time.monotonic()
        for wanted in list(self._placing.wanted.values()):
            await asyncio.to_thread(self._index.need, wanted.prepared)

    def _note_history(self) -> None:
        """Note for later starts that the registry has a history."""
        if self._knows_history or self._polled.outage is not None or not self._watch.has_history:
            return
        self._knows_history = True
        try:
            self._index.note_history()
        except OSError as error:
            log.error("that the registry has a history cannot be noted for a later start: %s", error)

    def _targets(self) -> list[Target]:
        return list(dict.fromkeys(variant.target for variant in self._followed))

    async def _expect(self, polled: Polled) -> None:
        """Take up targets that are new, and forget those that came by themselves, went, and never served."""
        before = self._targets()
        if polled.outage is None:
            self._shown = self._with_variants(polled.seen)
            new = list(self._shown)
            self._forget_what_is_gone()
            self._has_read = True
        else:  # what served long ago is of use to an engine that has never read the registry
            is_known = bool(self._named) or self._has_read
            new = [] if is_known else list(map(Variant, self._index.targets(self._settings.stage)))
        for variant in new:
            self._followed.setdefault(variant, Followed(variant=variant))
        for variant in [each for each in self._followed if self._is_gone(each)]:
            await self._forget(variant)
        if self._targets() != before:
            await self._placing.expect(self._targets())

    def _forget_what_is_gone(self) -> None:
        """Take back what was noted of models that are in the stage no more, so that no outage brings them back."""
        if self._named or self._has_read:
            return
        for target in self._index.targets(self._settings.stage):
            if Variant(target) not in self._shown:
                self._index.forget(target)

    def _with_variants(self, seen: Mapping[Target, Seen]) -> Mapping[Variant, Seen]:
        try:
            return {**self._variants(seen), **only_stable(seen)}
        except Exception:  # the edge of somebody else's rule: what the registry shows is served all the same
            log.exception("which variants are to be served could not be told")
            beside = {variant: shown for variant, shown in self._shown.items() if variant.name != STABLE}
            return {**beside, **only_stable(seen)}

    def _is_gone(self, variant: Variant) -> bool:
        """Return whether nobody wants a variant any more; a stage that is empty keeps what is serving."""
        if self._polled.outage is not None:
            return False
        seen = self._shown.get(variant)
        if variant.name != STABLE:
            return seen is None
        is_idle = variant.target not in self._named and self._followed[variant].in_place is None
        return is_idle and (seen is None or seen.is_empty)

    async def _forget(self, variant: Variant) -> None:
        del self._followed[variant]
        self._said.pop(variant, None)
        self._since.pop(variant, None)
        if variant in self._turns:
            self._turns.pop(variant)[1].cancel()
        self._preparations.break_off_unless(variant, None)
        await self._placing.take_out(variant)
        for held in self._held.pop(variant, ()):
            held.__exit__(None, None, None)
        self._beating.now()

    async def _begin_turn(self, variant: Variant) -> None:
        """Begin what follows for a variant, unless that is under way; what is not wanted any more is broken off."""
        seen = self._seen(variant)
        if variant in self._turns:
            moving_to, turn = self._turns[variant]
            if seen is None or seen.trouble is not None or seen.sighting == moving_to:
                return
            turn.cancel()
            await asyncio.wait([turn])
        sighting = seen.sighting if seen is not None else None
        turn = asyncio.create_task(self._turn(variant, seen))
        self._turns[variant] = sighting, turn
        turn.add_done_callback(lambda done: self._end_turn(variant, done))

    def _seen(self, variant: Variant) -> Seen | None:
        """Return what the registry shows for a variant; `None` where it could not be read."""
        if self._polled.outage is not None:
            return None
        return self._shown.get(variant, Seen(sighting=None))

    def _end_turn(self, variant: Variant, turn: "asyncio.Task[None]") -> None:
        if variant in self._turns and self._turns[variant][1] is turn:
            del self._turns[variant]

    async def _turn(self, variant: Variant, seen: Seen | None) -> None:
        try:
            await self._follow(variant, seen)
        except Exception as error:  # one target's trouble is its own, and ends no engine
            log.exception("%s cannot be followed", variant)
            problem = f"{variant} cannot be followed: {why_not(error, within_s=0)}"
            if variant in self._followed:
                self._followed[variant] = replace(self._followed[variant], problem=problem)
                await self._tell(variant)

    async def _follow(self, variant: Variant, seen: Seen | None) -> None:
        followed = self._followed[variant]
        denied = self._polled.is_denied if seen is None else seen.is_denied
        if denied:
            followed = self._followed[variant] = replace(followed, is_known=True)
            if followed.is_from_memory:
                followed = await self._give_up_memory(variant)
        if (seen is None or seen.trouble is not None) and followed.in_place is None and not followed.is_known:
            await self._start_from_memory(variant)
            followed = self._followed[variant]
        if seen is not None:
            if seen.trouble is None:
                self._preparations.break_off_unless(variant, seen.sighting)
            step, followed = next_step(followed, seen, time.monotonic())
            self._followed[variant] = followed
            if variant.name == STABLE and self._is_of_the_past(followed, seen):
                self._index.forget(variant.target)
            if step is NextStep.TAKE_OUT:  # before anything is waited for: a turn may be broken off
                log.warning("%s is not served any more: %s", variant, followed.problem)
                await self._placing.take_out(variant)
            await self._tell(variant)
            if step is NextStep.PREPARE and seen.sighting is not None:
                await self._move(variant, seen.sighting, is_recorded=seen.is_recorded)
        await self._tell(variant)

    async def _give_up_memory(self, variant: Variant) -> Followed:
        """Serve no more what memory alone had: this engine may not know what is there."""
        given_up = replace(self._followed[variant], in_place=None, is_from_memory=False)
        self._followed[variant] = given_up
        self._index.forget(variant.target)
        log.warning("%s is not served any more: this engine may not read it", variant)
        await self._placing.take_out(variant)
        return given_up

    def _is_of_the_past(self, followed: Followed, seen: Seen) -> bool:
        """Return whether a later start has nothing to begin with: the history took it out, or nothing is there."""
        is_empty = seen.sighting is None and seen.trouble is None
        return is_empty and (seen.is_emptied or followed.in_place is None)

    async def _start_from_memory(self, variant: Variant) -> None:
        """Serve what was there before, from the cache alone."""
        if variant.name != STABLE:
            return
        target = variant.target
        sighting = self._index.remembered(target)
        is_recorded = self._index.was_recorded(target)
        if sighting is None or not (is_recorded or self._watch.may_be_unrecorded()):
            return
        try:
            prepared = await asyncio.to_thread(self._index.find, sighting)
            if prepared is not None:
                await self._put_in_place(variant, prepared, is_recorded=is_recorded, is_from_memory=True)
        except SlipwayError as error:
            log.error("%s cannot be started from the cache: %s", target, error.message)

    async def _move(self, variant: Variant, seen: Sighting, *, is_recorded: bool) -> None:
        """Put a version in place where it is prepared; else have it prepared, and leave all as it is."""
        try:
            prepared = await self._preparations.prepared(variant, seen)
            if prepared is not None:
                await self._put_in_place(variant, prepared, is_recorded=is_recorded)
        except SlipwayError as error:
            if error.code == "no-worker":  # no fault of the version's: as soon as there is one
                return
            log.error("%s/%d cannot be served: %s", variant.target.model, seen.number, error.message)
            why = f"{error.message} ({error.hint})" if error.hint else error.message
            self._followed[variant] = failed(self._followed[variant], seen, why, time.monotonic())

    async def _put_in_place(
        self, variant: Variant, prepared: Prepared, *, is_recorded: bool, is_from_memory: bool = False
    ) -> None:
        """Have every worker serve a version; that no decision put it there is said with its first answer."""
        with contextlib.ExitStack() as files:
            files.enter_context(self._hold_files(Path(prepared.folder)))

            def placed(prepared: Prepared) -> None:
                self._note_placed(variant, prepared, files.pop_all(), is_recorded=is_recorded)
                self._followed[variant] = replace(self._followed[variant], is_from_memory=is_from_memory)

            await self._placing.move(variant, prepared, is_recorded=is_recorded, placed=placed)

    def _note_placed(
        self, variant: Variant, prepared: Prepared, files: AbstractContextManager[Any], *, is_recorded: bool
    ) -> None:
        """Note what serves from this moment on, in every place that says so: nothing may be waited for in between."""
        followed = self._followed[variant]
        before = f" in place of {followed.in_place.number}" if followed.in_place else ""
        log.info("%s: version %d answers%s", variant, prepared.number, before)
        self._followed[variant] = replace(succeeded(followed, prepared), is_recorded=is_recorded)
        self._hold(variant, files)
        self._since[variant] = datetime.now(UTC)
        self._remember(variant, prepared.sighting, is_recorded=is_recorded)
        self._said.pop(variant, None)
        self._beating.now()

    def _remember(self, variant: Variant, sighting: Sighting, *, is_recorded: bool) -> None:
        """Note what serves a target, for a start while the registry is away; serving does not depend on it."""
        if variant.name != STABLE:
            return
        try:
            self._index.remember(variant.target, sighting, is_recorded=is_recorded)
        except OSError as error:
            log.error("what serves %s cannot be noted for a start without the registry: %s", variant, error)

    @contextlib.contextmanager
    def _hold_files(self, folder: Path) -> Iterator[None]:
        """Keep files from being evicted; on a disk that takes no lock, nothing evicts them either."""
        with contextlib.ExitStack() as held:
            try:
                if folder != self._settings.image:  # which is no part of the cache, and stays as it is
                    held.enter_context(self._files.hold(folder))
            except OSError as error:
                log.error("%s cannot be held in the cache: %s", folder, error)
            yield

    def _hold(self, variant: Variant, held: AbstractContextManager[Any]) -> None:
        """Keep the files of the version that is serving, and of the one before it, from being evicted."""
        holds = self._held.setdefault(variant, deque())
        holds.append(held)
        while len(holds) > HELD_EACH:
            holds.popleft().__exit__(None, None, None)

    async def _tell(self, variant: Variant) -> None:
        """Tell the workers what is wrong with a target, and whether a decision put it there, when that changes."""
        followed = self._followed[variant]
        problem, is_recorded = self._problem(followed), followed.is_recorded
        problem_before, was_recorded = self._said.get(variant, (None, True))
        self._said[variant] = problem, is_recorded
        if problem and problem != problem_before and not self._polled.outage:
            log.warning("%s: %s", variant, problem)
        if not is_recorded and was_recorded:
            log.warning('%s is %s; slipway adopt %s --reason "…"', variant, UNRECORDED, variant.target)
        wanted = self._placing.wanted.get(variant)
        if wanted is not None and wanted.is_recorded != is_recorded:
            self._remember(variant, wanted.prepared.sighting, is_recorded=is_recorded)
            await self._placing.say_recorded(variant, is_recorded=is_recorded)
        note = Note(problem=problem, preparing=self._preparations.number(variant))
        if variant.name == STABLE and self._placing.note_of(variant.target) != note:
            await self._placing.note(variant.target, note)
            self._beating.now()

    def _problem(self, followed: Followed) -> str | None:
        return problem_of(followed) or self._polled.outage or self._placing.trouble(followed.variant.target)

    def _described(self, target: Target) -> dict[str, Any]:
        variant = Variant(target)
        followed = self._followed[variant]
        return {
            "name": target.model,
            "stage": target.stage,
            "version": followed.in_place.number if followed.in_place else None,
            "preparing": self._preparations.number(variant),
            "problem": self._problem(followed),
            "recorded": followed.is_recorded,
        }

    def _beats(self) -> list[Heartbeat]:
        return [self._heartbeat(each) for each in self._followed.values()]

    def _heartbeat(self, followed: Followed) -> Heartbeat:
        target = followed.variant.target
        return Heartbeat(
            engine=self._engine,
            model=target.model,
            stage=target.stage,
            variant=followed.variant.name,
            version=followed.in_place.number if followed.in_place else None,
            since=self._since.get(followed.variant),
            at=datetime.now(UTC),
            runner=None,
            address=self._address,
            problem=self._problem(followed) or (None if followed.is_recorded else UNRECORDED),
        )
