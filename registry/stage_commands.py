"""The commands that move versions without a gate, and the one that shows where they are."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from registry.console import json_option, print_document, print_table, say
from registry.decide import Decided, Decision, Ledger, Situation, carry_out, note, propose
from registry.errors import Conflict, InvalidInput
from registry.events import Event
from registry.manifest import manifest_of
from registry.policy import default_policy
from registry.promote import (
    Who,
    adoption,
    adoption_target,
    archival,
    demotion,
    registration,
    rollback_target,
    say_why,
)
from registry.promote import rollback as roll_back
from registry.served import served_by
from registry.stages import find_stage
from registry.status import StageStatus, status_of
from registry.version import VersionRef, parse_ref
from registry.whole import recorded_manifest, require_whole
from registry.wiring import actor, open_heartbeats, open_ledger

reason_option = click.option("--reason", required=True, help="Why; it is recorded for good.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")


@click.command("rollback", epilog='Example: slipway rollback cancer --reason "errors doubled"')
@click.argument("model")
@click.option("--stage", default=None, metavar="STAGE", help="The stage to roll back; the last one without it.")
@click.option("--from", "from_version", type=int, metavar="N", help="Only if N is there now: a repeat is harmless.")
@click.option("--to-version", type=int, metavar="N", help="The version to put back, instead of the one before.")
@reason_option
@dry_run_option
@json_option
def rollback(
    model: str,
    stage: str | None,
    from_version: int | None,
    to_version: int | None,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put back the version that was in production before."""
    ledger = _whatever_the_policy(here())
    stages = ledger.policies().of(model).names
    chosen = find_stage(stage or stages[-1], stages)
    decision = going_back(chosen, who(reason), ledger, to_version=to_version, from_version=from_version)
    done = act(model, decision, ledger, dry_run=dry_run)
    left = f"{model}/{from_version} is out of {chosen}" if from_version else f"{model}/{to_version} is in {chosen}"
    what = f"{model}/{done.event.version} back in {chosen}" if done.event else left
    tell(done, what, dry_run=dry_run, as_json=as_json)


def _whatever_the_policy(ledger: Ledger) -> Ledger:
    """Return a ledger that needs no policy of one's own: a rollback makes none of its checks, and is not to wait."""
    try:
        ledger.policies()
    except InvalidInput as error:
        say(f"warning: {error.message}; the stages are taken to be those of the default policy")
        return replace(ledger, policies=default_policy)
    return ledger


def going_back(
    stage: str, why: Who, ledger: Ledger, *, to_version: int | None = None, from_version: int | None = None
) -> Decision:
    """Return the decision to roll back, to be made when the model's lock is held."""

    def decision(situation: Situation) -> Event | None:
        number = rollback_target(situation, stage, why.at, to_version=to_version, from_version=from_version)
        if number is None:
            return None
        version = ledger.registry.version(VersionRef(model=situation.name, number=number))
        about = ledger.history.about(situation.model_uid, number)
        require_whole(version, about, ledger.registry, else_do="choose another version: --to-version N")
        return roll_back(situation, version, stage, why)

    return decision


