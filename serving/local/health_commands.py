"""The command health: whether the engine here answers for what it should; what a container engine asks."""

import http.client
import os
from pathlib import Path

import click

from slipway.registry.errors import Unavailable
from slipway.registry.settings import load_settings
from slipway.serving.settings import ServingSettings

WITHIN_S = 4.0
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@click.command("health", epilog="Example: slipway health --port 8080")
@click.option("--port", type=click.IntRange(1, 65535), help="Where it listens.  [default: as `slipway serve`]")
def health(port: int | None) -> None:
    """Ask the engine here whether it is ready; exit 1 where it is not."""
    settings = load_settings(ServingSettings, "serving", environ=os.environ, folder=Path.cwd())
    host, asked = ANY_HOST.get(settings.host, settings.host), port or settings.port
    status = _status(host, asked)
    if status != http.client.OK:
        raise Unavailable(f"the engine at {host}:{asked} is not ready: {status}", code="not-ready", hint="see its log")
    click.echo("ready")


def _status(host: str, port: int) -> int | str:
    """Return the status that the engine answers, or why it does not."""
    connection = http.client.HTTPConnection(host, port, timeout=WITHIN_S)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
