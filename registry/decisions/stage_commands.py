"""The commands that move versions without a gate, and the one that shows where they are.

Each asks the decisions of the ledger here, or of the server that has it, and says what came of it.
"""

from dataclasses import asdict

import click

from slipway.registry.console import json_option, print_document, print_table, say, some_text
from slipway.registry.decisions.command_context import CommandContext
from slipway.registry.decisions.decisions import Noted, Receipt
from slipway.registry.decisions.status import Status
from slipway.registry.text import counted
from slipway.registry.version import parse_ref, require_number

reason_option = click.option("--reason", required=True, help="Why; it is recorded for good.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")


def _number(_: click.Context, __: click.Parameter, number: int | None) -> int | None:
    """Return a version's number as an option has it, which no database is to be asked for otherwise."""
    return None if number is None else require_number(number)


@click.command("rollback", epilog='Example: slipway rollback cancer --reason "errors doubled"')
@click.argument("model")
@click.option(
    "--stage",
    default=None,
    callback=some_text,
    metavar="STAGE",
    help="The stage to roll back; the last one without it.",
)
@click.option(
    "--from",
    "from_version",
    type=int,
    callback=_number,
    metavar="N",
    help="Only if N is there now: a repeat is harmless.",
)
@click.option(
    "--to-version", type=int, callback=_number, metavar="N", help="The version to put back, instead of the one before."
)
@click.option("--skip-damaged", is_flag=True, help="Go on to the one before where files are gone or changed.")
@reason_option
@dry_run_option
@json_option
@click.pass_obj
def rollback(
    context: CommandContext,
    model: str,
    stage: str | None,
    from_version: int | None,
    to_version: int | None,
    skip_damaged: bool,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put back the version that was in production before."""
    done = context.decisions().rollback(
        model,
        reason,
        stage=stage,
        from_version=from_version,
        to_version=to_version,
        skip_damaged=skip_damaged,
        dry_run=dry_run,
    )
    chosen = stage or "its last stage"
    left = f"{model}/{from_version} is out of {chosen}" if from_version else f"{model}/{to_version} is in {chosen}"
    what = f"{done.version} back in {done.stage}" if done.kind else left
    tell(done, what, as_json=as_json)


@click.command("adopt", epilog='Example: slipway adopt cancer@production --reason "in production since May"')
@click.argument("version")
@reason_option
@dry_run_option
@json_option
@click.pass_obj
def adopt(context: CommandContext, version: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take over a version that has a stage's alias already."""
    ref = parse_ref(version)
    done = context.decisions().adopt(ref, reason, dry_run=dry_run)
    tell(done, f"{ref.model} in {done.stage or ref.alias}, adopted", as_json=as_json)


@click.command("register", epilog='Example: slipway register cancer/3 --reason "trained by the old pipeline"')
@click.argument("version")
@reason_option
@json_option
@click.pass_obj
def register(context: CommandContext, version: str, reason: str, as_json: bool) -> None:
    """Record a version that was registered elsewhere, with its files as they are now."""
    noted = context.decisions().register(parse_ref(version), reason)
    if as_json:
        print_document({"version": noted.version, "seq": noted.seq, "manifest": noted.manifest})
        return
    say(f"{noted.version}: {counted(noted.files or 0, 'file')} recorded as event {noted.seq}")
    say_notes(noted)
    say(f"next: slipway gate {noted.version} --to {noted.first_stage}")


@click.command("demote", epilog='Example: slipway demote cancer/2 --to staging --reason "needs another look"')
@click.argument("version")
@click.option("--to", default=None, callback=some_text, metavar="STAGE", help="A lower stage; none without it.")
@reason_option
@dry_run_option
@json_option
@click.pass_obj
def demote(context: CommandContext, version: str, to: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take a version out of its stage."""
    done = context.decisions().demote(parse_ref(version), reason, to=to, dry_run=dry_run)
    tell(done, f"{done.version or version} in {done.stage or 'no stage'}", as_json=as_json)


@click.command("archive", epilog='Example: slipway archive cancer/1 --reason "trained on wrong labels"')
@click.argument("version")
@reason_option
@dry_run_option
@json_option
@click.pass_obj
def archive(context: CommandContext, version: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Rule that nothing goes back to a version."""
    done = context.decisions().archive(parse_ref(version), reason, dry_run=dry_run)
    tell(done, f"{done.version or version} archived", as_json=as_json)


@click.command("status", epilog="Example: slipway status")
@json_option
@click.pass_obj
def status(context: CommandContext, as_json: bool) -> int:
    """Show what is in every stage, since when, and what was moved behind the history."""
    found = context.status()
    if as_json:
        print_document(found.to_document())
    else:
        _show(found)
    return 1 if found.problems else 0


def _show(found: Status) -> None:
    rows = [[row.model, row.stage, row.version, row.since, row.by, row.wrong or ""] for row in found.stages]
    print_table(f"stages in use: {len(rows)}", ["model", "stage", "version", "since (UTC)", "by", "wrong"], rows)
    for row in found.stages:
        for engine in row.served:
            say(f"{row.model} in {row.stage} is served by {engine}")
    for row in found.stages:
        if row.mend:
            say(f"{row.model} in {row.stage}: {row.mend}")
    for each in found.problems:
        what_to_do = f" ({each.hint})" if each.hint else ""
        say(f"problem{f' of {each.model}' if each.model else ''}: {each.problem}{what_to_do}")


def tell(done: Receipt, what: str, *, as_json: bool) -> None:
    """Say what was decided, what followed from it, and under which number it is recorded."""
    if as_json:
        print_document(asdict(done))
        return
    if done.kind is None:
        say(f"{what} already: nothing to decide")
    else:
        instead = f", in place of {_model_of(done)}/{done.previous}" if done.previous else ""
        say(f"{'would be: ' if done.dry_run else ''}{what}{instead}")
    for change in done.changes:
        say(f"  {change}")
    say_notes(done)
    if done.kind and not done.dry_run:
        say(f"recorded as event {done.seq}: slipway history {_model_of(done)}")
        for engine in done.served:
            say(f"{done.stage} is served by {engine}; slipway status tells when it follows")


def say_notes(done: Receipt | Noted) -> None:
    """Say what else is to be known of an answer."""
    for note in done.notes:
        say(f"warning: {note}")


def _model_of(done: Receipt) -> str:
    return str(done.version).rpartition("/")[0]
