"""Who serves what: the engines' own words, put beside what the history says."""

from collections.abc import Collection, Sequence
from datetime import datetime

from slipway.registry.engines.heartbeats import STABLE, Heartbeat
from slipway.registry.problem import Problem


def served_by(beats: Sequence[Heartbeat], *, model: str, stage: str, version: str, now: datetime) -> tuple[str, ...]:
    """Return one text for each engine that serves a stage now: where, since when, and what is not as it should be."""
    mine = [beat for beat in beats if (beat.model, beat.stage) == (model, stage) and beat.is_alive(now)]
    return tuple(_said(beat, version) for beat in mine)


def still_served(beats: Sequence[Heartbeat], in_use: Collection[tuple[str, str]], now: datetime) -> tuple[Problem, ...]:
    """Return a problem for each engine that still serves a version whose stage stands empty; `in_use` are the others.

    An engine keeps what it has, also when a decision took that out of the stage: to answer nothing is for people.
    """
    left = [beat for beat in beats if beat.version is not None and beat.is_alive(now)]
    return tuple(_goes_on(beat) for beat in left if (beat.model, beat.stage) not in in_use)


def _goes_on(beat: Heartbeat) -> Problem:
    said = f"{_where(beat)} goes on serving {beat.model}/{beat.version}, and nothing is in {beat.stage} any more"
    other = f'slipway promote {beat.model}/N --to {beat.stage} --reason "…"'
    return Problem(model=beat.model, problem=said, hint=f"stop that engine, or put another version there: {other}")


def _said(beat: Heartbeat, version: str) -> str:
    if beat.version is None:
        return f"{_where(beat)}: nothing yet; {beat.problem or 'it is being prepared'}"
    since = f" since {beat.since:%H:%M:%S}" if beat.since else ""
    is_other = beat.variant == STABLE and str(beat.version) != version
    still = f" (not {version} yet)" if is_other else ""
    problem = f"; {beat.problem}" if beat.problem else ""
    return f"{_where(beat)}: {beat.version}{since}{still}{problem}"


def _where(beat: Heartbeat) -> str:
    return beat.address if beat.variant == STABLE else f"{beat.address} ({beat.variant})"
