"""The door to MLflow's own tables (3.17) for commands that only read: MLflow is not imported, which takes two seconds.

What it answers is held against MLflow's own answers by tests/contract/test_sql_registry.py. Tables of another
revision than the one that was read for this are left to MLflow.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from slipway.registry.ledger.sql_history import translated
from slipway.registry.model_registry import Given, Measured, ModelRegistry
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.sql_connection import existing_engine, may_be_asked
from slipway.registry.stages import MLFLOW_NONE
from slipway.registry.text import require_name
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.not_there import aliased, is_a_prompt, no_model, no_version

MLFLOW_REVISION = "dc11669786a5"
IDS_AT_ONCE = 1000  # of runs in one statement; SQLite takes 32,766
DELETED = "Deleted_Internal"
ACTIVE = "active"
NOBODY = ("", "unknown")  # what MLflow's clients say where nobody is named


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(each) for each in columns))


REVISION = _table("alembic_version", "version_num")
MODELS = _table("registered_models", "workspace", "name", "creation_time")
MODEL_TAGS = _table("registered_model_tags", "workspace", "name", "key", "value")
ALIASES = _table("registered_model_aliases", "workspace", "name", "alias", "version")
VERSIONS = _table(
    "model_versions",
    *("workspace", "name", "version", "creation_time", "description", "current_stage", "source", "run_id"),
)
VERSION_TAGS = _table("model_version_tags", "workspace", "name", "version", "key", "value")
RUNS = _table("runs", "run_uuid", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id")
METRICS = _table("latest_metrics", "run_uuid", "key", "value", "is_nan")
PARAMS = _table("params", "run_uuid", "key", "value")
TAGS = _table("tags", "run_uuid", "key", "value")
INPUTS = _table("inputs", "input_uuid", "source_id", "destination_type", "destination_id")
DATASETS = _table("datasets", "dataset_uuid", "name", "digest")
INPUT_TAGS = _table("input_tags", "input_uuid", "name", "value")
PROMPT_TAG = "mlflow.prompt.is_prompt"
CONTEXT_TAG = "mlflow.data.context"


class SqlRegistry:
    """The `RegistryReader` on MLflow's tables: those of its registry, and those of its runs.

    `whole` opens the registry that is asked for all else, when that is first asked for: what writes is MLflow's, and
    so is what reads files.
    """

    def __init__(self, registry_url: str, runs_url: str, *, whole: Callable[[], ModelRegistry]) -> None:
        self._url, self._runs_url = sa.make_url(registry_url), sa.make_url(runs_url)
        self._engine, self._runs_engine = existing_engine(self._url), existing_engine(self._runs_url)
        self._whole = cache(whole)

    def __getattr__(self, name: str) -> Any:
        """Return what only the whole registry has."""
        return getattr(self._whole(), name)

    def is_known(self) -> bool:
        """Return whether the tables are there, and as this door knows them."""
        return all(
            may_be_asked(url) and _revision(url, engine) == MLFLOW_REVISION
            for url, engine in {self._url: self._engine, self._runs_url: self._runs_engine}.items()
        )

    def model(self, name: str) -> RegisteredModel:
        """Return the model that has a name now."""
        require_name(name, "the model's name")
        with self._reading() as connection:
            return _model_named(name, connection)

    def models(self) -> tuple[RegisteredModel, ...]:
        """Return all models, ordered by name."""
        with self._reading() as connection:
            return _models(connection)

    def version(self, ref: VersionRef) -> Version:
        """Return one version."""
        model = self.model(ref.model)
        number = aliased(ref, model.aliases) if ref.number is None else ref.number
        found = self.numbered(model, [number])
        if not found:
            latest = self.versions(ref.model, at_most=1)
            raise no_version(ref.model, number, latest[0].number if latest else None)
        return found[0]

    def versions(self, model: str, *, at_most: int | None = None) -> tuple[Version, ...]:
        """Return a model's versions, the newest first: all of them, or so many at most."""
        registered = self.model(model)
        with self._reading() as connection:
            return _versions(registered, _versions_of(model).limit(at_most), connection)

    def numbered(self, model: RegisteredModel, numbers: Collection[int]) -> tuple[Version, ...]:
        """Return those of the numbered versions that there are, the newest first."""
        with self._reading() as connection:
            query = _versions_of(model.name).where(VERSIONS.c.version.in_(sorted(numbers)))
            return _versions(model, query, connection)

    def models_with_alias(self, alias: str) -> tuple[Version, ...]:
        """Return the version that has the alias, of each model that has it."""
        having = [model for model in self.models() if alias in model.aliases]
        return tuple(version for model in having for version in self.numbered(model, [model.aliases[alias]]))

    def measured(self, version: Version) -> Measured:
        """Return what the version's run recorded; nothing where it has no run, or a deleted one."""
        return self.measured_each([version])[0]

    def measured_each(self, versions: Sequence[Version]) -> tuple[Measured, ...]:
        """Return what each version's run recorded."""
        ids = sorted({version.run_id for version in versions if version.run_id})
        found: dict[str, Measured] = {}
        with translated(self._runs_url), self._runs_engine.connect() as connection:
            for begin in range(0, len(ids), IDS_AT_ONCE):
                found |= _measured(ids[begin : begin + IDS_AT_ONCE], connection)
        return tuple(found.get(version.run_id or "", Measured(metrics={}, params={})) for version in versions)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with translated(self._url), self._engine.connect() as connection:
            yield connection


