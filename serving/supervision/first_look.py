"""What an engine is asked to serve, looked at once before it starts: who mistyped a name learns it, with the nearest.

Serving does not depend on it. A registry that does not answer soon is followed later, and what served here before is
served again whatever is said of its name.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from slipway.registry.errors import NotFound, SlipwayError
from slipway.registry.nearest import did_you_mean
from slipway.registry.versions.occupants import StageView, Views
from slipway.serving.supervision.watching import why_not
from slipway.serving.target import Target

log = logging.getLogger("slipway.serve")

WITHIN_S = 5.0
There = Mapping[Target, int | None]


def first_look(
    targets: Sequence[Target],
    *,
    stage: str,
    views: Views,
    stages_of: Callable[[str], Collection[str]],
    served_before: Callable[[Target], bool],
    within_s: float = WITHIN_S,
) -> There | None:
    """Return which version each target has now, `None` where it has none yet; without targets, of all in a stage.

    `stages_of` returns the stages of a model by the policy. Nothing is returned where that was not to be had in time.

    Raises
    ------
    NotFound
        A model is none, or a stage is not in the policy and nothing is in it; the nearest is named.
    """
    found: list[There] = []
    mistyped: list[NotFound] = []

    def look() -> None:
        try:
            there = _there(targets, stage, views)
            new = [target for target in there if there[target] is None and not served_before(target)]
            mistyped.extend(filter(None, (_mistyped(target, views, stages_of) for target in new)))
            found.append(there)
        except Exception as error:  # the supervisor tries again, and says what is wrong
            log.debug("what is there could not be looked at: %s", why_not(error, within_s=within_s))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(within_s)
    if found and mistyped:
        raise mistyped[0]
    return found[0] if found else None


def _there(targets: Sequence[Target], stage: str, views: Views) -> There:
    wanted = targets or [Target(model, stage) for model in views.models_with(stage)]
    seen = views.look([(each.model, each.stage) for each in wanted])
    return {each: _number(seen.get((each.model, each.stage))) for each in wanted}


def _number(view: StageView | None) -> int | None:
    """Return which version is in a stage: by the history where that has spoken of it, else by the alias."""
    if view is None or view.is_recorded or view.holder is None:
        return view.number if view else None
    return view.holder.number


def _mistyped(target: Target, views: Views, stages_of: Callable[[str], Collection[str]]) -> NotFound | None:
    """Return what to say where a name is probably meant to be another one."""
    names = views.model_names()
    if target.model not in names:
        near = did_you_mean(target.model, names)
        return NotFound(
            f"there is no model '{target.model}' to serve{near}",
            code="unknown-model",
            hint="register a version of it first, or correct the name",
        )
    try:
        stages = stages_of(target.model)
    except SlipwayError:
        return None
    if target.stage in stages:
        return None
    return NotFound(
        f"nothing of {target.model} is in '{target.stage}', and the policy has no such stage"
        f"{did_you_mean(target.stage, stages)}; it has: {', '.join(stages)}",
        code="unknown-stage",
        hint="correct the stage, or declare it in promotion.yaml",
    )
