"""Who answers a request: chosen once, when it arrives, and kept whatever becomes of the request later."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.metrics import Tally
from slipway.serving.target import STABLE, Target

# Of its own: a model that seeds the generator that everybody shares must not decide who answers next.
_draws = random.Random()


# These two are msgspec's and no dataclasses: there is one of each for each request.
class RoutingContext(Struct, frozen=True, gc=False):
    """What a choice may depend on.

    `started` is when the request's last byte was read (`perf_counter`, s), and `draw` is uniform in [0, 1). `key` is
    what callers who are to meet the same variant again have in common, and `caller` who asks, where either is known.
    """

    request_id: str
    started: float
    draw: float
    key: str | None = None
    caller: str | None = None


class Choice(Struct, frozen=True, gc=False):
    """Who answers; `None` where nobody can. `weight` is the probability with which this choice was made, in (0, 1]."""

    answering: Loaded | None
    weight: float = 1.0


NOBODY = Choice(None)


@dataclass(slots=True, eq=False)
class Placement:
    """All that is in place for a target.

    `variants` is a variant's name → the version that serves as it; `warm` is the same for what served before, and is
    kept for a quick way back. `problem` is what is wrong with the newest, and `preparing` its number while it is not
    ready. `of_stable` is the choice that most requests get. `unserved` counts the requests that came while nothing
    could answer, by protocol.
    """

    target: Target
    variants: dict[str, Loaded] = field(default_factory=dict)
    warm: dict[str, Loaded] = field(default_factory=dict)
    problem: str | None = None
    preparing: int | None = None
    swaps: int = 0
    unserved: dict[str, Tally] = field(default_factory=dict)
    of_stable: Choice = field(default=NOBODY, init=False)

    @property
    def stable(self) -> Loaded | None:
        """Return the version that the registry has in the stage, as far as it is in place."""
        return self.of_stable.answering

    def put(self, loaded: Loaded) -> None:
        """Have a version serve as its variant from now on."""
        self.variants[loaded.variant] = loaded
        self.of_stable = Choice(self.variants.get(STABLE))

    def take_out(self, variant: str) -> list[Loaded]:
        """Have nothing serve as a variant, and return what did, and what was kept warm for it."""
        found = [held.pop(variant, None) for held in (self.variants, self.warm)]
        self.of_stable = Choice(self.variants.get(STABLE))
        return [loaded for loaded in found if loaded is not None]

    @property
    def is_ready(self) -> bool:
        """Return whether a version serves that answers."""
        return self.stable is not None and not self.stable.threads.are_stuck

    @property
    def open_versions(self) -> list[Loaded]:
        """Return every version that is open for this target."""
        return [*self.variants.values(), *self.warm.values()]


Chooser = Callable[[Placement, RoutingContext], Choice]


def routed(request_id: str, started: float, *, key: str | None = None) -> RoutingContext:
    """Return the context of a request that has just arrived, with its one random draw."""
    return RoutingContext(request_id, started, _draws.random(), key)


def stable_only(placement: Placement, context: RoutingContext) -> Choice:
    """Choose the version that is serving, whoever asks."""
    return placement.of_stable