@click.command("adopt", epilog='Example: slipway adopt cancer@production --reason "in production since May"')
@click.argument("version")
@reason_option
@dry_run_option
@json_option
def adopt(version: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take over a version that has a stage's alias already."""
    ledger = here()
    ref = parse_ref(version)
    if ref.alias is None:
        raise InvalidInput(
            f"adopt takes a stage, and '{version}' names a number; write {ref.model}@production",
            code="not-a-stage",
            hint=None,
        )
    stage, why = find_stage(ref.alias, ledger.policies().of(ref.model).names), who(reason)

    def decision(situation: Situation) -> Event | None:
        number = adoption_target(situation, stage)
        if number is None:
            return None
        found = ledger.registry.version(VersionRef(model=ref.model, number=number))
        return adoption(situation, found, stage, why, manifest_of(ledger.registry.stored_files(found.source)))

    done = act(ref.model, decision, ledger, dry_run=dry_run)
    tell(done, f"{ref.model} in {stage} adopted", dry_run=dry_run, as_json=as_json)


@click.command("register", epilog='Example: slipway register cancer/3 --reason "trained by the old pipeline"')
@click.argument("version")
@reason_option
@json_option
def register(version: str, reason: str, as_json: bool) -> None:
    """Record a version that was registered elsewhere, with its files as they are now."""
    ledger = here()
    found, why = ledger.registry.version(parse_ref(version)), who(reason)
    manifest = manifest_of(ledger.registry.stored_files(found.source))

    def event(situation: Situation) -> Event:
        if recorded_manifest(ledger.history.about(situation.model_uid, found.number)) is not None:
            raise Conflict(
                f"the files of {found} are recorded already",
                code="already-registered",
                hint=f"slipway history {found.model}",
            )
        return registration(situation, found, why, manifest)

    record = note(found.model, event, ledger)
    if as_json:
        print_document({"version": str(found), "seq": record.seq, "manifest": manifest.digest})
        return
    say(f"{found}: {len(manifest.files)} files recorded as event {record.seq}")
    say(f"next: slipway gate {found} --to {ledger.policies().of(found.model).names[0]}")


@click.command("demote", epilog='Example: slipway demote cancer/2 --to staging --reason "needs another look"')
@click.argument("version")
@click.option("--to", default=None, metavar="STAGE", help="A lower stage; none without it.")
@reason_option
@dry_run_option
@json_option
def demote(version: str, to: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take a version out of its stage."""
    ledger = here()
    found, why = ledger.registry.version(parse_ref(version)), who(reason)
    stage = find_stage(to, ledger.policies().of(found.model).names) if to else None
    done = act(found.model, lambda situation: demotion(situation, found, why, to=stage), ledger, dry_run=dry_run)
    tell(done, f"{found} in {stage or 'no stage'}", dry_run=dry_run, as_json=as_json)


@click.command("archive", epilog='Example: slipway archive cancer/1 --reason "trained on wrong labels"')
@click.argument("version")
@reason_option
@dry_run_option
@json_option
def archive(version: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Rule that nothing goes back to a version."""
    ledger = here()
    found, why = ledger.registry.version(parse_ref(version)), who(reason)
    done = act(found.model, lambda situation: archival(situation, found, why), ledger, dry_run=dry_run)
    tell(done, f"{found} archived", dry_run=dry_run, as_json=as_json)


@click.command("status", epilog="Example: slipway status")
@json_option
def status(as_json: bool) -> None:
    """Show what is in every stage, since when, and what was moved behind the history."""
    ledger = here()
    book = ledger.policies()
    read_once = replace(ledger, policies=lambda: book)
    found = [row for model in ledger.registry.models() for row in status_of(model, read_once)]
    beats, now = open_heartbeats(os.environ, Path.cwd()).all(), datetime.now(UTC)
    served = [served_by(beats, model=row.model, stage=row.stage, version=row.version, now=now) for row in found]
    if as_json:
        documents = [_status_document(row) | {"served": list(by)} for row, by in zip(found, served, strict=True)]
        print_document({"stages": documents})
        return
    rows = [[row.model, row.stage, row.version, row.since, row.by, row.wrong or ""] for row in found]
    print_table(f"stages in use: {len(found)}", ["model", "stage", "version", "since (UTC)", "by", "wrong"], rows)
    for row, by in zip(found, served, strict=True):
        for engine in by:
            say(f"{row.model} in {row.stage} is served by {engine}")
    for row in found:
        if row.mend:
            say(f"{row.model} in {row.stage}: {row.mend}")


def here() -> Ledger:
    """Return the ledger of the working folder."""
    return open_ledger(os.environ, Path.cwd())


def who(reason: str) -> Who:
    """Return who decides now; nobody has authenticated whoever is logged in here."""
    return say_why(actor(), authenticated=False, at=datetime.now(UTC), reason=reason)


def act(model: str, decision: Decision, ledger: Ledger, *, dry_run: bool) -> Decided:
    """Carry a decision out, or say what that would do."""
    return (propose if dry_run else carry_out)(model, decision, ledger)


def tell(done: Decided, what: str, *, dry_run: bool, as_json: bool) -> None:
    """Say what was decided, what followed from it, and under which number it is recorded."""
    if as_json:
        print_document(
            {
                "version": f"{done.event.model}/{done.event.version}" if done.event else None,
                "stage": done.event.stage if done.event else None,
                "kind": done.event.kind if done.event else None,
                "verdict": done.event.details.get("verdict") if done.event else None,
                "seq": done.seq,
                "previous": done.previous,
                "dry_run": dry_run,
                "changes": [str(change) for change in done.changes],
            }
        )
        return
    if done.event is None:
        say(f"{what} already: nothing to decide")
    else:
        instead = f", in place of {done.event.model}/{done.previous}" if done.previous else ""
        say(f"{'would be: ' if dry_run else ''}{what}{instead}")
    for change in done.changes:
        say(f"  {change}")
    if done.event and not dry_run:
        say(f"recorded as event {done.seq}: slipway history {done.event.model}")
        for engine in _engines(done.event):
            say(f"{done.event.stage} is served by {engine}; slipway status tells when it follows")


def _engines(event: Event) -> tuple[str, ...]:
    """Return what the engines that serve an event's stage say now."""
    if event.stage is None:
        return ()
    beats = open_heartbeats(os.environ, Path.cwd()).all()
    return served_by(beats, model=event.model, stage=event.stage, version=str(event.version), now=datetime.now(UTC))


def _status_document(row: StageStatus) -> dict[str, Any]:
    return {
        "model": row.model,
        "stage": row.stage,
        "version": row.version,
        "since": row.since or None,
        "by": row.by or None,
        "wrong": row.wrong,
        "mend": row.mend,
    }
