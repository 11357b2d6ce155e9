"""What `slipway doctor` probes: what the settings name, and this machine.

What does not apply is left out: without a server none is examined.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from slipway.registry.errors import SlipwayError, Unavailable
from slipway.registry.settings import RegistrySettings, load_settings, registry_uri
from slipway.registry.setup import doctor_probes as probes
from slipway.registry.setup.auth_config import auth_config
from slipway.registry.setup.doctor import Health, Probe, Side, Symptom, diagnose, warn, wrong
from slipway.registry.setup.local_examined import Folder
from slipway.registry.setup.server_settings import ServerSettings, TeamSettings
from slipway.registry.setup.team_wiring import artifacts_of, history_of

ON_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """What is around the doctor: its environment and folder, the serving cache and its bound, the clock, the disks."""

    environ: Mapping[str, str]
    folder: Path
    cache: Callable[[], tuple[Path, int]]
    now: probes.Clock
    room: probes.Room


def examine(around: Around) -> tuple[Symptom, ...]:
    """Probe everything that the settings name, and this machine."""
    here: dict[str, Probe] = {
        "disk": lambda: probes.disks([around.folder, around.cache()[0]], around.room),
        "serving cache": lambda: probes.cache(*around.cache()),
    }
    try:
        settings = load_settings(TeamSettings, "registry", environ=around.environ, folder=around.folder)
        there = _there(settings, around)
    except SlipwayError as error:
        return (wrong("settings", error.message, error.hint), *diagnose(here))
    return diagnose({**there, **here})


def require_ready(
    settings: RegistrySettings, server: ServerSettings, environ: Mapping[str, str], *, folder: Path, now: probes.Clock
) -> None:
    """Refuse to start a server on a database or object store that is not as it must be.

    Raises
    ------
    Unavailable
        Something is wrong: each is named.
    """
    found = diagnose(team_probes(settings, server, environ, folder=folder, now=now))
    problems = [each for each in found if each.outcome is Health.WRONG]
    if problems:
        raise Unavailable(
            f"the server is not started: {'; '.join(f'{each.name}: {each.found}' for each in problems)}",
            code="not-ready",
            hint="slipway init --team makes what is missing; slipway doctor says what to do about the rest",
        )


def team_probes(
    settings: RegistrySettings, server: ServerSettings, environ: Mapping[str, str], *, folder: Path, now: probes.Clock
) -> dict[str, Probe]:
    """Return the probes of what a team's server stands on."""
    artifacts, history = artifacts_of(server, environ), history_of(settings, server)
    found: dict[str, Probe] = {"database": partial(probes.team_database, server.database_url, history.url)}
    if server.users:
        found["users"] = lambda: probes.users(auth_config(server, environ, folder))
    if isinstance(artifacts, Folder):
        found["artifacts"] = partial(probes.folder, artifacts)
    else:
        found["bucket"] = partial(probes.bucket, artifacts, now)
    return found


def _there(settings: TeamSettings, around: Around) -> dict[str, Probe]:
    """Return the probes beside this machine: at the team's parts, a server, or this folder's own database."""
    uri, server, environ = registry_uri(around.environ), settings.server, around.environ
    found: dict[str, Probe] = {}
    if server is not None:
        found = team_probes(settings, server, environ, folder=around.folder, now=around.now)
        found["artifact roots"] = partial(probes.database_roots, server.database_url, Side.TEAM)
    if uri.startswith(("http://", "https://")):
        side = Side.SERVER_HERE if urlsplit(uri).hostname in ON_THIS_MACHINE else Side.TEAM
        found["server"] = partial(probes.server, uri, environ, around.now, None if server else side)
    elif server is not None:
        found["server"] = partial(_own_server, server, around)
    else:
        found["database"] = partial(probes.own_database, uri)
    return found


def _own_server(server: ServerSettings, around: Around) -> tuple[Symptom, ...]:
    """Probe the server of these settings, as its administrator; one that was not started is nothing wrong."""
    password = server.admin_password.get_secret_value() if server.admin_password else ""
    administrator = {"MLFLOW_TRACKING_USERNAME": server.admin_name, "MLFLOW_TRACKING_PASSWORD": password}
    try:
        return tuple(probes.server(server.url, {**administrator, **around.environ}, around.now))
    except Unavailable as error:
        return (warn("server", error.message, "slipway up --team"),)
