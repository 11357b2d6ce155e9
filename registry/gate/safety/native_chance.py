"""Parts that draw random numbers when they are asked: what was measured of them is not what callers get.

A generator's state is the file's own: it may draw as the gate likes to see it for ten thousand rows, and otherwise
afterwards.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

BY_CHANCE = ("stratified", "uniform")


def _dummy(fitted: Any) -> Iterator[str]:
    if fitted.strategy in BY_CHANCE:
        yield f"answers by chance (strategy={fitted.strategy!r})"


def _imputer(fitted: Any) -> Iterator[str]:
    if fitted.sample_posterior:
        yield "fills in values by chance (sample_posterior)"


def _patches(fitted: Any) -> Iterator[str]:
    if fitted.max_patches is not None:
        yield f"takes patches by chance (max_patches={fitted.max_patches!r})"


def draws_on(part: Any) -> Iterator[str]:
    """Say where a part draws from a generator that goes on from one request to the next: a number begins anew."""
    given = getattr(part, "__dict__", {}).get("random_state")
    if isinstance(given, np.random.RandomState | np.random.Generator | np.random.BitGenerator):
        yield f"draws from a {type(given).__name__} that goes on from request to request (random_state)"


CHANCE: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "sklearn.dummy.DummyClassifier": _dummy,
    "sklearn.impute._iterative.IterativeImputer": _imputer,
    "sklearn.feature_extraction.image.PatchExtractor": _patches,
}
