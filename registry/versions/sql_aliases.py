"""The `Aliases` of a registry in SQL, read from MLflow's own tables (3.17): one query a poll, no import of MLflow."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from slipway.registry.ledger.chain import HEAD_TAG
from slipway.registry.ledger.sql_history import translated
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.sql_connection import existing_engine
from slipway.registry.versions.aliases import AliasHolder, Wanted, identity_of

IS_NO_PROMPT = (
    "NOT EXISTS (SELECT 1 FROM registered_model_tags t WHERE t.name = a.name AND t.workspace = a.workspace "
    "AND t.key = 'mlflow.prompt.is_prompt' AND lower(t.value) = 'true')"
)
HOLDERS = sa.text(
    "SELECT a.name, a.alias, a.version, a.workspace, v.creation_time, v.source FROM registered_model_aliases a "
    "JOIN model_versions v ON v.name = a.name AND v.version = a.version AND v.workspace = a.workspace "
    f"WHERE a.workspace = 'default' AND a.name IN :models AND {IS_NO_PROMPT}"
).bindparams(sa.bindparam("models", expanding=True))
MODELS = sa.text(
    "SELECT a.name FROM registered_model_aliases a WHERE a.workspace = 'default' AND a.alias = :alias "
    f"AND {IS_NO_PROMPT} ORDER BY a.name"
)
NAMES = sa.text(
    f"SELECT a.name FROM registered_models a WHERE a.workspace = 'default' AND {IS_NO_PROMPT} ORDER BY a.name"
)
NAMED = sa.text(
    "SELECT a.name, a.workspace, a.creation_time, t.value AS head FROM registered_models a "
    f"LEFT JOIN registered_model_tags t ON t.workspace = a.workspace AND t.name = a.name AND t.key = '{HEAD_TAG}' "
    f"WHERE a.workspace = 'default' AND a.name IN :models AND {IS_NO_PROMPT}"
).bindparams(sa.bindparam("models", expanding=True))
VERSION = sa.text(
    "SELECT workspace, creation_time, source FROM model_versions WHERE workspace = 'default' AND name = :model "
    "AND version = :number AND current_stage <> 'Deleted_Internal'"
)


class SqlAliases:
    """The `Aliases` in a SQL database of MLflow's."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = existing_engine(self._url)

    def holders(self, wanted: Collection[Wanted]) -> Mapping[Wanted, AliasHolder]:
        """Return the holder of each (model, alias) that has one."""
        models = sorted({model for model, _ in wanted})
        with translated(self._url), self._engine.connect() as connection:
            rows = connection.execute(HOLDERS, {"models": models}).all()
        found = {
            (row.name, row.alias): AliasHolder(
                number=row.version, identity=identity_of(row.workspace, row.creation_time, row.name, row.source)
            )
            for row in rows
        }
        return {each: found[each] for each in wanted if each in found}

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version with the alias."""
        with translated(self._url), self._engine.connect() as connection:
            return tuple(connection.scalars(MODELS, {"alias": alias}))

    def model_names(self) -> tuple[str, ...]:
        """Return the names of all models."""
        with translated(self._url), self._engine.connect() as connection:
            return tuple(connection.scalars(NAMES))

    def models(self, names: Collection[str]) -> Mapping[str, RegisteredModel]:
        """Return the models that have these names, without their aliases; of tags that which notes a chain's head."""
        with translated(self._url), self._engine.connect() as connection:
            rows = connection.execute(NAMED, {"models": sorted(names)}).all()
        return {
            row.name: RegisteredModel(
                name=row.name,
                created_ms=int(row.creation_time),
                workspace=row.workspace,
                tags={} if row.head is None else {HEAD_TAG: row.head},
            )
            for row in rows
        }

    def numbered(self, model: str, number: int) -> AliasHolder | None:
        """Return a version by its number."""
        with translated(self._url), self._engine.connect() as connection:
            row = connection.execute(VERSION, {"model": model, "number": number}).first()
        if row is None:
            return None
        return AliasHolder(number=number, identity=identity_of(row.workspace, row.creation_time, model, row.source))
