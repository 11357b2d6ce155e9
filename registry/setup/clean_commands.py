"""The command clean: what may go of what Slipway keeps on this disk, how large it is, and that it goes."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slipway.registry.artifacts.artifact_cache import FILES
from slipway.registry.artifacts.cache_leftovers import cached_leftovers
from slipway.registry.console import json_option, print_document, print_table, say
from slipway.registry.decisions.command_context import CommandContext
from slipway.registry.errors import SlipwayError
from slipway.registry.late import call
from slipway.registry.leftover import Leftover
from slipway.registry.masking import masked
from slipway.registry.reachable import has_store, require_store
from slipway.registry.settings import RegistrySettings, load_settings, others_write_runs, tracking_uri
from slipway.registry.setup.scratch import scratch_leftovers

if TYPE_CHECKING:  # importing MLflow takes a second
    from slipway.registry.versions.mlflow_deleted import DeletedInMlflow

SPARE_S = 600.0  # whoever obtained files holds them within moments, if it works with them for long
MEGABYTE = 10**6
NAMED_AT_MOST = 3


@click.command("clean", epilog="Example: slipway clean --apply")
@click.option("--apply", is_flag=True, help="Remove it; without this, it is only shown.")
@json_option
@click.pass_obj
def clean(context: CommandContext, apply: bool, as_json: bool) -> None:
    """Show what may go of what lies on this disk, with sizes; remove it with --apply."""
    found = _found(context)
    removed = [each for each in found if each.remove()] if apply else []
    deleted, why = _deleted_in_mlflow()
    if as_json:
        print_document(_document(found, removed, deleted, apply=apply))
        return
    _tell(found, removed, apply=apply)
    if why:
        say(f"what MLflow keeps of deleted runs cannot be told: {why}")
    for line in _about(deleted) if deleted else ():
        say(line)


def _found(context: CommandContext) -> list[Leftover]:
    """Return what may go of the caches of commands and engines here, and of folders for temporary files."""
    settings = load_settings(RegistrySettings, "registry", environ=os.environ, folder=Path.cwd())
    roots = {(Path.cwd() / settings.cache).resolve(), context.serving_cache()[0].resolve()}
    found = list(scratch_leftovers(Path(tempfile.gettempdir())))
    for root in sorted(roots):
        runners, needed = context.prepared_leftovers(root)
        found += [*runners, *cached_leftovers(root / FILES, needed=needed, spare_s=SPARE_S)]
    return found


def _deleted_in_mlflow() -> "tuple[DeletedInMlflow | None, str]":
    """Return what was deleted in MLflow, or why that cannot be told; nothing where there is no store."""
    if not has_store(os.environ, Path.cwd()):
        return None, ""
    try:
        require_store(os.environ, Path.cwd())
        return call("slipway.registry.versions.mlflow_deleted", "deleted_in_mlflow"), ""
    except SlipwayError as error:
        return None, error.message


def _tell(found: Sequence[Leftover], removed: Sequence[Leftover], *, apply: bool) -> None:
    total = _megabytes(sum(each.size_bytes for each in found))
    if not found:
        say("nothing here may go: what is left is needed by a version, a stage, a rollback or an engine")
        return
    rows = [[kind, str(len(some)), _megabytes(size), when] for kind, some, size, when in _by_kind(found)]
    print_table(f"{total} may go" if not apply else f"{total} were to go", ["what", "items", "size", "last used"], rows)
    if not apply:
        say("next: slipway clean --apply")
        return
    say(f"removed {len(removed)} of {len(found)}: {_megabytes(sum(each.size_bytes for each in removed))}")
    for left in [each for each in found if each not in removed]:
        say(f"kept {left.place}: somebody uses it now, or it is not yours")


def _by_kind(found: Sequence[Leftover]) -> list[tuple[str, list[Leftover], int, str]]:
    kinds = dict.fromkeys(each.kind for each in found)
    parts = [(kind, [each for each in found if each.kind == kind]) for kind in kinds]
    return [
        (kind, some, sum(each.size_bytes for each in some), f"{max(each.used_at for each in some):%Y-%m-%d %H:%M}")
        for kind, some in parts
    ]


def _about(deleted: "DeletedInMlflow") -> list[str]:
    """Say what MLflow's own command would remove, and where it must not be run yet."""
    if not deleted.run_ids:
        return []
    n, size = len(deleted.run_ids), _megabytes(deleted.size_bytes)
    told = f"MLflow keeps {n} deleted run{'s' if n > 1 else ''}, with {size} on this disk"
    if deleted.needed or deleted.lost:
        return [f"{told}. Do not run `mlflow gc` yet, which asks nobody who needs them:", *_needed(deleted)]
    if others_write_runs(os.environ):
        return [f"{told}; on the server's machine `mlflow gc` removes them for good"]
    uri = masked(tracking_uri(os.environ))
    return [f"{told}; this removes them for good: mlflow gc --backend-store-uri '{uri}' --tracking-uri '{uri}'"]


def _needed(deleted: "DeletedInMlflow") -> list[str]:
    lines = [
        f"  {version} needs run {run}: mlflow runs restore --run-id {run}" for run, version in deleted.needed.items()
    ]
    lines += [
        f"  the logged model of {version} is deleted: archive or replace the version first" for version in deleted.lost
    ]
    more = len(lines) - NAMED_AT_MOST
    return [*lines[:NAMED_AT_MOST], *([f"  and {more} more (--json names all)"] if more > 0 else [])]


def _document(
    found: Sequence[Leftover], removed: Sequence[Leftover], deleted: "DeletedInMlflow | None", *, apply: bool
) -> Mapping[str, Any]:
    return {
        "applied": apply,
        "size_bytes": sum(each.size_bytes for each in found),
        "leftovers": [
            {
                "kind": each.kind,
                "place": str(each.place),
                "size_bytes": each.size_bytes,
                "used_at": each.used_at.isoformat(),
                "removed": each in removed,
            }
            for each in found
        ],
        "mlflow": deleted
        and {
            "deleted_runs": list(deleted.run_ids),
            "size_bytes": deleted.size_bytes,
            "needed": deleted.needed,
            "lost": list(deleted.lost),
        },
    }


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MEGABYTE:,.1f} MB"
