"""How the commands that assess get their gate; what loads models is imported where the checks are made."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from slipway.registry.gate.check_runner import quietly, run_checks
from slipway.registry.gate.check_server import UNTRUSTED_TYPES
from slipway.registry.gate.evidence import Tools
from slipway.registry.gate.gate import Gate
from slipway.registry.late import call
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.reading import Reading

MODELS = "slipway.registry.gate.mlflow_model"


class ModelAccess(Protocol):
    """What reaches models and rows from the packages beside this one."""

    @property
    def serve(self) -> Callable[..., Any]:
        """Return what starts a scoring server on a folder and asks it: `Served` of `slipway.registry.gate.evidence`."""

    @property
    def rehearse(self) -> Callable[[Any], AbstractContextManager[Any]]:
        """Return what opens a folder's model as the serving engine would."""

    @property
    def read_rows(self) -> Callable[[str, str, Reading], tuple[Any, str]]:
        """Return what reads a source with its target, certain words being missing: a frame and its content digest."""


def open_gate(
    ledger: Ledger,
    context: ModelAccess,
    *,
    runs_are_ours: bool = True,
    own_checks: Path | None = None,
    tell: Callable[[str], None] = quietly,
) -> Gate:
    """Return the gate on a ledger, with checks in processes of their own; `tell` is told of each that ends.

    `runs_are_ours` says that nobody else writes the runs that are judged, as others do at a server; `own_checks` is the
    folder in which functions of one's own are found.
    """
    tools = Tools(
        load=partial(call, MODELS, "load_steady_model"),
        load_as_served=partial(call, MODELS, "load_as_served"),
        example=partial(call, MODELS, "input_example"),
        serve=context.serve,
        rehearse=context.rehearse,
        untrusted=partial(call, UNTRUSTED_TYPES, "untrusted_types"),
    )
    return Gate(
        ledger=ledger,
        tools=tools,
        read_rows=context.read_rows,
        run_checks=partial(run_checks, tell=tell),
        runs_are_ours=runs_are_ours,
        own_checks=own_checks,
    )
