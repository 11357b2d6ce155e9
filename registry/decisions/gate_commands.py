"""The commands that judge: gate, promote, approve."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from slipway.registry.console import json_option, print_document, print_table, progress, say, some_text
from slipway.registry.decisions.archive import archived
from slipway.registry.decisions.command_context import CommandContext
from slipway.registry.decisions.decisions import Decisions
from slipway.registry.decisions.promote import require_admissible, require_voucher, what_next
from slipway.registry.decisions.rollback import left_by_rollback
from slipway.registry.decisions.stage_commands import dry_run_option, reason_option, say_notes, tell
from slipway.registry.decisions.who import Who
from slipway.registry.decisions.wiring import open_all, who
from slipway.registry.gate.gate import Gate, assess, still_valid
from slipway.registry.gate.gate_wiring import open_gate
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Outcome, Verdict
from slipway.registry.ledger.situation import Situation, look
from slipway.registry.policy.in_force import folder_of_policy
from slipway.registry.settings import others_write_runs
from slipway.registry.stages import find_stage
from slipway.registry.text import one_line
from slipway.registry.version import Version, parse_ref

EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 3, Outcome.INCONCLUSIVE: 4, Outcome.ERROR: 4}
to_option = click.option(
    "--to", required=True, callback=some_text, metavar="STAGE", help="The stage that it is to enter."
)


@click.command("gate", epilog="Example: slipway gate cancer/3 --to production")
@click.argument("version")
@to_option
@json_option
@click.pass_obj
def gate(context: CommandContext, version: str, to: str, as_json: bool) -> int:
    """Make the checks that the policy asks for, and move nothing."""
    opened, decisions = _opened(context)
    found = opened.ledger.registry.version(parse_ref(version))
    situation = decisions.situation(found.model, opened.ledger)
    stage = find_stage(to, situation.policy.names)
    if situation.occupant(stage) is None and situation.holder(stage) is not None:
        take_over = f'slipway adopt {found.model}@{stage} --reason "…"'
        say(f"warning: what is in {stage} is not in the history, and no champion is compared: {take_over}")
    if (there := situation.state.stages.get(stage)) and there.version in situation.gone:
        say(f"warning: {found.model}/{there.version}, in {stage} by the history, was deleted")
    if situation.occupant(stage) is None and (last := situation.predecessors(stage)):
        say(f"{stage} stands empty: compared with what was there last, {found.model}/{last[0]} or one before it")
    verdict = _assessed(found, stage, situation, opened, who("assessed"))
    noted = decisions.record(verdict, found)
    if as_json:
        print_document({**verdict.to_document(), "seq": noted.seq})
    else:
        show(verdict)
        say(f"recorded as event {noted.seq}")
        say_notes(noted)
        say(f"next: {what_next(verdict)}")
    return EXIT_CODES[verdict.outcome]


@click.command("promote", epilog='Example: slipway promote cancer/2 --to production --reason "better recall"')
@click.argument("version")
@to_option
@reason_option
@click.option(
    "--override", default=None, callback=some_text, metavar="WHY", help="Pass a refusal, where the policy allows it."
)
@dry_run_option
@json_option
@click.pass_obj
def promote(
    context: CommandContext, version: str, to: str, reason: str, override: str | None, dry_run: bool, as_json: bool
) -> None:
    """Move a version into a stage, if the gate lets it."""
    why = who(reason)
    opened, decisions = _opened(context)
    found = opened.ledger.registry.version(parse_ref(version))
    standing = look if dry_run else decisions.situation
    situation = standing(found.model, opened.ledger)
    stage = find_stage(to, situation.policy.names)
    if ruled_out := archived(situation, found.number):
        say(f"warning: {found} was archived by {ruled_out.actor}: {one_line(ruled_out.reason)}")
    if left := left_by_rollback(situation, found.number):
        say(f"warning: {left.actor} rolled back from {found}: {one_line(left.reason)}")
    grounds = grounds_for(found, stage, situation, opened, why, decisions=None if dry_run else decisions)
    if grounds and not as_json:
        show(grounds.verdict)
    if grounds:
        grounds = replace(grounds, override=override)
    done = decisions.promote(found, stage, reason, grounds=grounds, dry_run=dry_run)
    tell(done, f"{found} in {stage}", as_json=as_json)


@click.command("approve", epilog="Example: slipway approve cancer/3 --to production")
@click.argument("version")
@to_option
@click.option("--reason", default="approved", show_default=True, help="Why; it is recorded for good.")
@json_option
@click.pass_obj
def approve(context: CommandContext, version: str, to: str, reason: str, as_json: bool) -> None:
    """Approve a version for a stage, as it is and under the policy as it is."""
    made = context.decisions().approve(parse_ref(version), to, reason)
    if as_json:
        print_document({"version": made.version, "stage": made.stage, "seq": made.seq, "actor": made.actor})
        return
    by = made.actor if made.actor_authenticated else f"{made.actor} (unverified)"
    say(f"{made.version} approved for {made.stage} by {by}, recorded as event {made.seq}")
    say_notes(made)
    say(f'next: slipway promote {made.version} --to {made.stage} --reason "…"')


def _opened(context: CommandContext) -> tuple[Gate, Decisions]:
    ledger, decisions = open_all()
    gate = open_gate(
        ledger,
        context,
        runs_are_ours=not others_write_runs(os.environ),
        own_checks=folder_of_policy(os.environ, Path.cwd()),
        tell=progress,
    )
    return gate, decisions


def grounds_for(
    version: Version, stage: str, situation: Situation, opened: Gate, why: Who, *, decisions: Decisions | None
) -> Grounds | None:
    """Return a recorded verdict that still holds, or a new one; `None` for a version that is there already.

    A new one is recorded by the decisions; without any, for a dry run, it is not.
    """
    if situation.occupant(stage) == version.number:
        return None
    require_admissible(situation, version, stage)
    kept = still_valid(version, stage, situation, opened, promoter=why.actor, now=why.at)
    if kept is not None:
        say(f"the verdict of event {kept.seq} still holds: same files, policy, rows and champion")
        return kept
    require_voucher(situation, stage, why.actor)
    verdict = _assessed(version, stage, situation, opened, why)
    if decisions is None:
        return Grounds(verdict=verdict, seq=None, by=why.actor)
    noted = decisions.record(verdict, version)
    say_notes(noted)
    return Grounds(verdict=verdict, seq=noted.seq, by=why.actor)


def _assessed(version: Version, stage: str, situation: Situation, opened: Gate, why: Who) -> Verdict:
    say(f"checking {version} for {stage}: {', '.join(situation.policy.stages[stage].checks.rules())}")
    return assess(version, stage, situation, opened, promoter=why.actor, now=why.at)


def show(verdict: Verdict) -> None:
    """Print what each check found."""
    rows = [
        [f.check, f.outcome.name, _short(f.measured), _limit(f.direction, f.limit), f.reason] for f in verdict.findings
    ]
    title = f"{verdict.model}/{verdict.version} to {verdict.stage}: {verdict.outcome.name}"
    print_table(title, ["check", "outcome", "measured", "limit", "reason"], rows)


def _limit(direction: str | None, limit: Any) -> str:
    return "" if limit is None else f"{direction or ''} {_short(limit)}".strip()


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float | int) else str(value)[:19]
