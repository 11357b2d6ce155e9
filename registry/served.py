"""Who serves what: the engines' own words, put beside what the history says."""

from collections.abc import Sequence
from datetime import datetime

from registry.heartbeats import Heartbeat


def served_by(beats: Sequence[Heartbeat], *, model: str, stage: str, version: str, now: datetime) -> tuple[str, ...]:
    """Return one text for each engine that serves a stage now: where, since when, and what is not as it should be."""
    mine = [beat for beat in beats if (beat.model, beat.stage) == (model, stage) and beat.is_alive(now)]
    return tuple(_said(beat, version) for beat in mine)


def _said(beat: Heartbeat, version: str) -> str:
    if beat.version is None:
        return f"{beat.address}: nothing yet; {beat.problem or 'it is being prepared'}"
    since = f" since {beat.since:%H:%M:%S}" if beat.since else ""
    still = "" if str(beat.version) == version else f" (not {version} yet)"
    problem = f"; {beat.problem}" if beat.problem else ""
    return f"{beat.address}: {beat.version}{since}{still}{problem}"
