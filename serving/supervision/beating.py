"""An engine's word on what it serves, said each so many seconds; serving does not depend on it."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from slipway.registry.engines.heartbeats import Heartbeat, Heartbeats
from slipway.registry.errors import SlipwayError
from slipway.serving.supervision.watching import why_not
from slipway.serving.waiting import set_within

log = logging.getLogger("slipway.serve")


class Beating:
    """Writes heartbeats; `now` has what there is to say said at once."""

    def __init__(
        self, heartbeats: Heartbeats | None, *, every_s: float, beats: Callable[[], Sequence[Heartbeat]]
    ) -> None:
        self._heartbeats = heartbeats
        self._every_s = every_s
        self._beats = beats
        self._has_news = asyncio.Event()
        self._fails = False

    def now(self) -> None:
        """Say what has changed."""
        self._has_news.set()

    async def run(self) -> None:
        """Say what is serving, for ever."""
        while self._heartbeats is not None:
            self._has_news.clear()
            try:
                if beats := self._beats():
                    await asyncio.to_thread(self._heartbeats.beat, beats)
                self._fails = False
            except Exception as error:  # whatever comes back from there: serving does not depend on it
                if not self._fails:
                    told = f" ({error.hint})" if isinstance(error, SlipwayError) and error.hint else ""
                    why = why_not(error, within_s=self._every_s)
                    log.warning("heartbeats cannot all be written, and serving goes on: %s%s", why, told)
                self._fails = True
            await set_within(self._has_news, self._every_s)
