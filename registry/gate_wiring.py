"""How the commands that assess get their gate; it imports what loads models."""

from registry.check_runner import run_checks
from registry.decide import Ledger
from registry.evidence import Tools
from registry.gate import Gate
from registry.mlflow_model import input_example, load_as_served, load_steady_model
from registry.outside import Outside
from registry.skops_types import untrusted_types


def open_gate(ledger: Ledger, outside: Outside) -> Gate:
    """Return the gate on a ledger, with checks in processes of their own."""
    tools = Tools(
        load=load_steady_model,
        load_as_served=load_as_served,
        example=input_example,
        serve=outside.serve,
        untrusted=untrusted_types,
    )
    return Gate(ledger=ledger, tools=tools, read_rows=outside.read_rows, run_checks=run_checks)
