"""The command init: a folder's own store, or what a team's server needs."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from slipway.registry.console import json_option, print_document, say
from slipway.registry.masking import masked
from slipway.registry.setup.team import PreparedTeam, missing, prepare
from slipway.registry.setup.team_wiring import parts_of, server_settings
from slipway.registry.versions.mlflow_store import database_uri, local_location, prepare_store
from slipway.registry.versions.sql_examined import ExaminedDatabase
from slipway.registry.versions.sql_store import move_artifact_locations


@click.command("init", epilog="Example: slipway init")
@click.option("--team", is_flag=True, help="Make what a team's server needs: bucket, tables, the first administrator.")
@click.option("--dry-run", is_flag=True, help="With --team: say what is missing, and make nothing.")
@json_option
def init(team: bool, dry_run: bool, as_json: bool) -> None:
    """Prepare this folder's store, and mend one that only a server can use."""
    if dry_run and not team:
        raise click.UsageError("--dry-run goes with --team")
    if team:
        _show_parts(_prepare_team(dry_run), dry_run=dry_run, as_json=as_json)
    else:
        _prepare_folder(as_json)


def _prepare_team(dry_run: bool) -> tuple[PreparedTeam, ...]:
    """Make what is missing, or say it, while nobody else does."""
    settings, server = server_settings(os.environ, Path.cwd())
    parts = parts_of(settings, server, os.environ, Path.cwd())
    if dry_run:
        return missing(parts)
    with ExaminedDatabase(server.database_url).prepared_alone():
        return prepare(parts)


def _show_parts(parts: Sequence[PreparedTeam], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        rows = [{"name": each.name, "was_there": each.was_there} for each in parts]
        print_document({"dry_run": dry_run, "parts": rows})
        return
    for each in parts:
        made = "would be made" if dry_run else "made"
        say(f"{'is there' if each.was_there else made}: {each.name}")
    say("next: slipway init --team" if dry_run else "next: slipway up --team")


def _prepare_folder(as_json: bool) -> None:
    uri = database_uri()
    locations = {str(each.experiment_id): local_location(each) for each in prepare_store()}
    move_artifact_locations(uri, locations)
    if as_json:
        print_document({"database": masked(uri), "mended_experiments": locations})
        return
    say(f"ready: {masked(uri)}")
    for experiment_id, location in locations.items():
        say(f"mended: new runs of experiment {experiment_id} keep their artifacts in {location}")
    if locations:
        say("artifacts of runs made through the server stay where they are, and are read through the server")
    say("next: mlflow run . --env-manager local")
