"""The command up: a folder's own tracking server with scoring for production, or a team's tracking server."""

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from slipway.registry.addresses import host_and_port, http_address
from slipway.registry.console import json_option, print_document, say, some_text
from slipway.registry.setup.auth_config import auth_config
from slipway.registry.setup.examine import require_ready
from slipway.registry.setup.team_wiring import server_settings
from slipway.registry.versions.mlflow_store import database_uri, prepare_store
from slipway.serving.local.processes import ProcessLauncher
from slipway.serving.local.team import SECRET_KEY, shown, team_service
from slipway.serving.local.up import ALIAS, Plan, ServedModel, engine_service, tracking_service
from slipway.serving.local.up import up as run_services

LOGS = Path(".slipway/logs")


@click.command("up", epilog="Example: slipway up --port 5000 --scoring-port 5001")
@click.option("--team", is_flag=True, help="Run the team's guarded server of the settings; scoring is slipway serve.")
@click.option(
    "--host", callback=some_text, help="The address to listen on.  [default: 127.0.0.1; of a team: from the settings]"
)
@click.option("--port", type=click.IntRange(1, 65535), help="Of the UI.  [default: 5000; of a team: from the settings]")
@click.option("--scoring-port", default=5001, show_default=True, type=click.IntRange(1, 65535), help="Of the engine.")
@click.option("--grpc-port", type=click.IntRange(1, 65535), help="Of the engine over gRPC, which it speaks then too.")
@click.option("--no-scoring", is_flag=True, help="Run the tracking server only.")
@json_option
def up(
    team: bool,
    host: str | None,
    port: int | None,
    scoring_port: int,
    grpc_port: int | None,
    no_scoring: bool,
    as_json: bool,
) -> None:
    """Run the tracking server with its UI, and scoring for production."""
    if team:
        plan = _team_plan(host, port)
        say(shown(plan.tracking))
    else:
        plan = _own_plan(host or "127.0.0.1", port or 5000, None if no_scoring else scoring_port, grpc_port)
    say(f"starting; logs are in {LOGS}/, Ctrl-C stops everything")
    with ProcessLauncher(LOGS) as launcher:
        try:
            run_services(plan, launcher=launcher, ready=lambda served: _show(plan, served, as_json=as_json), say=say)
        except KeyboardInterrupt:
            say("asked to stop while starting")
    say("stopped")


def _own_plan(host: str, port: int, scoring_port: int | None, grpc_port: int | None) -> Plan:
    prepare_store()
    artifact_root = Path("mlruns").absolute()
    tracking = tracking_service(host=host, port=port, database_uri=database_uri(), artifact_root=artifact_root)
    engine = None
    if scoring_port is not None:
        engine = engine_service(host=host, port=scoring_port, grpc_port=grpc_port)
    return Plan(host=host, tracking=tracking, engine=engine)


def _team_plan(host: str | None, port: int | None) -> Plan:
    """Return the plan of the team's server, where all that it stands on is ready."""
    folder = Path.cwd()
    settings, server = server_settings(os.environ, folder)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    server = server.model_copy(update=given)
    require_ready(settings, server, os.environ, folder=folder, now=lambda: datetime.now(UTC))
    tracking = team_service(
        server,
        auth_config=auth_config(server, os.environ, folder).path,
        secret_key=os.environ.get(SECRET_KEY) or secrets.token_hex(16),
    )
    return Plan(host=server.host, tracking=tracking, engine=None)


def _show(plan: Plan, served: Sequence[ServedModel], *, as_json: bool) -> None:
    ui = http_address(plan.host, plan.tracking.port)
    urls = {f"{each.model}/{each.version}": each.url for each in served if each.version is not None}
    if as_json:
        print_document({"ui": ui, "scoring": urls})
    else:
        click.echo(f"MLflow UI  {ui}")
        for version, url in urls.items():
            click.echo(f"{version}  {url}")
        if plan.engine is not None and plan.engine.grpc_port is not None:
            click.echo(f"gRPC  {host_and_port(plan.host, plan.engine.grpc_port)}")
    for each in served:
        if each.problem:
            say(f"warning: {each.problem}")
    if plan.engine is not None and not served:
        say(f'nothing is in {ALIAS}: slipway promote MODEL/NUMBER --to {ALIAS} --reason "…"')
