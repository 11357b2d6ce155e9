"""The door through which MLflow makes its tables for a team's server."""

from dataclasses import dataclass

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Conflict
from slipway.registry.versions.sql_examined import MLFLOW, ExaminedDatabase, revisions_of

PROXIED = "mlflow-artifacts:/"


@dataclass(frozen=True, slots=True)
class MlflowTables:
    """MLflow's tables in a database, with a default experiment whose artifacts the server passes on."""

    url: str

    @property
    def name(self) -> str:
        """Return what people call it."""
        return "MLflow's tables"

    def is_there(self) -> bool:
        """Return whether they are there.

        Raises
        ------
        Conflict
            They are those of another MLflow: to change them takes a backup first, and a decision.
        """
        found, needed = ExaminedDatabase(self.url).revision(MLFLOW), revisions_of(MLFLOW).needed
        if found not in (None, needed):
            raise Conflict(
                f"MLflow's tables are of revision {found}, and the MLflow that is installed here needs {needed}",
                code="other-mlflow-tables",
                hint="back the database up, then: mlflow db upgrade postgresql://…",
            )
        return found is not None

    @translated()
    def make(self) -> None:
        """Have MLflow make them, as its server would."""
        SqlAlchemyStore(self.url, PROXIED).engine.dispose()
