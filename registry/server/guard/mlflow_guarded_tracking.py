"""The door that guards MLflow's tracking store on a server: `slipway+postgresql://…` as its backend store.

What a version in a protected stage comes from cannot be deleted while it is there: its run, its logged model, the
experiment of either. Slipway's tags of them stay as they are. On a server that knows its users, a run and a logged
model are on record under whoever made them, whatever the client says. Where a trace's files lie is the server's word
alone: it deletes and sends what lies there, past the guard of artifacts.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.entities import (
    ExperimentTag,
    LoggedModel,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunTag,
    Span,
    TraceInfo,
)
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.server.constants import ARTIFACT_ROOT_ENV_VAR, READ_REPLICA_BACKEND_STORE_URI_ENV_VAR
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.tracing.constant import SpanAttributeKey, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION

from slipway.registry.artifacts.locations import unguarded
from slipway.registry.errors import NotApproved
from slipway.registry.server.guard.guard import refuse_borrowed, require_not_ours
from slipway.registry.server.guard.guard_wiring import open_protection
from slipway.registry.server.guard.mlflow_refusal import refusing
from slipway.registry.server.guard.sql_protected import ProtectedTables
from slipway.registry.server.mlflow_caller import caller
from slipway.registry.text import cleaned
from slipway.registry.versions.mlflow_origin import LOGGED_BY

GUARDED = frozenset(
    {
        "create_experiment",
        "create_logged_model",
        "create_run",
        "delete_experiment",
        "delete_logged_model",
        "delete_logged_model_tag",
        "delete_run",
        "delete_tag",
        "deprecated_end_trace_v2",
        "deprecated_start_trace_v2",
        "finalize_logged_model",
        "log_batch",
        "log_spans",
        "set_logged_model_tags",
        "set_tag",
        "set_trace_tag",
        "start_trace",
    }
)
PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")
SHOWN_CHARACTERS = 100
# What MLflow (3.17) follows to a trace's files, when somebody reads or deletes it, whoever wrote it.
PLACES_OF_TRACES = frozenset({MLFLOW_ARTIFACT_LOCATION, TraceTagKey.SPANS_LOCATION, TraceTagKey.ARCHIVE_LOCATION})


class TrackingGuard(SqlAlchemyStore):
    """The guarded calls, above whichever of MLflow's SQL stores."""

    def __init__(self, db_uri: str, default_artifact_root: str, read_db_uri: str | None = None) -> None:
        super().__init__(db_uri, default_artifact_root, read_db_uri)
        with refusing():
            self.protection = open_protection(db_uri, ProtectedTables(self.engine), os.environ, Path.cwd())

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: list[ExperimentTag] | None = None
    ) -> str:
        """Create an experiment whose runs write into no version in a protected stage."""
        if artifact_location:
            with refusing():
                self.protection.location_may_be_used(artifact_location, self._get_active_workspace())
        return super().create_experiment(name, artifact_location, tags)

    def create_run(self, experiment_id: str, user_id: str, *given: Any, **more: Any) -> Any:
        """Create a run under the user that the server knows: MLflow takes the client's word (3.17)."""
        return super().create_run(experiment_id, caller() or user_id, *given, **more)

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: list[LoggedModelTag] | None = None,
        *given: Any,
        **more: Any,
    ) -> LoggedModel:
        """Create a logged model with a note of the user that the server knows: MLflow keeps none (3.17).

        The run that it names is one of its experiment: of another, somebody else's may be held for it.
        """
        if source_run_id and str(self.get_run(source_run_id).info.experiment_id) != str(experiment_id):
            with refusing():
                raise refuse_borrowed(f"no model is logged in experiment {experiment_id}", source_run_id)
        kept = [tag for tag in tags or [] if tag.key.casefold() != LOGGED_BY]
        by = caller()
        noted = [*kept, LoggedModelTag(LOGGED_BY, by)] if by else kept
        return super().create_logged_model(experiment_id, name, source_run_id, noted, *given, **more)

    def delete_run(self, run_id: str) -> None:
        """Delete a run that no version in a protected stage comes from."""
        with refusing(), self.protection.run_may_go(run_id):
            super().delete_run(run_id)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment that no version in a protected stage comes from."""
        with refusing(), self.protection.experiment_may_go(experiment_id):
            super().delete_experiment(experiment_id)

    def delete_logged_model(self, model_id: str) -> None:
        """Delete a logged model that is no version in a protected stage."""
        with refusing(), self.protection.logged_model_may_go(model_id):
            super().delete_logged_model(model_id)

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        """Set the status of a logged model that is no version in a protected stage."""
        with refusing(), self.protection.logged_model_may_go(model_id, "given another status"):
            return super().finalize_logged_model(model_id, status)

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Set a tag, unless it is Slipway's and the run that of a protected version."""
        self._require_free_run_tags(run_id, [tag.key])
        super().set_tag(run_id, tag)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag, unless it is Slipway's and the run that of a protected version."""
        self._require_free_run_tags(run_id, [key])
        super().delete_tag(run_id, key)

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Log metrics, parameters and tags, unless one is Slipway's and the run that of a protected version."""
        self._require_free_run_tags(run_id, [tag.key for tag in tags])
        super().log_batch(run_id, metrics, params, tags)

    def set_logged_model_tags(self, model_id: str, tags: list[LoggedModelTag]) -> None:
        """Set tags, unless one says who logged the model, or is Slipway's and the model that of a protected version."""
        with refusing():
            _require_not_the_maker(model_id, [tag.key for tag in tags])
            self.protection.logged_model_tags_may_change(model_id, [tag.key for tag in tags])
        super().set_logged_model_tags(model_id, tags)

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag, unless it says who logged the model, or is Slipway's and it that of a protected version."""
        with refusing():
            _require_not_the_maker(model_id, [key])
            self.protection.logged_model_tags_may_change(model_id, [key])
        super().delete_logged_model_tag(model_id, key)

    def start_trace(self, trace_info: TraceInfo) -> TraceInfo:
        """Begin a trace whose files lie where the server keeps them, also where it is the copy of another."""
        _require_plain_ids([trace_info.trace_id])
        trace_info.tags = _without_places(trace_info.tags)
        return super().start_trace(trace_info)

    def deprecated_start_trace_v2(
        self, experiment_id: str, timestamp_ms: int, request_metadata: dict[str, str], tags: Mapping[str, str]
    ) -> Any:
        """Begin a trace as older clients do."""
        return super().deprecated_start_trace_v2(experiment_id, timestamp_ms, request_metadata, _without_places(tags))

    def deprecated_end_trace_v2(
        self,
        request_id: str,
        timestamp_ms: int,
        status: Any,
        request_metadata: dict[str, str],
        tags: Mapping[str, str],
    ) -> Any:
        """End a trace as older clients do."""
        return super().deprecated_end_trace_v2(
            request_id, timestamp_ms, status, request_metadata, _without_places(tags)
        )

    def log_spans(self, location: str, spans: list[Span], *given: Any, **more: Any) -> list[Span]:
        """Store spans, unless one would say by a tag, or by its trace's name, where that trace's files lie."""
        _require_plain_ids({span.trace_id for span in spans})
        prefix = SpanAttributeKey.TRACE_TAG_PREFIX
        _require_no_places(
            name.removeprefix(prefix) for span in spans for name in span.attributes if name.startswith(prefix)
        )
        return super().log_spans(location, spans, *given, **more)

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        """Set a tag, unless it says where the trace's files lie."""
        _require_no_places([key])
        super().set_trace_tag(trace_id, key, value)

    def _require_free_run_tags(self, run_id: str, keys: Sequence[str]) -> None:
        with refusing():
            self.protection.run_tags_may_change(run_id, keys)


