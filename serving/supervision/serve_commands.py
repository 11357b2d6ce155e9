"""The command serve."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from slipway.registry.addresses import host_and_port, http_address
from slipway.registry.console import json_option, print_document, say, some_text
from slipway.registry.distribution import install_with
from slipway.registry.engines.heartbeats import Heartbeats
from slipway.registry.errors import InvalidInput, SlipwayError
from slipway.registry.settings import load_settings
from slipway.serving.logs import set_up_logs
from slipway.serving.preparation.prepared import PreparedVersions
from slipway.serving.settings import ServingSettings
from slipway.serving.stop_signals import stop_signals
from slipway.serving.supervision.first_look import There, first_look
from slipway.serving.supervision.listener import holding, listening, stop_listening
from slipway.serving.supervision.sources import ServingSource, source_of
from slipway.serving.supervision.supervisor import Supervisor
from slipway.serving.supervision.worker_plan import plan_of
from slipway.serving.supervision.worker_pool import WorkerPool
from slipway.serving.target import parse_target
from slipway.serving.transports.names import GRPC, HTTP

LEAVE_WITHIN_S = 5.0
# As modules: their packages are grpcio, grpcio-health-checking and grpcio-reflection. None is imported here.
SPEAK_GRPC = ("grpc", "grpc_health", "grpc_reflection")


@click.command("serve", epilog="Example: slipway serve cancer@production iris@staging --port 8080 --workers 2")
@click.argument("targets", nargs=-1, metavar="[MODEL@STAGE]…")
@click.option("--host", callback=some_text, help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.  [default: 8080]")
@click.option(
    "--grpc-port", type=click.IntRange(0, 65535), help="Speak gRPC as well, on this port; 0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that answer.  [default: 1]")
@click.option(
    "--stage", callback=some_text, help="Without models: serve all that have a version here.  [default: production]"
)
@click.option("--accelerate", type=click.BOOL, metavar="on|off", help="Compile what can be compiled.  [default: on]")
@click.option("--cache", callback=some_text, metavar="PATH", help="Where versions are kept.  [default: .slipway/cache]")
@click.option("--max-body-mb", type=float, help="The largest request, in MiB.  [default: 64]")
@click.option("--poll-s", type=float, help="How often to poll the registry, in seconds.  [default: 1]")
@click.option("--log-json", is_flag=True, default=None, help="Write the log as JSON, a line an event.")
@json_option
def serve(targets: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Answer for what is in a stage, and follow it as it moves."""
    settings = settings_of(targets, flags, os.environ, Path.cwd())
    set_up_logs(as_json=settings.log_json)
    source = source_of(settings, os.environ, Path.cwd())
    settings = source.settings
    with listening(settings.host, settings.port) as listener, _held_for_grpc(settings) as held:
        there = _look(source)
        address = http_address(settings.host, listener.getsockname()[1])
        if as_json:
            versions = None if there is None else {str(target): number for target, number in there.items()}
            document = {"address": address, "models": list(settings.targets), "versions": versions}
            print_document(document | ({"grpc": _grpc_address(settings, held)} if held else {}))
        else:
            _show(address, settings, there)
            if held is not None:
                click.echo(f"gRPC {_grpc_address(settings, held)}")
        listeners = {HTTP: listener, **({GRPC: held} if held else {})}
        asyncio.run(_serve(source, listeners, address))


def _held_for_grpc(settings: ServingSettings) -> AbstractContextManager[socket.socket | None]:
    """Hold the port of gRPC, where there is to be one.

    Raises
    ------
    InvalidInput
        What speaks gRPC is not installed.
    """
    if settings.grpc_port is None:
        return contextlib.nullcontext()
    if missing := [each for each in SPEAK_GRPC if find_spec(each) is None]:
        raise InvalidInput(
            f"--grpc-port needs packages that are not installed: {', '.join(missing)}",
            code="grpc-not-installed",
            hint=install_with("grpc"),
        )
    return holding(settings.host, settings.grpc_port)


def _grpc_address(settings: ServingSettings, held: socket.socket) -> str:
    return host_and_port(settings.host, held.getsockname()[1])


def settings_of(
    targets: tuple[str, ...], flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> ServingSettings:
    """Return the settings: flags above the environment, above the file, above defaults."""
    given = {name: value for name, value in flags.items() if value is not None}
    said = {f"SLIPWAY_SERVING__{name.upper()}": str(value) for name, value in given.items()}
    settings = load_settings(ServingSettings, "serving", environ={**environ, **said}, folder=folder)
    return settings.model_copy(update={"targets": targets}) if targets else settings


def _look(source: ServingSource) -> There | None:
    """Look at what is there; raises NotFound where a name is probably mistyped."""
    settings = source.settings
    try:
        source.require_store()
    except SlipwayError as error:  # it is followed when it is there
        say(f"warning: {error.message} ({error.hint})")
        return None
    memory = PreparedVersions(settings.cache.absolute(), registry=source.registry, accelerate=settings.accelerate)
    return first_look(
        tuple(map(parse_target, settings.targets)),
        stage=settings.stage,
        views=source.views,
        stages_of=source.stages_of,
        served_before=lambda target: memory.remembered(target) is not None,
    )


async def _serve(source: ServingSource, listeners: Mapping[str, socket.socket], address: str) -> None:
    settings, heartbeats, listener = source.settings, source.heartbeats, listeners[HTTP]
    engine = f"{socket.gethostname()}:{listener.getsockname()[1]}:{os.getpid()}"
    supervisor = Supervisor(
        tuple(map(parse_target, settings.targets)),
        settings,
        engine=engine,
        address=address,
        registry=source.registry,
        stage_views=source.views,
        heartbeats=heartbeats,
        decided_at_server=source.decided_at_server,
    )
    pool = WorkerPool(listeners, plan_of(settings), answer=supervisor.answer, complete=supervisor.complete)
    supervisor.employ(pool)
    stop = asyncio.Event()
    for number in stop_signals():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await pool.start(settings.workers)
    following = asyncio.create_task(supervisor.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([following, stopping], return_when=asyncio.FIRST_COMPLETED)
    closing = asyncio.create_task(stop_listening(listener, after_s=settings.drain_s))
    await pool.stop(settings.drain_s + settings.stop_within_s)
    await closing
    await _leave(heartbeats, engine)
    if following.done():
        following.result()
    _end()


async def _leave(heartbeats: Heartbeats | None, engine: str) -> None:
    if heartbeats is not None:
        with contextlib.suppress(SlipwayError, TimeoutError):  # its rows are old in a moment, and nobody waits for them
            await asyncio.wait_for(asyncio.to_thread(heartbeats.leave, engine), LEAVE_WITHIN_S)


def _end() -> None:
    """End this process: what waits in a thread for a registry that is away would keep it for minutes."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _show(address: str, settings: ServingSettings, there: There | None) -> None:
    """Say what is served where, as far as it is known."""
    numbers = {} if there is None else {str(target): number for target, number in there.items()}
    names = settings.targets or tuple(numbers)
    for name in names:
        number = numbers.get(name)
        version = f"version {number}" if number else "no version yet" if name in numbers else "the registry is away"
        click.echo(f"{name}  {address}/models/{name}/invocations  {version}")
    if not settings.targets and settings.image is None:
        now = "" if names else f"nothing is in {settings.stage} now; "
        click.echo(f"{now}whatever comes into it is served at {address}/models/MODEL@{settings.stage}/invocations")
    if len(names) == 1:
        click.echo(f"the only model  {address}/invocations and {address}/predict")
    click.echo(f"health {address}/ready  metrics {address}/metrics  models {address}/models")
