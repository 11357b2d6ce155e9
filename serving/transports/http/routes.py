"""Which URL asks which target by which protocol."""

from collections.abc import Collection, Mapping
from urllib.parse import unquote_to_bytes

import httptools

from slipway.registry.errors import NotFound
from slipway.registry.text import counted
from slipway.serving.engine.engine import Engine, WireProtocol
from slipway.serving.engine.routing import Placement
from slipway.serving.transports.placements import known_targets, names_of

Route = tuple[Placement, WireProtocol]
Words = tuple[str, ...]
# Clients spell a path in few ways, and shortly; who sends ever new ones is not remembered.
MOST_SPELLINGS, LONGEST_SPELLING = 4096, 512


def words_of(url: bytes) -> Words:
    """Return the words of a URL's path, each decoded once and after they were parted; a slash at the end adds none.

    >>> words_of(b"/models/gr%c3%b6%C3%9Fe%20(1)/predict/?trace=1")
    ('models', 'größe (1)', 'predict')
    >>> words_of(b"http://host/models/a%2Fb+c")
    ('models', 'a/b+c')

    What is no UTF-8 is kept apart from every name that is.

    Raises
    ------
    httptools.HttpParserInvalidURLError
        It is no URL.
    """
    path: bytes = httptools.parse_url(url).path or b"/"
    _, *words = path.removesuffix(b"/").split(b"/")
    return tuple(unquote_to_bytes(word).decode(errors="surrogateescape") for word in words)


class Routes(dict[bytes, Route | None]):
    """URL as it is sent → target and protocol, or `None`; filled as URLs come, for the targets that there were then.

    A URL that was seen before costs one look-up. Others are decoded, so that all ways to write a path mean the same.
    """

    def __init__(self, routes: Mapping[Words, Route]) -> None:
        super().__init__()
        self._routes = routes

    def __missing__(self, url: bytes) -> Route | None:
        """Return what a URL asks that was not seen before."""
        route = self._routes.get(words_of(url))
        if route is not None and len(url) <= LONGEST_SPELLING and len(self) < MOST_SPELLINGS:
            self[url] = route
        return route


def scoring_routes(engine: Engine, protocols: Mapping[str, WireProtocol]) -> Routes:
    """Return the routes to the targets that there are now.

    A target is asked as `/models/cancer@production/…`; by its model's name alone where the engine serves one stage of
    it (the first given, else); and without a name where there is one target.

    No path has two meanings: a model whose own name holds an `@` could be called like another one's stage, and is asked
    as `/models/NAME@STAGE/…` alone; one whose name holds a code (`a%20b`) is asked by that name encoded (`a%2520b`);
    a `+` is a plus.
    """
    placements = list(engine.placements.values())
    routes: dict[Words, Route] = {}
    for last, protocol in protocols.items():
        for placement in reversed(placements):
            routes |= {("models", name, last): (placement, protocol) for name in names_of(placement)}
        if len(placements) == 1:
            routes[last,] = (placements[0], protocol)
    return Routes(routes)


def no_such_route(engine: Engine, protocols: Collection[str], words: Words) -> NotFound:
    """Return what to say to a path that nothing answers."""
    if len(words) == 1 and words[0] in protocols:
        several = f"this engine serves {counted(len(engine.placements), 'model')}; name one of: {known_targets(engine)}"
        return NotFound(several, code="which-model", hint=f"POST /models/NAME/{words[0]}")
    path = "/" + "/".join(words)
    return NotFound(
        f"nothing is at {path[:200]!r}; models: {known_targets(engine)}",
        code="unknown-path",
        hint="POST /models/NAME/invocations, /models/NAME/predict; GET /models, /health, /ready, /metrics",
    )