def _require_not_the_maker(model_id: str, keys: Sequence[str]) -> None:
    """Refuse to rewrite who logged a model, in whatever stage it is: an approval may depend on it."""
    require_not_ours(f"logged model {model_id}", [key for key in keys if key.casefold() == LOGGED_BY])


def _without_places(tags: Mapping[str, str]) -> dict[str, str]:
    """Return a trace's tags without those that the server writes: a client that copies a trace sends them along."""
    return {key: value for key, value in tags.items() if key not in PLACES_OF_TRACES}


def _require_no_places(keys: Iterable[str]) -> None:
    for key in keys:
        if key in PLACES_OF_TRACES:
            with refusing():
                raise NotApproved(
                    f"the tag {key} of a trace is not set: the server says where a trace's files lie",
                    code="server-owned-tag",
                    hint=None,
                )


def _require_plain_ids(trace_ids: Iterable[str]) -> None:
    """Refuse names of traces that lead elsewhere: a client chooses them, and MLflow (3.17) makes a path of each."""
    for each in trace_ids:
        if not PLAIN_ID.fullmatch(each):
            raise MlflowException.invalid_parameter_value(
                f"a trace has a name of letters, digits, '-' and '_', and not {cleaned(each, SHOWN_CHARACTERS)!r}"
            )


class GuardedTracking(TrackingGuard):
    """MLflow's tracking store, guarded."""


class GuardedWorkspaceTracking(TrackingGuard, WorkspaceAwareSqlAlchemyStore):
    """MLflow's tracking store for servers with workspaces, guarded."""


def open_tracking(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Return the guarded store for a URI like `slipway+postgresql://…`, as MLflow would choose its own."""
    kind = GuardedWorkspaceTracking if MLFLOW_ENABLE_WORKSPACES.get() else GuardedTracking
    root = artifact_uri or os.environ.get(ARTIFACT_ROOT_ENV_VAR, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    return kind(unguarded(store_uri), root, os.environ.get(READ_REPLICA_BACKEND_STORE_URI_ENV_VAR))
