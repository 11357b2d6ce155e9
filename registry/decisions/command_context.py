"""What commands are given from other packages, and have opened for them; `slipway/command_line.py` wires it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `slipway --help` imports this module, and is not to import what decides
    from contextlib import AbstractContextManager
    from pathlib import Path

    from slipway.registry.decisions.decisions import Decisions
    from slipway.registry.decisions.status import Status
    from slipway.registry.ledger.history import History
    from slipway.registry.leftover import Leftover
    from slipway.registry.reading import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandContext:
    """`serve` starts a scoring server on a folder and asks it; `rehearse` opens its model as the engine would;
    `read_rows` reads a source with its target, as a `Reading` says.

    `serve` returns what `slipway.registry.gate.evidence.Served` says; `read_rows` a frame and its content digest.
    `decisions` opens the decisions of the ledger here or of a server, `status` tells what is in its stages without all
    that decisions need, `history` opens it for reading, without its tables being made. `identity` returns which
    identity in that history a model's name means now. `serving_cache` returns where the engine's cache is and how many
    bytes it may hold; `prepared_leftovers` which runners in a cache may go, and which stored files engines need. All
    are functions of a module, and import what they need when they are called.
    """

    serve: Callable[..., Any]
    rehearse: "Callable[[Path], AbstractContextManager[Any]]"
    read_rows: "Callable[[str, str, Reading], tuple[Any, str]]"
    decisions: "Callable[[], Decisions]"
    status: "Callable[[], Status]"
    history: "Callable[[], History]"
    identity: "Callable[[str, History], str]"
    serving_cache: "Callable[[], tuple[Path, int]]"
    prepared_leftovers: "Callable[[Path], tuple[list[Leftover], frozenset[Path]]]"
