"""Many places, asked at once which of them a write or a removal would touch. Pure.

Whether one of 10,000 places lies on the way to a file, or below a folder, is asked before each upload: it takes as many
steps as the path has parts.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

from slipway.registry.artifacts.locations import Place

T = TypeVar("T")


class PlaceIndex(Generic[T]):
    """Places with what lies there."""

    def __init__(self, entries: Iterable[tuple[Place, T]]) -> None:
        self._at: defaultdict[Place, list[T]] = defaultdict(list)
        self._below: defaultdict[Place, list[T]] = defaultdict(list)
        for place, entry in entries:
            self._at[place].append(entry)
            for above in place.ancestors():
                self._below[above].append(entry)

    def touched_by(self, place: Place) -> list[T]:
        """Return what writing or deleting at a place could change, as `Place.touches` has it."""
        return [*self.around(place), *self._below.get(place, ())]

    def around(self, place: Place) -> list[T]:
        """Return that in which a place lies, or which it is."""
        return [entry for above in (*place.ancestors(), place) for entry in self._at.get(above, ())]