def _revision(url: sa.URL, engine: sa.Engine) -> str | None:
    with translated(url), engine.connect() as connection:
        there = sa.inspect(connection).has_table(REVISION.name)
        return connection.scalar(sa.select(REVISION.c.version_num)) if there else None


def _versions_of(model: str) -> sa.Select[Any]:
    mine = sa.select(VERSIONS).where(VERSIONS.c.workspace == "default", VERSIONS.c.name == model)
    return mine.where(VERSIONS.c.current_stage != DELETED).order_by(VERSIONS.c.version.desc())


def _model_named(name: str, connection: sa.Connection) -> RegisteredModel:
    for model, is_prompt in _registered(connection, name):
        if is_prompt:
            raise is_a_prompt(name)
        return model
    raise no_model(name, (each.name for each in _models(connection)))


def _models(connection: sa.Connection) -> tuple[RegisteredModel, ...]:
    return tuple(model for model, is_prompt in _registered(connection) if not is_prompt)


def _registered(connection: sa.Connection, name: str | None = None) -> list[tuple[RegisteredModel, bool]]:
    """Return all that is registered, or what has a name, by name; and whether it is a prompt, as MLflow tells them."""

    def rows(table: sa.TableClause, *columns: str) -> sa.CursorResult[Any]:
        query = sa.select(*(table.c[each] for each in columns)).where(table.c.workspace == "default")
        return connection.execute(query if name is None else query.where(table.c.name == name))

    stage = VERSIONS.c.current_stage
    highest = sa.select(VERSIONS.c.name, stage, sa.func.max(VERSIONS.c.version))
    highest = highest.where(VERSIONS.c.workspace == "default", stage != DELETED).group_by(VERSIONS.c.name, stage)
    labels = _by_name(connection.execute(highest if name is None else highest.where(VERSIONS.c.name == name)))
    tags, aliases = (
        _by_name(rows(MODEL_TAGS, "name", "key", "value")),
        _by_name(rows(ALIASES, "name", "alias", "version")),
    )
    found = []
    for row in rows(MODELS, "name", "creation_time", "workspace"):
        is_prompt = tags[row.name].pop(PROMPT_TAG, "").lower() == "true"
        model = RegisteredModel(
            name=row.name,
            created_ms=int(row.creation_time),
            workspace=row.workspace,
            aliases=aliases[row.name],
            labels=labels[row.name],
            tags=tags[row.name],
        )
        found.append((model, is_prompt))
    return sorted(found, key=lambda each: each[0].name)


