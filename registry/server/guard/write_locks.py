"""The port by which a server keeps files still while it decides about them: who stores a file, and who looks.

Whoever stores a file shares every folder above it. Whoever decides about a version, or removes a folder, has that one
alone, and shares what is above. So they wait for each other where one touches the other's place, and nowhere else.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from slipway.registry.artifacts.locations import Place

WAIT_S = 30.0


class WriteLocks(Protocol):
    """Locks on places, between all workers of a server; each is free again when its holder dies."""

    def shared(self, place: Place) -> AbstractContextManager[None]:
        """Hold the place of a file that is stored: others may store there too, and nobody decides.

        Raises Unavailable where somebody has it alone for half a minute, or, at the end, where the lock was lost.
        """

    def alone(self, places: Iterable[Place]) -> AbstractContextManager[None]:
        """Hold places with all that is below them: nobody else stores, removes or decides there.

        Raises Unavailable where somebody else stores there for half a minute.
        """


def needed_to_store(place: Place) -> Mapping[Place, bool]:
    """Return each place that has to be held for a file that is stored, and whether alone: none is."""
    return dict.fromkeys((*place.ancestors(), place), False)


def needed_alone(places: Iterable[Place]) -> Mapping[Place, bool]:
    """Return each place that has to be held for places to be still, and whether alone.

    >>> [(place.parts, alone) for place, alone in needed_alone([Place("b", ("0", "m"))]).items()]
    [((), False), (('0',), False), (('0', 'm'), True)]
    """
    wanted = set(places)
    above = {each for place in wanted for each in place.ancestors()}
    return {place: place in wanted for place in sorted(wanted | above, key=lambda each: (each.store, each.parts))}
