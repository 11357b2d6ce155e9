"""Which version does a caller ask who names one? Any that serves here: in a stage, or as a variant.

One that a decision took out is kept warm for a quick way back, and answers nobody: it may be harmful, archived, or
another one by its number than the registry has now.
"""

from collections.abc import Iterator
from time import perf_counter

from slipway.registry.errors import NotFound
from slipway.serving.engine.engine import Engine, Request, WireProtocol, nothing_in_place
from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.routing import Choice, Placement, routed
from slipway.serving.transports.placements import find_placement


def placements_of(engine: Engine, name: str) -> list[Placement]:
    """Return the stages of a model, the one first that answers to its name alone; of `cancer@production` that one.

    Raises
    ------
    NotFound
        No such model is served.
    """
    first = find_placement(engine, name)
    if name == str(first.target):
        return [first]
    return [first, *(each for each in engine.placements.values() if each is not first and _is_of(each, first))]


def _is_of(placement: Placement, first: Placement) -> bool:
    return placement.target.model == first.target.model


def serving_versions(engine: Engine, name: str) -> Iterator[tuple[Placement, Loaded, str]]:
    """Yield a model's versions that serve here, each with what it serves as."""
    for placement in placements_of(engine, name):
        for variant, loaded in placement.variants.items():
            yield placement, loaded, f"{placement.target.stage}, {variant}"


def find_version(engine: Engine, name: str, number: str) -> tuple[Placement, Loaded]:
    """Return a version that serves here.

    Raises
    ------
    NotFound
        It is not; those that are, are named.
    """
    there = list(serving_versions(engine, name))
    for placement, loaded, _ in there:
        if str(loaded.number) == number:
            return placement, loaded
    named = "; ".join(f"{loaded.number} ({how})" for _, loaded, how in there) or "none"
    raise NotFound(
        f"model '{placements_of(engine, name)[0].target.model}' has no such version serving here; there are: {named}",
        code="unknown-version",
        hint="name one of these, or none: then the version that serves answers",
    )


def named_or_serving(engine: Engine, name: str, number: str | None) -> tuple[Placement, Loaded]:
    """Return the version that is named, else the one that serves.

    Raises
    ------
    NotFound, Unavailable
        There is none.
    """
    if number is not None:
        return find_version(engine, name, number)
    placement = find_placement(engine, name)
    if placement.stable is None:
        raise nothing_in_place(placement)
    return placement, placement.stable


def would_answer(engine: Engine, name: str, number: str | None) -> bool:
    """Return whether a model, or the version that is named, answers; raises NotFound where there is none."""
    if number is None:
        return find_placement(engine, name).is_ready
    return not find_version(engine, name, number)[1].threads.are_stuck


def numbers_of(engine: Engine, name: str) -> list[str]:
    """Return the numbers of a model's versions that serve here, each once."""
    return list(dict.fromkeys(str(loaded.number) for _, loaded, _ in serving_versions(engine, name)))


def arrived(
    engine: Engine, name: str, number: str | None, protocol: WireProtocol, body: bytes, request_id: str
) -> Request:
    """Return a request to a model, or to that version of it which the caller names."""
    context = routed(request_id, perf_counter())
    if number is None:
        return engine.arrive(find_placement(engine, name), protocol, body, b"application/json", context)
    placement, loaded = find_version(engine, name, number)
    return Request(placement, protocol, body, b"application/json", context, Choice(loaded))
