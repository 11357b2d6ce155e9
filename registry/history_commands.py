"""The command history. It reads the ledger alone: neither MLflow nor Alembic is imported."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from registry.console import json_option, print_document, print_table, say
from registry.errors import Corrupt, InvalidInput, NotFound
from registry.events import Event
from registry.history import Head, Record, fold, parse_head, until
from registry.history import verify as find_defects
from registry.nearest import did_you_mean
from registry.settings import RegistrySettings, history_place, load_settings
from registry.sql_history import SqlHistory, open_to_read


@click.command("history", epilog="Example: slipway history cancer --verify")
@click.argument("model")
@click.option(
    "--at", default=None, metavar="TIME", help="Show what was in each stage then: 2026-11-01 or 2026-11-01T12:00."
)
@click.option("--verify", is_flag=True, help="Check every event against the chain; exit 1 where one was changed.")
@click.option("--head", default=None, metavar="SEQ:HASH", help="With --verify: a head that was noted earlier.")
@json_option
def history(model: str, at: str | None, verify: bool, head: str | None, as_json: bool) -> None:
    """Tell who decided what, when and why."""
    if head and not verify:
        raise click.UsageError("--head is what --verify compares with: give both")
    if at and verify:
        raise click.UsageError("--at shows a moment and --verify walks the whole: give one")
    settings = load_settings(RegistrySettings, "registry", environ=os.environ, folder=Path.cwd())
    url, _ = history_place(settings, os.environ)
    ledger = open_to_read(url)
    uid = _uid(model, ledger)
    if verify:
        _verify(uid, model, ledger, [parse_head(head)] if head else [], as_json=as_json)
    elif at:
        _show_at(model, ledger.records(uid), parse_time(at), as_json=as_json)
    else:
        _show(model, ledger.records(uid), as_json=as_json)


def parse_time(text: str) -> datetime:
    """Return a moment; without a zone it is UTC, without an hour it is the day's end.

    Raises
    ------
    InvalidInput
        The text is no ISO 8601 date or time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"'{text}' is no time; write 2026-11-01 or 2026-11-01T12:00", code="not-a-time", hint=None
        ) from None
    if len(text) == len("2026-11-01"):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999999)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uid(model: str, ledger: SqlHistory) -> str:
    """Return the identity that was last known by the name: of a re-created model, the newer one."""
    known = ledger.model_uids(model=model)
    if not known:
        names = {uid.rpartition("/")[2] for uid in ledger.model_uids()}
        raise NotFound(
            f"the history knows no model '{model}'{did_you_mean(model, names)}",
            code="unknown-model",
            hint=f'slipway versions {model}; slipway adopt {model}@production --reason "…" begins a history',
        )
    return max(known, key=lambda uid: int(uid.split("/")[1]))


def _show(model: str, records: Sequence[Record], *, as_json: bool) -> None:
    if as_json:
        print_document({"model": model, "head": _head(records), "events": [_document(record) for record in records]})
        return
    rows = []
    for record in records:
        event = record.event
        who = event.actor if event.actor_authenticated else f"{event.actor} (unverified)"
        when = f"{event.at:%Y-%m-%d %H:%M:%S}"
        what = [str(record.seq), when, event.kind, str(event.version), event.stage or ""]
        rows.append([*what, who, _verdict_of(event), event.reason])
    headers = ["#", "when (UTC)", "what", "version", "stage", "who", "verdict", "why"]
    print_table(f"{model}: {len(records)} events", headers, rows)
    say(f"head: {_head(records)}")


def _verdict_of(event: Event) -> str:
    """Return the outcome that an event found or rests on; an override is not to be overlooked."""
    outcome = str(event.details.get("outcome") or event.details.get("verdict") or "")
    override = event.details.get("override")
    return f"{outcome} OVERRIDDEN: {override}" if override else outcome


def _show_at(model: str, records: Sequence[Record], moment: datetime, *, as_json: bool) -> None:
    state = fold(until(records, moment))
    if as_json:
        stages = {stage: {"version": o.version, "since": o.since.isoformat()} for stage, o in state.stages.items()}
        print_document({"model": model, "at": moment.isoformat(), "stages": stages})
        return
    rows = [[stage, str(o.version), f"{o.since:%Y-%m-%d %H:%M:%S}"] for stage, o in state.stages.items()]
    print_table(f"{model} at {moment:%Y-%m-%d %H:%M:%S %Z}", ["stage", "version", "since (UTC)"], rows)


def _verify(uid: str, model: str, ledger: SqlHistory, noted: Sequence[Head], *, as_json: bool) -> None:
    head = ledger.head(uid)
    defects = find_defects(uid, ledger.walk(uid), [*ledger.anchors(uid), *noted])
    if defects:
        raise Corrupt(
            f"the history of '{model}' is not as it was written: {'; '.join(defects)}",
            code="history-changed",
            hint="restore the database from a backup, and find out who wrote to it",
        )
    # Without defects the numbers run from 1: the last one, as it was at the beginning, is how many there were then.
    count = head.seq if head else 0
    if as_json:
        print_document({"model": model, "events": count, "head": str(head) if head else None, "defects": []})
        return
    say(f"{count} events of '{model}' are as they were written; head: {head}")


def _head(records: Sequence[Record]) -> str | None:
    return str(Head(seq=records[-1].seq, hash=records[-1].hash)) if records else None


def _document(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "seq": record.seq,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "version": event.version,
        "stage": event.stage,
        "actor": event.actor,
        "actor_authenticated": event.actor_authenticated,
        "reason": event.reason,
        "digests": dict(event.digests),
        "details": dict(event.details),
    }
