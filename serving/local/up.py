"""The command up, apart from processes: which services run, on which ports, and what a moved alias changes.

A tracking server with its UI, and one of MLflow's scoring servers for each model in production. MLflow's
scoring server reads the alias once; here it is started anew when the alias moves. A team's tracking server is that
of `slipway.serving.local.team`, and runs alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from slipway.registry.addresses import http_address, without_brackets
from slipway.registry.errors import Unavailable
from slipway.registry.version import Version

ALIAS = "production"
LOOK_EVERY_S = 2.0
READY_WITHIN_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A process to run: its arguments after `mlflow`, the URLs that answer when it is ready, and its port.

    `environment` is what it is given beside ours: what is not to be read off a command line.
    """

    name: str
    arguments: tuple[str, ...]
    ready_urls: tuple[str, ...]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The tracking server that `up` runs, and where scoring servers listen beside it."""

    host: str
    scoring_port: int
    tracking: Service


class RunningProcess(Protocol):
    """A started service."""

    def is_alive(self) -> bool:
        """Return whether the process still runs."""

    def last_lines(self) -> str:
        """Return the end of its log."""

    def stop(self) -> None:
        """End the process and all that it started; a second call does nothing."""


class Launcher(Protocol):
    """Starts services and checks them."""

    def require_free(self, host: str, port: int) -> None:
        """Raise Conflict when something listens on the port."""

    def start(self, service: Service) -> RunningProcess:
        """Start a service, and return at once."""

    def answers(self, url: str) -> bool:
        """Return whether the URL answers within a moment: with success, or by asking who one is."""

    def stop_asked(self, *, within_s: float) -> bool:
        """Wait for a request to stop, at most so long; return whether there is one."""


@dataclass(slots=True)
class Scored:
    """A model in production, and the scoring server that answers for it."""

    version: Version
    service: Service
    running: RunningProcess


def tracking_service(*, host: str, port: int, database_uri: str, artifact_root: Path) -> Service:
    """Return MLflow's tracking server on a folder's own store.

    The artifact root is given, so that experiments made through the server can also be used without it.
    """
    arguments = ["server", "--backend-store-uri", database_uri, "--default-artifact-root", str(artifact_root)]
    arguments += ["--host", without_brackets(host), "--port", str(port), "--workers", "1"]
    url = f"{http_address(host, port)}/health"
    return Service(name="tracking", arguments=tuple(arguments), ready_urls=(url,), port=port)


def scoring_service(plan: Plan, version: Version, port: int) -> Service:
    """Return MLflow's scoring server for one version."""
    arguments = ["models", "serve", "-m", f"models:/{version}", "--env-manager", "local"]
    arguments += ["--host", without_brackets(plan.host), "--port", str(port)]
    url = f"{http_address(plan.host, port)}/ping"
    return Service(name=f"scoring-{version.model}", arguments=tuple(arguments), ready_urls=(url,), port=port)


def up(
    plan: Plan,
    *,
    in_production: Callable[[], Sequence[Version]],
    launcher: Launcher,
    ready: Callable[[Sequence[Scored]], None],
    say: Callable[[str], None],
) -> None:
    """Run everything until somebody asks to stop; whatever happens, nothing that was started goes on.

    `ready` is called once, when every service answers.

    Raises
    ------
    Conflict
        A port is taken; nothing was started.
    Unavailable
        A service does not come up, or ends by itself; the end of its log is in the message.
    """
    versions = in_production()
    for port in [plan.tracking.port, *range(plan.scoring_port, plan.scoring_port + len(versions))]:
        launcher.require_free(plan.host, port)
    started: dict[str, RunningProcess] = {}
    try:
        started[plan.tracking.name] = launcher.start(plan.tracking)
        scored = {
            v.model: _start_scoring(plan, v, plan.scoring_port + i, launcher, started) for i, v in enumerate(versions)
        }
        for service in [plan.tracking, *(each.service for each in scored.values())]:
            await_ready(service, started[service.name], launcher)
        ready(list(scored.values()))
        while not launcher.stop_asked(within_s=LOOK_EVERY_S):
            _require_alive(started)
            _follow(plan, scored, in_production(), launcher=launcher, started=started, say=say)
    finally:
        for running in started.values():
            running.stop()


def await_ready(service: Service, running: RunningProcess, launcher: Launcher) -> None:
    """Wait until a service answers.

    Raises
    ------
    Unavailable
        It ended, or did not answer within two minutes.
    KeyboardInterrupt
        Somebody asked to stop.
    """
    for _ in range(int(READY_WITHIN_S / 0.25)):
        if all(map(launcher.answers, service.ready_urls)):
            return
        if not running.is_alive():
            raise _ended(service.name, running)
        if launcher.stop_asked(within_s=0.25):
            raise KeyboardInterrupt
    urls = " and ".join(service.ready_urls)
    raise Unavailable(
        f"{service.name} does not answer at {urls} after {READY_WITHIN_S:.0f} s: {running.last_lines()}",
        code="service-not-ready",
        hint=None,
    )


def _start_scoring(
    plan: Plan, version: Version, port: int, launcher: Launcher, started: dict[str, RunningProcess]
) -> Scored:
    service = scoring_service(plan, version, port)
    started[service.name] = launcher.start(service)
    return Scored(version=version, service=service, running=started[service.name])


def _follow(
    plan: Plan,
    scored: dict[str, Scored],
    versions: Sequence[Version],
    *,
    launcher: Launcher,
    started: dict[str, RunningProcess],
    say: Callable[[str], None],
) -> None:
    """Start, restart or stop scoring servers so that they are those of the versions in production now."""
    current = {version.model: version for version in versions}
    for model in scored.keys() - current.keys():
        say(f"{model} is in {ALIAS} no more: its scoring server stops")
        _stop(scored.pop(model), started)
    for model, version in current.items():
        before = scored.get(model)
        if before is not None and before.version.number == version.number:
            continue
        port = before.service.port if before else _next_port(plan, scored)
        say(f"{version} is in {ALIAS} now: its scoring server starts, with a gap of some seconds")
        if before is not None:
            _stop(before, started)
        scored[model] = _start_scoring(plan, version, port, launcher, started)
        await_ready(scored[model].service, scored[model].running, launcher)
        say(f"{version}: {scoring_url(plan, port)}")


def _stop(scored: Scored, started: dict[str, RunningProcess]) -> None:
    started.pop(scored.service.name).stop()


def _next_port(plan: Plan, scored: dict[str, Scored]) -> int:
    return max([plan.scoring_port - 1, *(each.service.port for each in scored.values())]) + 1


def scoring_url(plan: Plan, port: int) -> str:
    """Return where a scoring server takes requests."""
    return f"{http_address(plan.host, port)}/invocations"


def _require_alive(started: dict[str, RunningProcess]) -> None:
    for name, running in started.items():
        if not running.is_alive():
            raise _ended(name, running)


def _ended(name: str, running: RunningProcess) -> Unavailable:
    return Unavailable(f"{name} ended by itself: {running.last_lines()}", code="service-ended", hint=None)
