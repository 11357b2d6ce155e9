"""The door that guards workspaces on a server: one is not deleted, or merged into another, under a protected stage."""

from mlflow.entities.workspace import WorkspaceDeletionMode
from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore

from registry.mlflow_refusal import refusing
from registry.mlflow_server import server_protection
from registry.places import unguarded

GUARDED = frozenset({"delete_workspace"})


class GuardedWorkspaces(SqlAlchemyStore):
    """MLflow's workspaces, guarded."""

    def delete_workspace(
        self, workspace_name: str, mode: WorkspaceDeletionMode = WorkspaceDeletionMode.RESTRICT
    ) -> None:
        """Delete a workspace in which no version is in a protected stage."""
        with refusing(), server_protection().workspace_may_go(workspace_name):
            super().delete_workspace(workspace_name, mode)


def open_workspaces(workspace_uri: str) -> GuardedWorkspaces:
    """Return the guarded workspaces for a URI like `slipway+postgresql://…`."""
    return GuardedWorkspaces(unguarded(workspace_uri))
