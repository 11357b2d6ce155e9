"""The door that guards workspaces on a server.

One is not deleted, or merged into another, under a protected stage, nor is it given a place for its artifacts or
archived traces that lies among those of others.
"""

from mlflow.entities.workspace import Workspace, WorkspaceDeletionMode
from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore

from slipway.registry.artifacts.locations import unguarded
from slipway.registry.server.guard.mlflow_refusal import refusing
from slipway.registry.server.mlflow_server import server_protection

GUARDED = frozenset({"create_workspace", "delete_workspace", "update_workspace"})


class GuardedWorkspaces(SqlAlchemyStore):
    """MLflow's workspaces, guarded."""

    def create_workspace(self, workspace: Workspace) -> Workspace:
        """Create a workspace with places of its own."""
        _require_own_places(workspace)
        return super().create_workspace(workspace)

    def update_workspace(self, workspace: Workspace) -> Workspace:
        """Change a workspace, whose new places are its own."""
        _require_own_places(workspace)
        return super().update_workspace(workspace)

    def delete_workspace(
        self, workspace_name: str, mode: WorkspaceDeletionMode = WorkspaceDeletionMode.RESTRICT
    ) -> None:
        """Delete a workspace in which no version is in a protected stage."""
        with refusing(), server_protection().workspace_may_go(workspace_name):
            super().delete_workspace(workspace_name, mode)


def _require_own_places(workspace: Workspace) -> None:
    for location in filter(None, (workspace.default_artifact_root, workspace.trace_archival_location)):
        with refusing():
            server_protection().location_may_be_used(location, workspace.name)


def open_workspaces(workspace_uri: str) -> GuardedWorkspaces:
    """Return the guarded workspaces for a URI like `slipway+postgresql://…`."""
    return GuardedWorkspaces(unguarded(workspace_uri))
