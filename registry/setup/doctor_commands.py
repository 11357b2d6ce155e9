"""The command doctor: what people get wrong, each with what to do."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from slipway.registry.console import json_option, print_document, print_table
from slipway.registry.decisions.command_context import CommandContext
from slipway.registry.setup.doctor import Health
from slipway.registry.setup.examine import Around, examine
from slipway.registry.setup.local_examined import free_bytes


@click.command("doctor", epilog="Example: slipway doctor")
@json_option
@click.pass_obj
def doctor(context: CommandContext, as_json: bool) -> int:
    """Examine what Slipway stands on here; exit 1 where something is wrong."""
    found = examine(
        Around(
            environ=os.environ,
            folder=Path.cwd(),
            cache=context.serving_cache,
            now=lambda: datetime.now(UTC),
            room=free_bytes,
        )
    )
    is_healthy = all(each.outcome is not Health.WRONG for each in found)
    if as_json:
        print_document({"healthy": is_healthy, "checks": [each.to_document() for each in found]})
    else:
        rows = [[each.name, str(each.outcome), each.found, each.todo or ""] for each in found]
        print_table("healthy" if is_healthy else "something is wrong", ["check", "", "found", "what to do"], rows)
    return 0 if is_healthy else 1
