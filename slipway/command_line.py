"""The composition root: the lazy table from command to module, and the edge where errors become exit codes.

A command's module is imported when that command is invoked, never before: importing MLflow costs
over a second, which `slipway --help` must not pay.
"""

import copy
import functools
import gc
import importlib
import json
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import click

from slipway import __version__
from slipway.registry.decisions.command_context import CommandContext
from slipway.registry.errors import InvalidInput, SlipwayError
from slipway.registry.late import call
from slipway.registry.standard_output import DOCUMENTS
from slipway.registry.text import one_line

EXIT_CODES = {"verdict-fail": 3, "verdict-inconclusive": 4, "verdict-error": 4}
HELP = {"-h", "--help"}
TAKE_LONG = ("train", "tune", "evaluate", "gate", "promote")
STORE, SERVER = "a store that is there", "a server that answers, where one is named"
# Importing MLflow and its SQL store makes very many objects and next to no garbage: at Python's own 700 the collector
# looks through them again and again.
COLLECT_AFTER_OBJECTS = 10_000


class LazyCommand(NamedTuple):
    """Where a command lives, and its one line of help, known without importing it.

    One that `judges` models does so in processes of a server that imports as much as the command itself. `needs` is
    what has to be there: a store, or a server that answers where one is named.
    """

    module: str
    attribute: str
    help: str
    judges: bool = False
    needs: str | None = None


COMMANDS: dict[str, LazyCommand] = {
    "train": LazyCommand(
        "slipway.training.commands", "train", "Train one estimator, log its run and register the version.", needs=SERVER
    ),
    "tune": LazyCommand(
        "slipway.training.commands",
        "tune",
        "Search an estimator's parameters, then train and register the best.",
        needs=SERVER,
    ),
    "evaluate": LazyCommand(
        "slipway.training.commands", "evaluate", "Measure a registered version on a dataset.", needs=STORE
    ),
    "versions": LazyCommand(
        "slipway.registry.versions.commands",
        "versions",
        "List a model's versions: stages, metrics, age, run.",
        needs=STORE,
    ),
    "compare": LazyCommand(
        "slipway.registry.versions.commands",
        "compare",
        "Show two versions side by side, the better marked.",
        needs=STORE,
    ),
    "register": LazyCommand(
        "slipway.registry.decisions.stage_commands",
        "register",
        "Record a version that was registered elsewhere, with its files as they are now.",
        needs=STORE,
    ),
    "gate": LazyCommand(
        "slipway.registry.decisions.gate_commands",
        "gate",
        "Make the checks that the policy asks for, and move nothing.",
        judges=True,
        needs=STORE,
    ),
    "approve": LazyCommand(
        "slipway.registry.decisions.gate_commands",
        "approve",
        "Approve a version for a stage, as it is and under the policy as it is.",
        needs=STORE,
    ),
    "promote": LazyCommand(
        "slipway.registry.decisions.gate_commands",
        "promote",
        "Move a version into a stage, if the gate lets it.",
        judges=True,
        needs=STORE,
    ),
    "rollback": LazyCommand(
        "slipway.registry.decisions.stage_commands",
        "rollback",
        "Put back the version that was in production before.",
        needs=STORE,
    ),
    "status": LazyCommand(
        "slipway.registry.decisions.stage_commands",
        "status",
        "Show what is in every stage, since when, and what was moved behind the history.",
        needs=STORE,
    ),
    "history": LazyCommand(
        "slipway.registry.ledger.history_commands", "history", "Tell who decided what, when and why."
    ),
    "adopt": LazyCommand(
        "slipway.registry.decisions.stage_commands",
        "adopt",
        "Take over a version that has a stage's alias already.",
        needs=STORE,
    ),
    "demote": LazyCommand(
        "slipway.registry.decisions.stage_commands", "demote", "Take a version out of its stage.", needs=STORE
    ),
    "archive": LazyCommand(
        "slipway.registry.decisions.stage_commands", "archive", "Rule that nothing goes back to a version.", needs=STORE
    ),
    "policy": LazyCommand(
        "slipway.registry.policy.policy_commands", "policy", "Check the policy, or show what it says of a model."
    ),
    "init": LazyCommand(
        "slipway.registry.setup.init_commands",
        "init",
        "Prepare this folder's store, and mend one that only a server can use.",
    ),
    "doctor": LazyCommand(
        "slipway.registry.setup.doctor_commands",
        "doctor",
        "Examine what Slipway stands on here; exit 1 where something is wrong.",
    ),
    "clean": LazyCommand(
        "slipway.registry.setup.clean_commands",
        "clean",
        "Show what may go of what lies on this disk, with sizes; remove it with --apply.",
    ),
    "serve": LazyCommand(
        "slipway.serving.supervision.serve_commands",
        "serve",
        "Answer for what is in a stage, and follow it as it moves.",
    ),
    "health": LazyCommand(
        "slipway.serving.local.health_commands",
        "health",
        "Ask the engine here whether it is ready; exit 1 where it is not.",
    ),
    "image": LazyCommand(
        "slipway.serving.packaging.image_commands",
        "image",
        "Make an image of a version, which serves it without a registry.",
        needs=STORE,
    ),
    "up": LazyCommand(
        "slipway.serving.local.commands", "up", "Run the tracking server with its UI, and scoring for production."
    ),
}


def at_server() -> bool:
    """Return whether decisions are made at a tracking server: then neither MLflow nor SQLAlchemy is imported here."""
    found: bool = call("slipway.registry.settings", "decided_at_server", os.environ, Path.cwd())
    return found


def require_answer() -> None:
    """Refuse at once where nobody listens at the address of MLflow's server or database."""
    call("slipway.registry.reachable", "require_answer", os.environ)


