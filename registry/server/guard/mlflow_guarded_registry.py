"""The door that guards MLflow's model registry on a server: `slipway+postgresql://…` as its registry store.

Every route, the UI's and those of later versions included, ends in this store. It asks
`slipway.registry.server.guard.protection` before what could harm a protected stage; all else is MLflow's. Slipway
itself writes through MLflow's plain store.
"""

import logging
import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelTag,
)
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.server.constants import READ_REPLICA_BACKEND_STORE_URI_ENV_VAR
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.validation import _validate_model_version

from slipway.registry.artifacts.locations import unguarded
from slipway.registry.server.guard.guard import PROMPT_TAG, is_projected
from slipway.registry.server.guard.guard_wiring import open_protection
from slipway.registry.server.guard.mlflow_refusal import refusing
from slipway.registry.server.guard.sql_protected import ProtectedTables
from slipway.registry.server.mlflow_caller import caller
from slipway.registry.versions.provenance import REGISTERED_BY

logger = logging.getLogger(__name__)
# MLflow (3.17) asks its store where the files of `models:/NAME/N` lie when it makes a version of them. They are those
# that were logged: by where they lie, it is told who made them.
_is_copying: ContextVar[bool] = ContextVar("_is_copying", default=False)
GUARDED = frozenset(
    {
        "create_model_version",
        "create_registered_model",
        "delete_model_version",
        "delete_model_version_tag",
        "delete_registered_model",
        "delete_registered_model_alias",
        "delete_registered_model_tag",
        "rename_registered_model",
        "set_model_version_tag",
        "set_registered_model_alias",
        "set_registered_model_tag",
        "transition_model_version_stage",
    }
)


class RegistryGuard(SqlAlchemyStore):
    """The guarded calls, above whichever of MLflow's SQL stores."""

    def __init__(self, db_uri: str, read_db_uri: str | None = None) -> None:
        super().__init__(db_uri, read_db_uri)
        with refusing():
            self.protection = open_protection(db_uri, ProtectedTables(self.engine), os.environ, Path.cwd())

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias that means no protected stage."""
        number = _validate_model_version(version)
        with refusing(), self.protection.alias_may_move(self._get_active_workspace(), name, alias, to=number):
            super().set_registered_model_alias(name, alias, version)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias that means no protected stage."""
        with refusing(), self.protection.alias_may_move(self._get_active_workspace(), name, alias, to=None):
            super().delete_registered_model_alias(name, alias)

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        """Set MLflow's stage where it neither is nor becomes that of a protected stage."""
        here, number = self._get_active_workspace(), _validate_model_version(version)
        with refusing(), self.protection.label_may_change(here, name, number, stage):
            return super().transition_model_version_stage(name, version, stage, archive_existing_versions)

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version that is in no protected stage."""
        number = _validate_model_version(version)
        with refusing(), self.protection.version_may_go(self._get_active_workspace(), name, number):
            super().delete_model_version(name, version)

    def delete_registered_model(self, name: str) -> None:
        """Delete a model without a version in a protected stage."""
        with refusing(), self.protection.model_may_go(self._get_active_workspace(), name):
            super().delete_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename a model without a version in a protected stage."""
        with refusing(), self.protection.model_may_be_renamed(self._get_active_workspace(), name, new_name):
            return super().rename_registered_model(name, new_name)

    def create_registered_model(
        self,
        name: str,
        tags: list[RegisteredModelTag] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Create a model that looks like no protected one; whatever tags were copied along, it is in no stage yet."""
        with refusing():
            self.protection.name_may_be_given(self._get_active_workspace(), name)
        return super().create_registered_model(name, _new(name, tags), description, deployment_job_id)

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Create a version; a copy of one in a stage is in none, and whoever made it is on record."""
        with refusing():
            here, keys = self._get_active_workspace(), [tag.key for tag in tags or []]
            self.protection.version_may_have(here, name, source, keys, run_id=run_id, model_id=model_id)
        noted, made = _by_caller(_new(name, tags)), _is_copying.set(True)
        try:
            return super().create_model_version(
                name, source, run_id, noted, run_link, description, local_model_path, model_id
            )
        finally:
            _is_copying.reset(made)

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Return where a version's files are read: of one that was put into a stage, the server's own copy."""
        logged = str(super().get_model_version_download_uri(name, version))
        if _is_copying.get():
            return logged
        with refusing():
            return self.protection.served_location(
                self._get_active_workspace(), name, _validate_model_version(version), logged
            )

    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        """Set a tag that is not Slipway's."""
        self._require_free_tag(name, f"model {name}", tag.key)
        super().set_registered_model_tag(name, tag)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag that is not Slipway's."""
        self._require_free_tag(name, f"model {name}", key)
        super().delete_registered_model_tag(name, key)

    def set_model_version_tag(self, name: str, version: str, tag: ModelVersionTag) -> None:
        """Set a tag that is not Slipway's."""
        self._require_free_tag(name, f"{name}/{version}", tag.key)
        super().set_model_version_tag(name, version, tag)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Remove a tag that is not Slipway's."""
        self._require_free_tag(name, f"{name}/{version}", key)
        super().delete_model_version_tag(name, version, key)

    def _require_free_tag(self, name: str, asked: str, key: str) -> None:
        with refusing():
            self.protection.tags_may_change(self._get_active_workspace(), name, asked, [key])


class GuardedRegistry(RegistryGuard):
    """MLflow's registry store, guarded."""


class GuardedWorkspaceRegistry(RegistryGuard, WorkspaceAwareSqlAlchemyStore):
    """MLflow's registry store for servers with workspaces, guarded."""


def open_registry(store_uri: str) -> RegistryGuard:
    """Return the guarded store for a URI like `slipway+postgresql://…`, as MLflow would choose its own."""
    kind = GuardedWorkspaceRegistry if MLFLOW_ENABLE_WORKSPACES.get() else GuardedRegistry
    return kind(unguarded(store_uri), os.environ.get(READ_REPLICA_BACKEND_STORE_URI_ENV_VAR))


def _by_caller(tags: Any) -> Any:
    """Return the tags with the user that the server knows as the one who made the version; a prompt's as they are."""
    if any(tag.key == PROMPT_TAG for tag in tags or []):
        return tags
    kept = [tag for tag in tags or [] if tag.key.casefold() != REGISTERED_BY]
    by = caller()
    return [*kept, ModelVersionTag(REGISTERED_BY, by)] if by else kept


def _new(name: str, tags: Any) -> Any:
    """Return the tags without those that say in which stage something is."""
    kept = [tag for tag in tags or [] if not is_projected(tag.key)]
    if tags and len(kept) < len(tags):
        logger.info("%s: tags that say in which stage the original is were not copied", name)
    return kept if tags else tags
