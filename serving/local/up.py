"""The command up, apart from processes: which services run, when they are ready, and what the engine serves.

A tracking server with its UI, and one serving engine for all that is in production. A team's tracking server is that of
`slipway.serving.local.team`, and runs alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from slipway.registry.addresses import http_address, without_brackets
from slipway.registry.errors import Unavailable

ALIAS = "production"
LOOK_EVERY_S = 2.0
READY_WITHIN_S = 120.0
# What was never served here has to be prepared, two at a time on a small machine.
SERVED_WITHIN_S = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A process to run: a module and its arguments, the URLs that answer when it is ready, and its ports.

    `environment` is what it is given beside ours: what is not to be read off a command line.
    """

    name: str
    arguments: tuple[str, ...]
    ready_urls: tuple[str, ...]
    port: int
    module: str = "mlflow"
    grpc_port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What `up` runs on a host: the tracking server, and the engine where there is to be one."""

    host: str
    tracking: Service
    engine: Service | None

    @property
    def services(self) -> list[Service]:
        """Return all of them."""
        return [each for each in (self.tracking, self.engine) if each is not None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """A model as the engine has it; `version` is `None` while it has none, `problem` where all is well."""

    model: str
    version: int | None
    preparing: int | None
    problem: str | None
    url: str

    @property
    def is_settled(self) -> bool:
        """Return whether it serves, or it was said why not."""
        return self.preparing is None and (self.version is not None or self.problem is not None)

    def __str__(self) -> str:
        serves = f"{self.model}/{self.version}  {self.url}" if self.version is not None else ""
        return "\n".join(filter(None, (serves, f"warning: {self.problem}" if self.problem else "")))


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

    def refreshed(self, engine: Service) -> Sequence[Mapping[str, object]] | None:
        """Return what an engine says of each model after it has polled the registry; `None` where it says nothing."""

    def models(self, engine: Service) -> Sequence[Mapping[str, object]] | None:
        """Return what an engine says of each model; `None` where it says nothing."""

    def stop_asked(self, *, within_s: float) -> bool:
        """Wait for a request to stop, at most so long; return whether there is one."""


Ask = Callable[[Service], Sequence[Mapping[str, object]] | None]


def tracking_service(*, host: str, port: int, database_uri: str, artifact_root: Path) -> Service:
    """Return MLflow's tracking server on a folder's own store.

    The artifact root is given, so that experiments made through the server can also be used without it.
    """
    arguments = ["server", "--backend-store-uri", database_uri, "--default-artifact-root", str(artifact_root)]
    arguments += ["--host", without_brackets(host), "--port", str(port), "--workers", "1"]
    url = f"{http_address(host, port)}/health"
    return Service(name="tracking", arguments=tuple(arguments), ready_urls=(url,), port=port)


def engine_service(*, host: str, port: int, grpc_port: int | None = None) -> Service:
    """Return the serving engine for all that is in production in this folder's registry."""
    grpc = () if grpc_port is None else ("--grpc-port", str(grpc_port))
    arguments = ("serve", "--host", host, "--port", str(port), *grpc, "--stage", ALIAS)
    url = f"{http_address(host, port)}/live"
    return Service(
        name="engine", module="slipway", arguments=arguments, ready_urls=(url,), port=port, grpc_port=grpc_port
    )


def up(
    plan: Plan,
    *,
    launcher: Launcher,
    ready: Callable[[Sequence[ServedModel]], None],
    say: Callable[[str], None],
) -> None:
    """Run everything until somebody asks to stop; whatever happens, nothing that was started goes on.

    `ready` is called once, when every service answers, with what serves by then; what changes after that is said.

    Raises
    ------
    Conflict
        A port is taken; nothing was started.
    Unavailable
        A service does not come up, or ends by itself; the end of its log is in the message.
    """
    for service in plan.services:
        for port in filter(None, (service.port, service.grpc_port)):
            launcher.require_free(plan.host, port)
    started: dict[str, RunningProcess] = {}
    try:
        for service in plan.services:
            started[service.name] = launcher.start(service)
        for service in plan.services:
            await_ready(service, started[service.name], launcher)
        served = _await_served(plan, started, launcher)
        ready(served)
        while not launcher.stop_asked(within_s=LOOK_EVERY_S):
            _require_alive(started)
            served = _say_changes(served, _served(plan, launcher.models), say)
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


def _await_served(plan: Plan, started: Mapping[str, RunningProcess], launcher: Launcher) -> Sequence[ServedModel]:
    """Wait until each model in production serves, or it is known why not, and return what there is."""
    served: Sequence[ServedModel] | None = None
    for _ in range(int(SERVED_WITHIN_S / 0.5)):
        served = _served(plan, launcher.refreshed)
        if served is not None and all(each.is_settled for each in served):
            break
        _require_alive(started)
        if launcher.stop_asked(within_s=0.5):
            raise KeyboardInterrupt
    return served or ()


def _served(plan: Plan, ask: Ask) -> Sequence[ServedModel] | None:
    """Return what the engine serves now; `None` where it does not say."""
    if plan.engine is None:
        return ()
    found = ask(plan.engine)
    return None if found is None else [_served_model(plan, plan.engine, each) for each in found]


def _served_model(plan: Plan, engine: Service, said: Mapping[str, object]) -> ServedModel:
    version, preparing, problem = said["version"], said["preparing"], said["problem"]
    return ServedModel(
        model=str(said["name"]),
        version=version if isinstance(version, int) else None,
        preparing=preparing if isinstance(preparing, int) else None,
        problem=str(problem) if problem else None,
        url=f"{http_address(plan.host, engine.port)}/models/{quote(str(said['name']), safe='')}/invocations",
    )


def _say_changes(
    before: Sequence[ServedModel], now: Sequence[ServedModel] | None, say: Callable[[str], None]
) -> Sequence[ServedModel]:
    """Say what serves otherwise than before, and return what serves now."""
    if now is None:
        return before
    known = {each.model: str(each) for each in before}
    for each in now:
        if known.get(each.model) != str(each) and str(each):
            say(str(each))
    for model in known.keys() - {each.model for each in now}:
        say(f"{model} is served no more")
    return now


def _require_alive(started: Mapping[str, RunningProcess]) -> None:
    for name, running in started.items():
        if not running.is_alive():
            raise _ended(name, running)


def _ended(name: str, running: RunningProcess) -> Unavailable:
    return Unavailable(f"{name} ended by itself: {running.last_lines()}", code="service-ended", hint=None)
