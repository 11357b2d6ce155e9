"""Which policy holds where a command is run: that of the server, or of the working folder."""

from collections.abc import Mapping
from pathlib import Path

from slipway.registry.http_client import SlipwayServer
from slipway.registry.policy.http_policy import policies_of
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.settings import RegistrySettings, decided_at_server, load_settings, policy_place, registry_uri


def policies_in_force(environ: Mapping[str, str], folder: Path) -> PolicyBook:
    """Return the policies under which decisions are made: a server's are its own."""
    if decided_at_server(environ, folder):
        return policies_of(SlipwayServer(registry_uri(environ), environ))
    return load_policy(place_of_policy(environ, folder))


def folder_of_policy(environ: Mapping[str, str], folder: Path) -> Path:
    """Return the folder of a working folder's policy, whether or not it has one: a server's policy may hold there."""
    return (folder / load_settings(RegistrySettings, "registry", environ=environ, folder=folder).policy).parent


def place_of_policy(environ: Mapping[str, str], folder: Path) -> Path:
    """Return where the policy of a working folder is, by the settings."""
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    return policy_place(settings, folder)
