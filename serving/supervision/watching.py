"""What the registry shows of the targets that an engine follows: outages and refusals are told, never raised."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from slipway.registry.errors import SlipwayError, Unavailable, is_denied
from slipway.registry.text import one_line
from slipway.registry.versions.occupants import Views
from slipway.serving.supervision.following import Seen, seen_of
from slipway.serving.target import Target

log = logging.getLogger("slipway.serve")

POLL_WITHIN_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Polled:
    """What polling brought: what is to be served as each target; `outage` is why the registry could not be read.

    `is_denied` says that it may not be read by this engine.
    """

    seen: Mapping[Target, Seen]
    outage: str | None = None
    is_denied: bool = False


class Watch:
    """Polls registry and history. With a `stage` it follows every model that has a version there.

    `had_history` says that an engine has seen a history there before: one that is not there now is an outage.
    """

    def __init__(
        self,
        stage_views: Views,
        *,
        stage: str | None,
        require_history: bool | None,
        decided_at_server: bool,
        had_history: bool = False,
    ) -> None:
        self._had_history = had_history
        self._stage_views = stage_views
        self._stage = stage
        self._require_history = require_history
        self._decided_at_server = decided_at_server
        self._is_away = False

    async def poll(self, followed: Collection[Target]) -> Polled:
        """Return what the registry shows of these targets, and of those that are new in the stage."""
        wanted = set(followed)
        try:
            seen = await asyncio.wait_for(asyncio.to_thread(self._read, wanted), POLL_WITHIN_S)
        except Exception as error:  # whatever comes back from there: what is serving goes on
            why = why_not(error, within_s=POLL_WITHIN_S)
            if not self._is_away:
                log.warning("the registry cannot be read, and what is serving goes on: %s", why)
            self._is_away = True
            return Polled(seen={}, outage=f"the registry cannot be read: {why}", is_denied=is_denied(error))
        if self._is_away:
            log.info("the registry can be read again")
        self._is_away = False
        self._had_history = self.has_history
        return Polled(seen=seen)

    @property
    def has_history(self) -> bool:
        """Return whether there is a history, or was one."""
        return self._had_history or self._stage_views.has_history

    def may_be_unrecorded(self) -> bool:
        """Return whether what no decision chose may serve while nobody can be asked, by what is set and what is known.

        A server may guard its stages, which nobody can see while it is away.
        """
        return not self._decided_at_server if self._require_history is None else not self._require_history

    def _read(self, followed: set[Target]) -> Mapping[Target, Seen]:
        there: set[Target] = set()
        if self._stage is not None:
            there = {Target(model, self._stage) for model in self._stage_views.models_with(self._stage)}
        wanted = followed | there
        shown = self._stage_views.look({(each.model, each.stage) for each in wanted}) if wanted else {}
        if self._had_history and self._decided_at_server and wanted and not self._stage_views.has_history:
            raise Unavailable(
                "the server has a history, and answers as if it had none", code="history-away", hint="slipway doctor"
            )
        required = self._requires_history()
        return {
            target: seen_of(target, shown.get((target.model, target.stage)), require_history=required)
            for target in wanted
        }

    def _requires_history(self) -> bool:
        """Return whether only what was decided is served: as it is set, else where a server guards its stages."""
        asked = self._require_history
        return asked if asked is not None else self._decided_at_server and self._stage_views.has_history


def why_not(error: Exception, *, within_s: float) -> str:
    """Return in one line why something was not to be had."""
    if isinstance(error, SlipwayError):
        return error.message
    if isinstance(error, TimeoutError):
        return f"no answer within {within_s:g} s"
    return one_line(f"{type(error).__name__}: {error}")
