"""How commands talk: documents and tables on standard output, everything else on standard error."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slipway.registry.standard_output import DOCUMENTS
from slipway.registry.text import shown

json_option: Callable[..., Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print exactly one JSON document on standard output."
)


def some_text(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Return what an option was given; an empty text, such as an unset variable leaves, is not taken for none."""
    if text is not None and not text.strip():
        raise click.BadParameter("it is empty; give a text, or leave the option out")
    return text


def say(line: str) -> None:
    """Tell a person something on standard error."""
    click.echo(shown(line), err=True)


def print_document(document: Any) -> None:
    """Print one JSON document on standard output."""
    DOCUMENTS.write(json.dumps(document, indent=2, allow_nan=False))


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title and rows under headers on standard output, as wide as the content in a pipe."""
    table = Table()
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))  # what people write is no markup: "[cloudpickle]" is shown
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)
    console.print(Text(shown(title), style="bold"))
    console.print(table)
