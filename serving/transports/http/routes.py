"""Which URL asks which target in which form."""

from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from slipway.registry.errors import NotFound
from slipway.serving.engine.engine import Engine, Slot
from slipway.serving.protocols.mlflow.forms import FORMS, Form

Route = tuple[Slot, Form]


def scoring_routes(engine: Engine) -> Mapping[bytes, Route]:
    """Return raw path → target and form, for the targets that there are now.

    A target is asked as `/models/cancer@production/…`; by its model's name alone where the engine serves one stage of
    it (the first given, else); and without a name where there is one target.

    No path has two meanings: a model whose own name holds an `@` could be called like another one's stage, and is asked
    as `/models/NAME@STAGE/…` alone; one whose name holds a code (`a%20b`) is asked by that name encoded.
    """
    slots = list(engine.slots.values())
    routes: dict[bytes, Route] = {}
    for form in FORMS.values():
        for slot in reversed(slots):
            for name in names_of(slot):
                for written in {quote(name), quote(name, safe=""), *([name] if unquote(name) == name else [])}:
                    routes[f"/models/{written}/{form.name}".encode()] = (slot, form)
        if len(slots) == 1:
            routes[f"/{form.name}".encode()] = (slots[0], form)
    return routes


def names_of(slot: Slot) -> Iterator[str]:
    """Yield the names by which a target is asked, each of them no other's."""
    yield str(slot.target)
    if "@" not in slot.target.model:
        yield slot.target.model


def find_slot(engine: Engine, name: str) -> Slot:
    """Return the target that a URL names, with or without its stage.

    Raises
    ------
    NotFound
        No such target is served; those that are, are named.
    """
    for slot in engine.slots.values():
        if name in names_of(slot):
            return slot
    raise NotFound(f"no model '{name}' is served here; there are: {_known(engine)}", code="unknown-model", hint=None)


def no_such_route(engine: Engine, path: str) -> NotFound:
    """Return what to say to a path that nothing answers."""
    if path.strip("/") in FORMS:
        several = f"this engine serves {len(engine.slots)} models; name one of: {_known(engine)}"
        return NotFound(several, code="which-model", hint=f"POST /models/NAME/{path.strip('/')}")
    return NotFound(
        f"nothing is at {path[:200]!r}; models: {_known(engine)}",
        code="unknown-path",
        hint="POST /models/NAME/invocations, /models/NAME/predict; GET /models, /health, /ready, /metrics",
    )


def _known(engine: Engine) -> str:
    return ", ".join(map(str, engine.slots)) or "none"
