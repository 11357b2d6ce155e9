"""Asking about many things of which each may be refused for itself: one's trouble is not that of the others."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from slipway.registry.errors import SlipwayError, Unavailable

Key = TypeVar("Key")
Found = TypeVar("Found")


def each_for_itself(
    keys: Collection[Key],
    ask: Callable[[Collection[Key]], Mapping[Key, Found]],
    *,
    in_time: Callable[[], bool] = lambda: True,
) -> tuple[dict[Key, Found], dict[Key, SlipwayError]]:
    """Return the answers, and why there is none about the rest: all are asked about at once, and apart if that fails.

    Raises
    ------
    Unavailable
        Nothing answers, and it is not in time any more to ask about each.
    """
    try:
        return dict(ask(keys)), {}
    except SlipwayError as error:
        if isinstance(error, Unavailable) and not in_time():
            raise
        if len(keys) == 1:
            return {}, dict.fromkeys(keys, error)
    found: dict[Key, Found] = {}
    troubles: dict[Key, SlipwayError] = {}
    for key in keys:
        more, trouble = each_for_itself([key], ask, in_time=in_time)
        found |= more
        troubles |= trouble
    return found, troubles
