"""The door to MLflow's own tables, for the one repair that MLflow has no call for."""

from collections.abc import Mapping

import sqlalchemy
from sqlalchemy import Column, MetaData, String, Table

EXPERIMENTS = Table(
    "experiments", MetaData(), Column("experiment_id", sqlalchemy.Integer), Column("artifact_location", String)
)


def move_artifact_locations(database_uri: str, locations: Mapping[str, str]) -> None:
    """Set where new runs of each experiment, by its id, keep their artifacts; existing runs keep theirs."""
    engine = sqlalchemy.create_engine(database_uri)
    with engine.begin() as connection:
        for experiment_id, location in locations.items():
            connection.execute(
                sqlalchemy.update(EXPERIMENTS)
                .where(EXPERIMENTS.c.experiment_id == int(experiment_id))
                .values(artifact_location=location)
            )
