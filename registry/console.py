"""How commands talk: documents and tables on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slipway.registry.standard_output import DOCUMENTS
from slipway.registry.text import shown

WIDEST = 120
BETWEEN = 3  # a line and two spaces

json_option: Callable[..., Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print exactly one JSON document on standard output."
)


def some_text(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Return what an option was given; an empty text, such as an unset variable leaves, is not taken for none."""
    if text is not None and not text.strip():
        raise click.BadParameter("it is empty; give a text, or leave the option out")
    return text


def some_texts(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return what an option was given that may be given several times; none of them is empty."""
    for text in texts:
        some_text(context, option, text)
    return texts


def say(line: str) -> None:
    """Tell a person something on standard error."""
    click.echo(shown(line), err=True)


def progress(line: str) -> None:
    """Tell a person how far long work is; in a pipe nobody waits for that."""
    if sys.stderr.isatty():
        say(line)


def print_document(document: Any) -> None:
    """Print one JSON document on standard output."""
    DOCUMENTS.write(json.dumps(document, indent=2, allow_nan=False))


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title and rows under headers on standard output.

    The box is no wider than the terminal, and than `WIDEST`, which is a pipe's width too. The longest texts stand
    below it, whole, in a line for each row that begins with what the row is called, the first cell under a header.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDEST)
    name = next(place for place, header in enumerate(headers) if header)
    inside, below = _parted(headers, rows, name=name, width=min(console.width, WIDEST))
    table = Table()
    for place in inside:
        table.add_column(headers[place], overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(row[place])) for place in inside))  # no markup: "[cloudpickle]" is shown
    console.print(Text(shown(title), style="bold"))
    console.print(table)
    for row in rows:
        if said := "; ".join(f"{headers[place]}: {row[place]}" for place in below if row[place]):
            console.print(Text(shown(f"{row[name]}: {said}")), soft_wrap=True)


def _parted(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, name: int, width: int
) -> tuple[list[int], list[int]]:
    """Return which columns a box of a width holds, and which stand below it: the widest of those behind the name."""
    widths = [max(len(shown(cell)) for cell in column) for column in zip(headers, *rows, strict=True)]
    inside, below = list(range(len(headers))), list[int]()
    while len(inside) > name + 1 and sum(widths[place] + BETWEEN for place in inside) + 1 > width:
        below.append(max(inside[name + 1 :], key=lambda place: widths[place]))
        inside.remove(below[-1])
    return inside, sorted(below)
