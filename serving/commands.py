"""The command up."""

from collections.abc import Sequence
from pathlib import Path

import click

from registry.console import json_option, print_document, say
from registry.mlflow_registry import MlflowRegistry
from registry.mlflow_store import database_uri, prepare_store
from registry.version import Version
from serving.processes import ProcessLauncher
from serving.up import ALIAS, Plan, Scored, scoring_url
from serving.up import up as run_services

LOGS = Path(".slipway/logs")


@click.command("up", epilog="Example: slipway up --port 5000 --scoring-port 5001")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Of the UI.")
@click.option("--scoring-port", default=5001, show_default=True, type=click.IntRange(1, 65535), help="The first one.")
@click.option("--no-scoring", is_flag=True, help="Run the tracking server only.")
@json_option
def up(host: str, port: int, scoring_port: int, no_scoring: bool, as_json: bool) -> None:
    """Run the tracking server with its UI, and scoring for production."""
    plan = Plan(
        host=host,
        port=port,
        scoring_port=scoring_port,
        database_uri=database_uri(),
        artifact_root=Path("mlruns").absolute(),
    )
    prepare_store()
    say(f"starting; logs are in {LOGS}/, Ctrl-C stops everything")
    with ProcessLauncher(LOGS) as launcher:
        try:
            run_services(
                plan,
                in_production=_nothing if no_scoring else _in_production,
                launcher=launcher,
                ready=lambda scored: _show(plan, scored, as_json=as_json, scoring=not no_scoring),
                say=say,
            )
        except KeyboardInterrupt:
            say("asked to stop while starting")
    say("stopped")


def _in_production() -> Sequence[Version]:
    return MlflowRegistry().models_with_alias(ALIAS)


def _nothing() -> Sequence[Version]:
    return ()


def _show(plan: Plan, scored: Sequence[Scored], *, as_json: bool, scoring: bool) -> None:
    ui = f"http://{plan.host}:{plan.port}"
    urls = {str(each.version): scoring_url(plan, each.service.port) for each in scored}
    if as_json:
        print_document({"ui": ui, "scoring": urls})
        return
    click.echo(f"MLflow UI  {ui}")
    for version, url in urls.items():
        click.echo(f"{version}  {url}")
    if scoring and not urls:
        say(f'nothing is in {ALIAS}: slipway promote MODEL/NUMBER --to {ALIAS} --reason "…"')
