"""Generators of random numbers: the place at which one goes on is within what it has drawn."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

DRAWN = {"MT19937": 624, "Philox": 4}


def _legacy(random: Any) -> Iterator[str]:
    yield from _place(random.get_state(legacy=False))


def _generator(random: Any) -> Iterator[str]:
    yield from _place(random.bit_generator.state)


def _place(state: Mapping[str, Any]) -> Iterator[str]:
    drawn = DRAWN.get(state["bit_generator"])
    place = state.get("buffer_pos", state["state"].get("pos", 0))
    if drawn is not None and not 0 <= place <= drawn:
        yield f"goes on at place {place} of {drawn}"


RANDOM: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "numpy.random.mtrand.RandomState": _legacy,
    "numpy.random._generator.Generator": _generator,
}