def _by_name(rows: Iterable[Sequence[Any]]) -> defaultdict[Any, dict[Any, Any]]:
    """Return rows of (owner, key, value) as the mapping that each owner has."""
    found: defaultdict[Any, dict[Any, Any]] = defaultdict(dict)
    for owner, key, value in rows:
        found[owner][key] = value
    return found


def _versions(model: RegisteredModel, query: sa.Select[Any], connection: sa.Connection) -> tuple[Version, ...]:
    rows = connection.execute(query).all()
    if not rows:
        return ()
    tagged = sa.select(VERSION_TAGS.c.version, VERSION_TAGS.c.key, VERSION_TAGS.c.value).where(
        VERSION_TAGS.c.workspace == "default",
        VERSION_TAGS.c.name == model.name,
        VERSION_TAGS.c.version.between(rows[-1].version, rows[0].version),
    )
    tags = _by_name(connection.execute(tagged))
    return tuple(
        Version(
            model=row.name,
            number=row.version,
            run_id=row.run_id or None,
            source=str(row.source),
            created_at=_moment(row.creation_time),
            mlflow_stage=None if row.current_stage == MLFLOW_NONE else row.current_stage,
            aliases=frozenset(alias for alias, number in model.aliases.items() if number == row.version),
            tags=tags[row.version],
            description=row.description or "",
        )
        for row in rows
    )


def _measured(ids: Sequence[str], connection: sa.Connection) -> dict[str, Measured]:
    """Return what the runs that there are recorded, by their ids."""

    def recorded(table: sa.TableClause, value: sa.ColumnElement[Any]) -> Mapping[str, Mapping[str, Any]]:
        query = sa.select(table.c.run_uuid, table.c.key, value).where(table.c.run_uuid.in_(ids))
        return _by_name(connection.execute(query))

    value = sa.case((METRICS.c.is_nan.is_(sa.true()), None), else_=METRICS.c.value)
    metrics, params, tags = recorded(METRICS, value), recorded(PARAMS, PARAMS.c.value), recorded(TAGS, TAGS.c.value)
    inputs = _inputs(ids, connection)
    runs = connection.execute(sa.select(RUNS).where(RUNS.c.run_uuid.in_(ids), RUNS.c.lifecycle_stage == ACTIVE))
    return {
        run.run_uuid: Measured(
            metrics={name: float("nan") if found is None else found for name, found in metrics[run.run_uuid].items()},
            params=params[run.run_uuid],
            tags=tags[run.run_uuid],
            status=run.status,
            experiment_id=str(run.experiment_id),
            user=None if run.user_id in NOBODY else run.user_id,
            started_at=_moment(run.start_time) if run.start_time else None,
            ended_at=_moment(run.end_time) if run.end_time else None,
            inputs=inputs[run.run_uuid],
        )
        for run in runs
    }


def _inputs(ids: Sequence[str], connection: sa.Connection) -> defaultdict[str, tuple[Given, ...]]:
    """Return the datasets that runs were given."""
    context = sa.and_(INPUT_TAGS.c.input_uuid == INPUTS.c.input_uuid, INPUT_TAGS.c.name == CONTEXT_TAG)
    query = (
        sa.select(INPUTS.c.destination_id, DATASETS.c.name, DATASETS.c.digest, INPUT_TAGS.c.value)
        .select_from(INPUTS.join(DATASETS, INPUTS.c.source_id == DATASETS.c.dataset_uuid))
        .outerjoin(INPUT_TAGS, context)
        .where(INPUTS.c.destination_type == "RUN", INPUTS.c.destination_id.in_(ids))
    )
    found: defaultdict[str, tuple[Given, ...]] = defaultdict(tuple)
    for run_id, name, digest, said in connection.execute(query):
        found[run_id] += (Given(name=name, digest=digest, context=said),)
    return found


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
