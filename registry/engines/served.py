"""Who serves what: the engines' own words, put beside what the history says."""

from collections.abc import Collection, Sequence

from slipway.registry.engines.heartbeats import STABLE, Heartbeat
from slipway.registry.problem import Problem


def served_by(beats: Sequence[Heartbeat], *, model: str, stage: str, version: str) -> tuple[str, ...]:
    """Return one text for each living engine of a stage: where, since when, and what is not as it should be."""
    return tuple(_said(beat, version) for beat in beats if (beat.model, beat.stage) == (model, stage))


def still_served(beats: Sequence[Heartbeat], in_use: Collection[tuple[str, str]]) -> tuple[Problem, ...]:
    """Return a problem for each living engine that goes on in a stage that stands empty; `in_use` are the others.

    An engine keeps what it has, also when a decision took that out of the stage: to answer nothing is for people.
    """
    left = [beat for beat in beats if beat.version is not None]
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
