"""The ports that registry needs of the other two packages; `slipway.py` wires them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """`serve` starts a scoring server on a folder and asks it; `read_rows` reads a source with its target.

    `serve` returns what `registry.evidence.Served` says; `read_rows` a frame and its content digest. Both are functions
    of a module, and import what they need when they are called.
    """

    serve: Callable[..., Any]
    read_rows: Callable[[str, str], tuple[Any, str]]
