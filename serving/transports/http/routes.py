"""Which URL asks which target in which form."""

from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote, unquote

from slipway.registry.errors import NotFound
from slipway.serving.engine.engine import Engine, WireProtocol
from slipway.serving.engine.routing import Placement

Route = tuple[Placement, WireProtocol]


def scoring_routes(engine: Engine, protocols: Mapping[str, WireProtocol]) -> Mapping[bytes, Route]:
    """Return raw path → target and protocol, for the targets that there are now.

    A target is asked as `/models/cancer@production/…`; by its model's name alone where the engine serves one stage of
    it (the first given, else); and without a name where there is one target.

    No path has two meanings: a model whose own name holds an `@` could be called like another one's stage, and is asked
    as `/models/NAME@STAGE/…` alone; one whose name holds a code (`a%20b`) is asked by that name encoded.
    """
    placements = list(engine.placements.values())
    routes: dict[bytes, Route] = {}
    for last, protocol in protocols.items():
        for placement in reversed(placements):
            for name in names_of(placement):
                for written in {quote(name), quote(name, safe=""), *([name] if unquote(name) == name else [])}:
                    routes[f"/models/{written}/{last}".encode()] = (placement, protocol)
        if len(placements) == 1:
            routes[f"/{last}".encode()] = (placements[0], protocol)
    return routes


def names_of(placement: Placement) -> Iterator[str]:
    """Yield the names by which a target is asked, each of them no other's."""
    yield str(placement.target)
    if "@" not in placement.target.model:
        yield placement.target.model


def find_placement(engine: Engine, name: str) -> Placement:
    """Return the target that a URL names, with or without its stage.

    Raises
    ------
    NotFound
        No such target is served; those that are, are named.
    """
    for placement in engine.placements.values():
        if name in names_of(placement):
            return placement
    raise NotFound(f"no model '{name}' is served here; there are: {_known(engine)}", code="unknown-model", hint=None)


def no_such_route(engine: Engine, protocols: Collection[str], path: str) -> NotFound:
    """Return what to say to a path that nothing answers."""
    if path.strip("/") in protocols:
        several = f"this engine serves {len(engine.placements)} models; name one of: {_known(engine)}"
        return NotFound(several, code="which-model", hint=f"POST /models/NAME/{path.strip('/')}")
    return NotFound(
        f"nothing is at {path[:200]!r}; models: {_known(engine)}",
        code="unknown-path",
        hint="POST /models/NAME/invocations, /models/NAME/predict; GET /models, /health, /ready, /metrics",
    )


def _known(engine: Engine) -> str:
    return ", ".join(map(str, engine.placements)) or "none"
