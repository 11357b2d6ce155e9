"""Versions on their way to be opened: found in the index, or made by a child process that nobody waits for."""

import asyncio
import logging
import os
from collections.abc import Callable

from slipway.registry.errors import SlipwayError, Unavailable
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.preparation.preparing import PrepareJob, prepare_in_child
from slipway.serving.settings import ServingSettings
from slipway.serving.target import Sighting, Target, Variant

log = logging.getLogger("slipway.serve")


class Preparations:
    """The children that prepare, one for a variant at most; `wake` is called when one ends."""

    def __init__(
        self, index: PreparedVersions, settings: ServingSettings, *, registry: str, wake: Callable[[], object]
    ) -> None:
        self._index = index
        self._settings = settings
        self._registry = registry
        self._wake = wake
        self._under_way: dict[Variant, tuple[Sighting, asyncio.Task[Prepared]]] = {}
        self._children = asyncio.Semaphore(os.cpu_count() or 1)

    async def prepared(self, variant: Variant, sighting: Sighting) -> Prepared | None:
        """Return a version that can be opened; `None` while a child prepares it.

        Raises
        ------
        SlipwayError
            It could not be prepared.
        """
        if variant in self._under_way:
            child = self._under_way[variant][1]
            if not child.done():
                return None
            del self._under_way[variant]
            return child.result()
        try:
            found = await asyncio.to_thread(self._index.find, sighting)
        except SlipwayError as error:
            log.warning("%s/%d is prepared anew: %s", variant.target.model, sighting.number, error.message)
            found = None
        if found is None:
            child = asyncio.create_task(self._prepare(variant.target, sighting))
            child.add_done_callback(lambda _: self._wake())
            self._under_way[variant] = sighting, child
        return found

    async def prove(self, variant: Variant, prepared: Prepared) -> Prepared:
        """Have a child prepare a version anew, and open and ask it; raises SlipwayError where that fails.

        While the registry is away, it is what it was, if that is whole.
        """
        try:
            return await self._prepare(variant.target, prepared.sighting)
        except Unavailable:
            found = await asyncio.to_thread(self._index.find, prepared.sighting)
            if found is None:
                raise
            return found

    def number(self, variant: Variant) -> int | None:
        """Return which version is being prepared, if one is."""
        return self._under_way[variant][0].number if variant in self._under_way else None

    def break_off_unless(self, variant: Variant, wanted: Sighting | None) -> None:
        """Stop preparing what the registry shows no more."""
        if variant in self._under_way and self._under_way[variant][0] != wanted:
            self._under_way.pop(variant)[1].cancel()

    def close(self) -> None:
        """End all children."""
        for _, child in self._under_way.values():
            child.cancel()

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
            image=str(settings.image) if settings.image else None,
        )
        log.info("preparing %s/%d for %s", target.model, seen.number, target.stage)
        async with self._children:
            return await prepare_in_child(
                job,
                memory_bytes=settings.prepare_memory_mb * 2**20,
                within_s=settings.prepare_within_s,
                log=settings.cache.absolute().parent / "logs" / "prepare.log",
            )
