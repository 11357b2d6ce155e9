"""The command history. It reads the ledger alone: neither MLflow nor Alembic is imported."""

from collections.abc import Callable
from datetime import datetime
from shlex import quote
from typing import Protocol

import click

from slipway.registry.console import json_option, print_document, print_table, say, some_text
from slipway.registry.errors import NotFound, Unavailable
from slipway.registry.ledger.chain import until
from slipway.registry.ledger.events import Event
from slipway.registry.ledger.history import History
from slipway.registry.ledger.history_shown import head_of, parse_time, shown_at, shown_events, verified
from slipway.registry.ledger.identity import uid_last_named
from slipway.registry.ledger.model_state import fold
from slipway.registry.text import counted

SHOWN_EVENTS = 20
LARGEST_MOST = 10**9


class LedgerAccess(Protocol):
    """What the command is given; `identity` returns which identity in the history a model's name means now."""

    @property
    def history(self) -> Callable[[], History]:
        """Return what opens the history for reading, without its tables being made."""

    @property
    def identity(self) -> Callable[[str, History], str]:
        """Return what tells the identity."""


@click.command("history", epilog="Example: slipway history cancer --verify")
@click.argument("model")
@click.option(
    "--at",
    default=None,
    callback=some_text,
    metavar="TIME",
    help="Show what was in each stage then: 2026-11-01 or 2026-11-01T12:00.",
)
@click.option(
    "--most",
    default=None,
    type=click.IntRange(1, LARGEST_MOST),
    help=f"Show so many of the newest events; without it {SHOWN_EVENTS}, and with --json all.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every event.")
@click.option("--verify", is_flag=True, help="Check every event against the chain; exit 1 where one was changed.")
@click.option(
    "--head", default=None, callback=some_text, metavar="SEQ:HASH", help="With --verify: a head that was noted earlier."
)
@json_option
@click.pass_obj
def history(
    context: LedgerAccess,
    model: str,
    at: str | None,
    most: int | None,
    show_all: bool,
    verify: bool,
    head: str | None,
    as_json: bool,
) -> None:
    """Tell who decided what, when and why."""
    if head and not verify:
        raise click.UsageError("--head is what --verify compares with: give both")
    if at and verify:
        raise click.UsageError("--at shows a moment and --verify walks the whole: give one")
    if (most or show_all) and (at or verify):
        raise click.UsageError("--most and --all say how many events are listed: leave them out with --at and --verify")
    if most and show_all:
        raise click.UsageError("--all shows every event: leave --most out")
    moment = parse_time(at) if at else None
    ledger = context.history()
    uid = _identity(model, ledger, context)
    if verify:
        _verify(model, uid, ledger, head, as_json=as_json)
    elif moment:
        _show_at(model, uid, ledger, moment, as_json=as_json)
    else:
        _show(model, uid, ledger, most or (LARGEST_MOST if show_all or as_json else SHOWN_EVENTS), as_json=as_json)
    if not as_json:
        _say_others(model, uid, ledger)


def _identity(model: str, ledger: History, context: LedgerAccess) -> str:
    """Return the identity that a name means; a ledger is read without its registry too, and this is said then."""
    try:
        return context.identity(model, ledger)
    except Unavailable as error:
        uid = uid_last_named(model, ledger)
        say(f"warning: which model is called {model} now cannot be told: {error.message}; shown is {quote(uid)}")
        return uid
    except NotFound:
        _say_others(model, None, ledger)
        raise


def _say_others(model: str, uid: str | None, ledger: History) -> None:
    for other in ledger.model_uids(model=model):
        if other != uid:
            say(f"another model had that name, and has a history of its own: slipway history {quote(other)}")


def _show(model: str, uid: str, ledger: History, most: int, *, as_json: bool) -> None:
    """Show the newest events, the last of all at the end."""
    end = ledger.head(uid)
    older = max(0, end.seq - most) if end else 0
    records = tuple(ledger.walk(uid, after_seq=older))
    if as_json:
        print_document(shown_events(model, records))
        return
    rows = []
    for record in records:
        event = record.event
        who = event.actor if event.actor_authenticated else f"{event.actor} (unverified)"
        when = f"{event.at:%Y-%m-%d %H:%M:%S}"
        what = [str(record.seq), when, event.kind, str(event.version), event.stage or ""]
        rows.append([*what, who, _verdict_of(event), event.reason])
    headers = ["#", "when (UTC)", "what", "version", "stage", "who", "verdict", "why"]
    print_table(f"{model}: {'the newest ' if older else ''}{counted(len(records), 'event')}", headers, rows)
    if older:
        say(f"{counted(older, 'older event')} not shown: slipway history {quote(model)} --all")
    say(f"head: {head_of(records)}")


def _verdict_of(event: Event) -> str:
    """Return the outcome that an event found or rests on; an override is not to be overlooked."""
    outcome = str(event.details.get("outcome") or event.details.get("verdict") or "")
    override = event.details.get("override")
    return f"{outcome} OVERRIDDEN: {override}" if override else outcome


def _show_at(model: str, uid: str, ledger: History, moment: datetime, *, as_json: bool) -> None:
    records = ledger.records(uid)
    if as_json:
        print_document(shown_at(model, records, moment))
        return
    stages = fold(until(records, moment)).stages
    rows = [[stage, str(o.version), f"{o.since:%Y-%m-%d %H:%M:%S}"] for stage, o in stages.items()]
    print_table(f"{model} at {moment:%Y-%m-%d %H:%M:%S %Z}", ["stage", "version", "since (UTC)"], rows)


def _verify(model: str, uid: str, ledger: History, head: str | None, *, as_json: bool) -> None:
    found = verified(model, uid, ledger, head)
    if as_json:
        print_document(found)
        return
    are = "is as it was" if found["events"] == 1 else "are as they were"
    say(f"{counted(found['events'], 'event')} of '{model}' {are} written; head: {found['head']}")
