"""The door to MLflow's own tables for the guard (3.17): what has which alias and stage, and what belongs to what.

One statement for each question, in whatever workspace: MLflow's stores answer for the caller's workspace only, and load
every version of a model to tell its aliases.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from slipway.registry.ledger.chain import HEAD_TAG
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.server.guard.guard import PROMPT_TAG, ShownModel
from slipway.registry.server.guard.protection import LocatedVersion, VersionKey
from slipway.registry.stages import MLFLOW_NONE, mlflow_stage_of
from slipway.registry.text import can_be_asked_for
from slipway.registry.version import LARGEST_NUMBER

DELETED = "Deleted_Internal"
META = sa.MetaData()


def _table(name: str, *columns: str) -> sa.Table:
    return sa.Table(name, META, *(sa.Column(column, sa.String) for column in columns))


MODELS = _table("registered_models", "workspace", "name", "creation_time")
MODEL_TAGS = _table("registered_model_tags", "workspace", "name", "key", "value")
ALIASES = _table("registered_model_aliases", "workspace", "name", "alias", "version")
VERSIONS = _table(
    "model_versions", "workspace", "name", "version", "current_stage", "source", "storage_location", "run_id"
)
RUNS = _table("runs", "run_uuid", "experiment_id", "artifact_uri")
LOGGED = _table("logged_models", "model_id", "experiment_id", "source_run_id", "artifact_location")
# So many logged models or runs are asked for in one statement: SQLite takes some thousand conditions, and no more.
AT_ONCE = 100
# Where MLflow (3.17) keeps a run's files.
AMONG_RUN = re.compile(r"/([0-9a-f]{32})/artifacts(?=/|$)")
Asked = TypeVar("Asked")


STORED = (
    VERSIONS.c.workspace,
    VERSIONS.c.name,
    VERSIONS.c.version,
    VERSIONS.c.source,
    VERSIONS.c.storage_location,
    RUNS.c.artifact_uri,
)
WITH_RUNS = VERSIONS.outerjoin(RUNS, RUNS.c.run_uuid == VERSIONS.c.run_id)


def _in_stages() -> sa.CompoundSelect[Any]:
    """Return what finds versions by alias (`words`) and by MLflow's stage (`labels`); it is asked before each upload.

    To make it takes longer than to run it.
    """
    aliased = sa.and_(
        ALIASES.c.workspace == VERSIONS.c.workspace,
        ALIASES.c.name == VERSIONS.c.name,
        ALIASES.c.version == VERSIONS.c.version,
    )
    by_alias = sa.select(*STORED, ALIASES.c.alias.label("word")).select_from(WITH_RUNS.join(ALIASES, aliased))
    by_label = sa.select(*STORED, VERSIONS.c.current_stage.label("word")).select_from(WITH_RUNS)
    return sa.union_all(
        by_alias.where(sa.func.lower(ALIASES.c.alias).in_(sa.bindparam("words", expanding=True))),
        by_label.where(VERSIONS.c.current_stage.in_(sa.bindparam("labels", expanding=True))),
    )


IN_STAGES = _in_stages()


class ProtectedTables:
    """MLflow's tables on one engine, read only, each statement by itself."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def model(self, workspace: str, name: str) -> ShownModel | None:
        """Return a model with its aliases and MLflow stages; `None` where there is none."""
        if not can_be_asked_for(name):
            return None
        with self._engine.connect() as connection:
            here = (MODELS.c.workspace == workspace, MODELS.c.name == name)
            created_ms = connection.scalar(sa.select(MODELS.c.creation_time).where(*here))
            if created_ms is None:
                return None
            aliases = connection.execute(
                sa.select(ALIASES.c.alias, ALIASES.c.version).where(
                    ALIASES.c.workspace == workspace, ALIASES.c.name == name
                )
            )
            labelled = (VERSIONS.c.workspace == workspace, VERSIONS.c.name == name)
            unlabelled = VERSIONS.c.current_stage.in_([MLFLOW_NONE, DELETED])
            labels = sa.select(VERSIONS.c.version, VERSIONS.c.current_stage).where(*labelled, ~unlabelled)
            tags = self._tags(connection, workspace, name)
            return ShownModel(
                model=RegisteredModel(
                    name=name,
                    created_ms=int(created_ms),
                    workspace=workspace,
                    aliases={row.alias: int(row.version) for row in aliases},
                    tags=tags,
                ),
                labels={int(row.version): row.current_stage for row in connection.execute(labels)},
                is_prompt=tags.get(PROMPT_TAG) == "true",
            )

    def models(self, workspace: str) -> tuple[str, ...]:
        """Return the names of a workspace's models and prompts."""
        with self._engine.connect() as connection:
            return tuple(connection.scalars(sa.select(MODELS.c.name).where(MODELS.c.workspace == workspace)))

    def versions_of_run(self, run_id: str) -> tuple[VersionKey, ...]:
        """Return the versions that a run made, whose files lie among its own, or whose stored model it made."""
        return self._versions(run_id, LOGGED.c.source_run_id == run_id, of_runs=RUNS.c.run_uuid == run_id)

    def versions_of_logged_model(self, model_id: str) -> tuple[VersionKey, ...]:
        """Return the versions, copies among them, whose files are a logged model's, or lie among them."""
        return self._versions(model_id, LOGGED.c.model_id == model_id)

    def versions_of_experiment(self, experiment_id: str) -> tuple[VersionKey, ...]:
        """Return the versions whose run or logged model is in an experiment, however its number is written.

        MLflow makes a number of it: ` 01`, `+1` and `0_1` are the experiment 1.
        """
        try:
            number = int(experiment_id)
        except ValueError:
            return ()
        if not 0 <= number <= LARGEST_NUMBER:
            return ()
        of_runs = RUNS.c.experiment_id == number
        return self._versions(str(experiment_id), LOGGED.c.experiment_id == number, of_runs=of_runs)

    def stored(self, stages: Collection[str]) -> tuple[LocatedVersion, ...]:
        """Return the versions that have the alias or the MLflow stage of one of these stages, and where they lie."""
        labels = [label for stage in stages if (label := mlflow_stage_of(stage))]
        words = [stage.lower() for stage in stages]
        with self._engine.connect() as connection:
            return tuple(_stored(row) for row in connection.execute(IN_STAGES, {"words": words, "labels": labels}))

    def stored_numbers(self, workspace: str, created_ms: int, numbers: Collection[int]) -> tuple[LocatedVersion, ...]:
        """Return those of a model's versions that are there, without a word."""
        is_of = sa.and_(MODELS.c.workspace == VERSIONS.c.workspace, MODELS.c.name == VERSIONS.c.name)
        query = sa.select(*STORED, sa.literal("").label("word")).select_from(WITH_RUNS.join(MODELS, is_of))
        here = (MODELS.c.workspace == workspace, sa.cast(MODELS.c.creation_time, sa.BigInteger) == created_ms)
        mine = sa.cast(VERSIONS.c.version, sa.Integer).in_(sorted(numbers))
        with self._engine.connect() as connection:
            found = connection.execute(query.where(*here, mine, VERSIONS.c.current_stage != DELETED))
            return tuple(_stored(row) for row in found)

    def run_root(self, run_id: str) -> str | None:
        """Return where a run keeps its artifacts."""
        if not can_be_asked_for(run_id):
            return None
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(RUNS.c.artifact_uri).where(RUNS.c.run_uuid == run_id))

    def outputs_of_run(self, run_id: str) -> tuple[str, ...]:
        """Return where a run's files lie: its own root, and each model that it logged, by name and place."""
        if not can_be_asked_for(run_id):
            return ()
        own = sa.select(RUNS.c.artifact_uri).where(RUNS.c.run_uuid == run_id)
        logged = LOGGED.c.source_run_id == run_id
        names = sa.select(sa.literal("models:/") + LOGGED.c.model_id).where(logged)
        places = sa.select(LOGGED.c.artifact_location).where(logged)
        with self._engine.connect() as connection:
            return tuple(each for each in connection.scalars(sa.union(own, names, places)) if each)

    def artifact_roots(self, ids: Collection[str]) -> tuple[str, ...]:
        """Return where those runs and logged models keep their artifacts that have one of the identifiers."""
        ids = [each for each in ids if can_be_asked_for(each)]
        of_runs = sa.select(RUNS.c.artifact_uri).where(RUNS.c.run_uuid.in_(ids))
        of_models = sa.select(LOGGED.c.artifact_location).where(LOGGED.c.model_id.in_(ids))
        with self._engine.connect() as connection:
            return tuple(root for root in connection.scalars(sa.union(of_runs, of_models)) if root)

    def _versions(
        self, asked: str, of_logged: sa.ColumnElement[bool], *, of_runs: sa.ColumnElement[bool] | None = None
    ) -> tuple[VersionKey, ...]:
        """Return the versions of these runs, and those whose files are in the place of one of these logged models.

        A version that names no run may have its files among one's all the same.
        """
        if not can_be_asked_for(asked):
            return ()
        logged = sa.select(LOGGED.c.model_id, LOGGED.c.artifact_location).where(of_logged)
        with self._engine.connect() as connection:
            places = [
                each for row in connection.execute(logged) for each in _among(row.model_id, row.artifact_location)
            ]
            conditions = [sa.or_(*chunk) for chunk in _chunks(places)]
            conditions += [] if of_runs is None else [of_runs]
            found = {_key(row) for each in conditions for row in connection.execute(_here(each))}
            if of_runs is not None:
                found |= self._nameless(connection, of_runs)
        return tuple(sorted(found))

    @staticmethod
    def _nameless(connection: sa.Connection, of_runs: sa.ColumnElement[bool]) -> set[VersionKey]:
        """Return the versions that name no run, and have files among those of one of these."""
        names_none = sa.func.coalesce(VERSIONS.c.run_id, "") == ""
        query = sa.select(*STORED).select_from(WITH_RUNS).where(names_none, VERSIONS.c.current_stage != DELETED)
        among = {
            (_key(row), run_id)
            for row in connection.execute(query)
            for location in (row.source, row.storage_location)
            for run_id in AMONG_RUN.findall(location or "")
        }
        asked = [
            sa.select(RUNS.c.run_uuid).where(of_runs, RUNS.c.run_uuid.in_(chunk))
            for chunk in _chunks(sorted({run_id for _, run_id in among}))
        ]
        meant = {run_id for each in asked for run_id in connection.scalars(each)}
        return {key for key, run_id in among if run_id in meant}

    def _tags(self, connection: sa.Connection, workspace: str, name: str) -> dict[str, str]:
        """Return the tags that tell what a model is: a prompt, or one with a history."""
        here = (MODEL_TAGS.c.workspace == workspace, MODEL_TAGS.c.name == name)
        query = sa.select(MODEL_TAGS.c.key, MODEL_TAGS.c.value).where(
            *here, MODEL_TAGS.c.key.in_([PROMPT_TAG, HEAD_TAG])
        )
        return {row.key: row.value for row in connection.execute(query)}


