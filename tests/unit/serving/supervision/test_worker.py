"""What a worker keeps, and what it gives up."""

import gc
import weakref

from slipway.serving.supervision.worker import _settle


class Version:
    """A version whose objects refer to each other, as a pipeline's do."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_given_up_is_freed_though_it_was_put_aside():
    """The collector never looks again at what was frozen: each swap would leave a version behind."""
    kept, given_up = Version(), Version()
    seen = weakref.ref(given_up)
    _settle()
    del given_up
    gc.collect()
    assert seen() is not None
    _settle()
    assert seen() is None
    assert kept.itself is kept
    gc.unfreeze()
