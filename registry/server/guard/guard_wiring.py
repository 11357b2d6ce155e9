"""How a server gets its guard: settings, policy and history of its working folder, on the registry's database."""

from collections.abc import Mapping
from pathlib import Path

from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.policy.policy_file import PolicyFile
from slipway.registry.server.guard.kept import Kept
from slipway.registry.server.guard.protection import GuardedTables, Protection
from slipway.registry.server.guard.sql_copies import SqlCopies
from slipway.registry.server.mlflow_caller import by_administrator
from slipway.registry.server.mlflow_kept_copies import KeptCopies
from slipway.registry.settings import RegistrySettings, history_place, load_settings, policy_place

DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"  # where `mlflow server` (3.17) tells its workers


def open_protection(url: str, tables: GuardedTables, environ: Mapping[str, str], folder: Path) -> Protection:
    """Return what guards the registry in a database; the history's tables are made or migrated.

    Raises
    ------
    InvalidInput
        Settings or policy are wrong: a server that cannot tell what it guards does not start.
    """
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    place, beside_mlflow = history_place(settings, {"MLFLOW_REGISTRY_URI": url})
    policies = PolicyFile(policy_place(settings, folder))
    policies()
    history = open_history(place, beside_mlflow=beside_mlflow)

    def destination() -> str | None:
        return environ.get(DESTINATION)

    return Protection(
        tables=tables,
        history=history,
        kept=Kept(tables, history, destination),
        policies=policies,
        last_policies=policies.last,
        destination=destination,
        copies=KeptCopies(SqlCopies(place)),
        by_administrator=by_administrator,
        others=settings.artifact_places,
    )
