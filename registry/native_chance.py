"""Parts that draw random numbers when they are asked: what was measured of them is not what callers get.

A generator's state is the file's own: it may draw as the gate likes to see it for ten thousand rows, and otherwise
afterwards.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

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


CHANCE: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "sklearn.dummy.DummyClassifier": _dummy,
    "sklearn.impute._iterative.IterativeImputer": _imputer,
    "sklearn.feature_extraction.image.PatchExtractor": _patches,
}