def _here(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    columns = (VERSIONS.c.workspace, VERSIONS.c.name, VERSIONS.c.version)
    return sa.select(*columns).select_from(WITH_RUNS).where(condition, VERSIONS.c.current_stage != DELETED).distinct()


def _among(model_id: str, location: str | None) -> Iterator[sa.ColumnElement[bool]]:
    """Yield what tells that a version's files are a logged model's, or lie among them, however that is written.

    MLflow (3.17) keeps them below a folder with the model's identifier, which no other has.
    """
    yield VERSIONS.c.source == f"models:/{model_id}"
    for column in (VERSIONS.c.storage_location, VERSIONS.c.source):
        yield column.contains(f"/models/{model_id}/artifacts", autoescape=True)
    if location:
        for column in (VERSIONS.c.storage_location, VERSIONS.c.source):
            yield column == location
            yield column.startswith(f"{location.rstrip('/')}/", autoescape=True)


def _chunks(whole: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
    return (whole[start : start + AT_ONCE] for start in range(0, len(whole), AT_ONCE))


def _key(row: Any) -> VersionKey:
    return VersionKey(workspace=row.workspace, model=row.name, number=int(row.version))


def _stored(row: Any) -> LocatedVersion:
    locations = tuple(dict.fromkeys(each for each in (row.storage_location, row.source) if each))
    return LocatedVersion(key=_key(row), word=row.word, locations=locations, run_root=row.artifact_uri)