def decisions() -> Any:
    """Open the decisions of the working folder's ledger, or of its server."""
    return call(
        "slipway.registry.decisions.http_decisions" if at_server() else "slipway.registry.decisions.wiring",
        "open_decisions",
    )


def status() -> Any:
    """Tell what is in every stage of the working folder's ledger, or of its server's."""
    if at_server():
        return decisions().status()
    return call("slipway.registry.decisions.status_wiring", "read_status")


def history() -> Any:
    """Open the working folder's ledger, or its server's, to be read."""
    if at_server():
        require_answer()
        return call("slipway.registry.ledger.http_history", "open_to_read")
    return call(
        "slipway.registry.ledger.sql_history",
        "open_to_read",
        call("slipway.registry.settings", "history_url", os.environ, Path.cwd()),
    )


def identity(model: str, ledger: Any) -> str:
    """Return which identity in the ledger a name means: that of the model that has it now in the registry.

    A registry that is away is told at once: a ledger of its own database is read without it.
    """
    if at_server():
        found: str = ledger.identity_of(model)
        return found
    require_answer()
    aliases = call("slipway.serving.registry_doors", "open_aliases", os.environ)
    find = functools.partial(call, "slipway.registry.versions.aliases", "model_named", aliases=aliases)
    named: str = call("slipway.registry.ledger.identity", "uid_named", model, ledger, find)
    return named


CONTEXT = CommandContext(
    serve=functools.partial(call, "slipway.serving.local.probe", "serve_once"),
    rehearse=functools.partial(call, "slipway.serving.scoring.rehearsal", "rehearsal"),
    read_rows=functools.partial(call, "slipway.training.commands", "read_rows"),
    decisions=decisions,
    status=status,
    history=history,
    identity=identity,
    prepared_leftovers=functools.partial(call, "slipway.serving.preparation.leftovers", "leftovers"),
    serving_cache=lambda: call("slipway.serving.settings", "cache_place", os.environ, Path.cwd()),
)


class LazyGroup(click.Group):
    """A group that knows its commands' names and help by heart, and imports a command to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the lifecycle."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; what it will judge in imports beside it, on another processor."""
        name, *words = args
        if name not in COMMANDS:
            near = call("slipway.registry.nearest", "did_you_mean", name, COMMANDS)
            raise click.UsageError(f"no such command '{name}'{near}", ctx)
        if name in TAKE_LONG and not HELP.intersection(words):
            tell_that_it_begins(name)
        if COMMANDS[name].judges and not HELP.intersection(words):
            call("slipway.registry.gate.check_server", "warm_up")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the command and return it; `None` for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        command: click.Command = copy.copy(getattr(importlib.import_module(entry.module), entry.attribute))
        if entry.needs and command.callback:
            command.callback = functools.partial(_run_where_needed_is_there, entry.needs, command.callback)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def tell_that_it_begins(name: str) -> None:
    """Say on a terminal that a command which takes long has begun: its imports alone take seconds."""
    if sys.stderr.isatty():
        click.echo(f"slipway {name}: starting …", err=True)


def _run_where_needed_is_there(needs: str, run: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Run a command that was understood, unless what it needs is not there: that is told at once."""
    if needs == STORE:
        call("slipway.registry.reachable", "require_store", os.environ, Path.cwd())
    else:
        require_answer()
    return run(*arguments, **named)


@click.group(cls=LazyGroup, context_settings={"help_option_names": sorted(HELP)})
@click.version_option(__version__, prog_name="slipway")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Take a model from `mlflow run` to a production endpoint, and back when it misbehaves."""


def report(error: SlipwayError, *, as_json: bool) -> None:
    """Print an error: one JSON document on standard output, or two lines on standard error."""
    if as_json:
        DOCUMENTS.write(json.dumps(error.to_document(), indent=2))
        return
    click.echo(f"error: {one_line(error.message)}", err=True)
    if error.hint:
        click.echo(f"hint: {one_line(error.hint)}", err=True)


def name_own_store(environ: MutableMapping[str, str], folder: Path) -> None:
    """Name MLflow's default store where its own name for it would leave something beside the folder.

    MLflow (3.17) names the database by the folder's path in percent-encoding where no store is named, and makes the
    folder that is called so.
    """
    if quote(str(folder)) != str(folder) and not environ.get("MLFLOW_TRACKING_URI"):
        call("slipway.registry.reachable", "name_default_store", environ, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 error, 2 usage, 3 verdict FAIL, 4 verdict INCONCLUSIVE or ERROR."""
    # MLflow draws a progress bar for every download, also into a pipe.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", str(sys.stderr.isatty()).lower())
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    name_own_store(os.environ, Path.cwd())
    words = list(sys.argv[1:] if arguments is None else arguments)
    code = run(words)
    gc.freeze()  # what is left goes with the process: it need not be looked through once more
    sys.exit(code)


def usage_error(error: click.ClickException) -> SlipwayError:
    """Return what click says of a wrong command line in the one shape that errors have."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "slipway"
    return InvalidInput(" ".join(error.format_message().split()), code="usage", hint=f"{path} --help")


def run(words: list[str]) -> int:
    """Run the command line and return its exit code; with `--json`, a document is all on standard output."""
    if "--json" not in words:
        return _run(words, as_json=False)
    with DOCUMENTS.alone():
        return _run(words, as_json=True)


def _run(words: list[str], *, as_json: bool) -> int:
    try:
        result: Any = cli.main(words, prog_name="slipway", standalone_mode=False, obj=CONTEXT)
    except SlipwayError as error:
        if "--debug" in words:
            raise
        report(error, as_json=as_json)
        return EXIT_CODES.get(error.code, 1)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return error.exit_code
    except click.ClickException as error:
        report(usage_error(error), as_json=as_json)
        return error.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    return result if isinstance(result, int) else 0
