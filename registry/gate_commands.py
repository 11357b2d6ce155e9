"""The commands that judge: gate, promote, approve."""

from dataclasses import replace
from typing import Any

import click

from registry.check_runner import warm_up
from registry.checks.approval import authors_of
from registry.console import json_option, print_document, print_table, say
from registry.decide import Decision, Ledger, Situation, look, note, settled
from registry.errors import Conflict, NotApproved
from registry.events import Event
from registry.gate import Gate, assess, record, still_valid
from registry.gate_wiring import open_gate
from registry.outside import Outside
from registry.promote import (
    Grounds,
    Who,
    approval,
    archived,
    left_by_rollback,
    promotion,
    require_admissible,
    what_next,
)
from registry.stage_commands import act, dry_run_option, here, reason_option, tell, who
from registry.stages import find_stage
from registry.verdict import Outcome, Verdict
from registry.version import Version, parse_ref
from registry.whole import recorded_manifest, require_whole

EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 3, Outcome.INCONCLUSIVE: 4, Outcome.ERROR: 4}
to_option = click.option("--to", required=True, metavar="STAGE", help="The stage that it is to enter.")


@click.command("gate", epilog="Example: slipway gate cancer/3 --to production")
@click.argument("version")
@to_option
@json_option
@click.pass_obj
def gate(outside: Outside, version: str, to: str, as_json: bool) -> int:
    """Make the checks that the policy asks for, and move nothing."""
    warm_up()
    opened = open_gate(here(), outside)
    found = opened.ledger.registry.version(parse_ref(version))
    situation = settled(found.model, opened.ledger)
    stage = find_stage(to, situation.policy.names)
    if situation.occupant(stage) is None and situation.holder(stage) is not None:
        take_over = f'slipway adopt {found.model}@{stage} --reason "…"'
        say(f"warning: what is in {stage} is not in the history, and no champion is compared: {take_over}")
    verdict, seq = _assessed(found, stage, situation, opened, who("assessed"))
    if as_json:
        print_document({**verdict.to_document(), "seq": seq})
    else:
        show(verdict)
        say(f"recorded as event {seq}; the report is with the version's run")
        say(f"next: {what_next(verdict)}")
    return EXIT_CODES[verdict.outcome]


@click.command("promote", epilog='Example: slipway promote cancer/2 --to production --reason "better recall"')
@click.argument("version")
@to_option
@reason_option
@click.option("--override", default=None, metavar="WHY", help="Pass a refusal, where the policy allows it.")
@dry_run_option
@json_option
@click.pass_obj
def promote(
    outside: Outside, version: str, to: str, reason: str, override: str | None, dry_run: bool, as_json: bool
) -> None:
    """Move a version into a stage, if the gate lets it."""
    why = who(reason)
    warm_up()
    opened = open_gate(here(), outside)
    found = opened.ledger.registry.version(parse_ref(version))
    situation = (look if dry_run else settled)(found.model, opened.ledger)
    stage = find_stage(to, situation.policy.names)
    if ruled_out := archived(situation, found.number):
        say(f"warning: {found} was archived by {ruled_out.actor}: {ruled_out.reason}")
    if left := left_by_rollback(situation, found.number):
        say(f"warning: {left.actor} rolled back from {found}: {left.reason}")
    grounds = grounds_for(found, stage, situation, opened, why, dry_run=dry_run)
    if grounds and not as_json:
        show(grounds.verdict)
    if grounds:
        grounds = replace(grounds, override=override)
    done = act(found.model, deciding(found, stage, why, grounds, opened.ledger), opened.ledger, dry_run=dry_run)
    tell(done, f"{found} in {stage}", dry_run=dry_run, as_json=as_json)


@click.command("approve", epilog="Example: slipway approve cancer/3 --to production")
@click.argument("version")
@to_option
@click.option("--reason", default="approved", show_default=True, help="Why; it is recorded for good.")
@json_option
def approve(version: str, to: str, reason: str, as_json: bool) -> None:
    """Approve a version for a stage, as it is and under the policy as it is."""
    ledger, why = here(), who(reason)
    found = ledger.registry.version(parse_ref(version))
    stage = find_stage(to, ledger.policies().of(found.model).names)
    run_user = ledger.registry.measured(found).tags.get("mlflow.user")

    def event(situation: Situation) -> Event:
        about = ledger.history.about(situation.model_uid, found.number)
        if why.actor in authors_of([each.event for each in about], run_user):
            raise NotApproved(
                f"{why.actor} is an author of {found}, and somebody else has to approve it",
                code="own-version",
                hint="approvals are recorded under the tracking server's user, else under that of this machine",
            )
        return approval(situation, found, stage, why, recorded_manifest(about))

    made = note(found.model, event, ledger)
    if as_json:
        print_document({"version": str(found), "stage": stage, "seq": made.seq, "actor": why.actor})
        return
    say(f"{found} approved for {stage} by {why.actor} (unverified), recorded as event {made.seq}")
    say(f'next: slipway promote {found} --to {stage} --reason "…"')


def deciding(version: Version, stage: str, why: Who, grounds: Grounds | None, ledger: Ledger) -> Decision:
    """Return the decision to promote, to be made when the model's lock is held; grounds are `None` as below.

    The stored files are read once more: between verdict and decision may lie minutes.
    """

    def decision(now: Situation) -> Event | None:
        if now.occupant(stage) == version.number:
            return None
        if grounds is None:
            raise Conflict(
                f"{version} left {stage} just now", code="overtaken", hint="slipway status, then decide again"
            )
        event = promotion(now, version, stage, why, grounds)
        about = ledger.history.about(now.model_uid, version.number)
        require_whole(version, about, ledger.registry, else_do="promote another version")
        return event

    return decision


def grounds_for(
    version: Version, stage: str, situation: Situation, opened: Gate, why: Who, *, dry_run: bool
) -> Grounds | None:
    """Return a recorded verdict that still holds, or a new one; `None` for a version that is there already."""
    if situation.occupant(stage) == version.number:
        return None
    require_admissible(situation, version, stage)
    kept = still_valid(version, stage, situation, opened, promoter=why.actor, now=why.at)
    if kept is not None:
        say(f"the verdict of event {kept[1]} still holds: same files, policy, rows and champion")
        return Grounds(verdict=kept[0], seq=kept[1])
    if dry_run:
        verdict = assess(version, stage, situation, opened, promoter=why.actor, now=why.at)
        return Grounds(verdict=verdict, seq=situation.seq)
    verdict, seq = _assessed(version, stage, situation, opened, why)
    return Grounds(verdict=verdict, seq=seq)


def _assessed(version: Version, stage: str, situation: Situation, opened: Gate, why: Who) -> tuple[Verdict, int]:
    say(f"checking {version} for {stage}: {', '.join(situation.policy.stages[stage].checks.rules())}")
    verdict = assess(version, stage, situation, opened, promoter=why.actor, now=why.at)
    return verdict, record(verdict, version, opened, actor=why.actor, authenticated=why.authenticated)


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
