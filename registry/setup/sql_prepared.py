"""The door through which the history's tables are made for a team's server."""

from dataclasses import dataclass

from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.ledger.sql_tables import REVISION
from slipway.registry.versions.sql_examined import OURS, ExaminedDatabase


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryTables:
    """The tables of the history, in MLflow's database or in one of their own."""

    url: str
    beside_mlflow: bool

    @property
    def name(self) -> str:
        """Return what people call it."""
        return "the history's tables"

    def is_there(self) -> bool:
        """Return whether they are there and up to date."""
        return ExaminedDatabase(self.url).revision(OURS) == REVISION

    def make(self) -> None:
        """Make them, or bring them up to date."""
        open_history(self.url, beside_mlflow=self.beside_mlflow)
