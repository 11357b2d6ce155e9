"""Which target a caller names."""

from collections.abc import Iterator

from slipway.registry.errors import NotFound
from slipway.serving.engine.engine import Engine
from slipway.serving.engine.routing import Placement


def names_of(placement: Placement) -> Iterator[str]:
    """Yield the names by which a target is asked, each of them no other's."""
    yield str(placement.target)
    if "@" not in placement.target.model:
        yield placement.target.model


def find_placement(engine: Engine, name: str) -> Placement:
    """Return the target that a caller names, with or without its stage.

    Raises
    ------
    NotFound
        No such target is served; those that are, are named.
    """
    for placement in engine.placements.values():
        if name in names_of(placement):
            return placement
    raise NotFound(
        f"no model {name[:200]!r} is served here; there are: {known_targets(engine)}", code="unknown-model", hint=None
    )


def known_targets(engine: Engine) -> str:
    """Return the targets that there are, to be shown."""
    return ", ".join(map(str, engine.placements)) or "none"
