"""The door through which `mlflow server --app-name slipway` finds MLflow's own application with our API in it.

The API is mounted before MLflow's catch-all, inside everything that guards the rest: host check, cross-site check,
security headers, workspaces. `slipway.registry.server.mlflow_auth_app` does the same above MLflow's authentication.
"""

import importlib.metadata
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from flask import Flask
from flask import request as flask_request
from mlflow.exceptions import MlflowException
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app as fastapi_app
from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR, catch_mlflow_exception
from mlflow.server.security_utils import get_allowed_origins_from_env, should_block_cors_request
from mlflow.utils.uri import validate_path_is_safe
from mlflow.utils.workspace_context import get_request_workspace
from starlette.responses import JSONResponse
from starlette.routing import Mount

from slipway.registry.artifacts.locations import DEFAULT_WORKSPACE
from slipway.registry.decisions.wiring import cached_files
from slipway.registry.distribution import DISTRIBUTION
from slipway.registry.engines.sql_heartbeats import SqlClaims, SqlHeartbeats
from slipway.registry.errors import SlipwayError
from slipway.registry.gate.judged_files import judged_files
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.server.app import build_api
from slipway.registry.server.app_routes import Access, Keeper
from slipway.registry.server.guard.mlflow_guarded_artifacts import no_presigned_uploads
from slipway.registry.server.guard.mlflow_guarded_server import require_guarded_server
from slipway.registry.server.guard.mlflow_refusal import refusing
from slipway.registry.server.mlflow_caller import ADMINISTERS
from slipway.registry.server.mlflow_server import database_of_server, server_protection
from slipway.registry.server.mlflow_server_registry import ServerRegistry
from slipway.registry.settings import RegistrySettings, history_place, load_settings
from slipway.registry.stays_http import StaysHttp
from slipway.registry.version import Version

logger = logging.getLogger(__name__)
PRESIGNED_UPLOAD = "_create_presigned_upload_url"
RUN_UPLOAD = "serve_upload_artifact"
MLFLOW_CALLS = "/mlflow/"
ONE = frozenset({"runid", "experimentid", "modelid", "name", "version", "alias", "key", "path", "requestid", "traceid"})
# MLflow's assistant (3.17) runs commands with the server's environment, passwords included, for whoever asks from this
# machine: for everybody, behind a proxy on it that does not say for whom it asks.
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
NO_ASSISTANT = JSONResponse(
    {"error_code": "ENDPOINT_NOT_FOUND", "message": "a guarded server has no assistant: it would run commands here"},
    status_code=404,
)


class OpenAccess:
    """A server without users: everybody may see and edit everything, as in MLflow itself."""

    def user(self, request: Request) -> str | None:
        """Return nobody."""
        return None

    def may(self, user: str | None, model: str, *, edit: bool) -> bool:
        """Return that it may."""
        return True

    def administers(self, user: str) -> bool:
        """Return that nobody is told from others."""
        return True

    def refuses_origin(self, request: Request) -> bool:
        """Return what MLflow says of the page that is behind a request."""
        origins = get_allowed_origins_from_env()
        return bool(should_block_cors_request(request.headers.get("origin", ""), request.method, origins))


def create_app() -> FastAPI:
    """Return MLflow's application with Slipway's API at `/slipway/`."""
    return with_slipway(fastapi_app, flask_app, lambda: keeper(OpenAccess()))


def with_slipway(app: FastAPI, flask: Flask, made: Callable[[], Keeper]) -> FastAPI:
    """Add the API to MLflow's application, and the guard of uploads that do not pass through the artifact proxy.

    A server that is not guarded ends here, with all its workers: each would be started again for ever.
    """
    try:
        require_guarded_server()
    except SlipwayError as error:
        logger.critical("%s (%s)", error.message, error.hint)
        supervisor = multiprocessing.parent_process()
        if supervisor is not None and supervisor.pid is not None:
            os.kill(supervisor.pid, signal.SIGTERM)
        raise SystemExit(1) from error
    kept = made()
    flask.extensions[ADMINISTERS] = kept.access.administers
    flask.before_request(refuse_two_meanings)
    flask.before_request(guard_direct_uploads)
    prefix = os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/")
    api = build_api(kept, version=importlib.metadata.version(DISTRIBUTION))
    app.add_middleware(StaysHttp)
    app.router.routes.insert(0, Mount(f"{prefix}{ASSISTANT}", NO_ASSISTANT))
    app.router.routes.insert(len(app.router.routes) - 1, Mount(f"{prefix}/slipway", api))
    return app


def keeper(access: Access) -> Keeper:
    """Return what the API is built on: the ledger that this server guards."""
    protection = server_protection()
    settings = load_settings(RegistrySettings, "registry", environ=os.environ, folder=Path.cwd())
    files = cached_files(settings, Path.cwd())

    def ledger() -> Ledger:
        def served_location(version: Version, logged: str) -> str:
            return protection.served_location(workspace(), version.model, version.number, logged)

        def keep_copy(version: Version, manifest: str) -> None:
            logged = registry.logged_location(version)
            if (logged, manifest) not in kept:
                protection.copies.keep(logged, manifest, str(version), registry.stored_files)
                kept.add((logged, manifest))

        def require_kept(version: Version) -> None:
            logged = registry.logged_location(version)
            protection.require_kept_here(workspace(), f"{version} enters no stage", logged)

        kept = set[tuple[str, str]]()
        registry = ServerRegistry(
            database_of_server(),
            files,
            require_outside_versions=protection.require_outside_versions,
            served_location=served_location,
        )
        return Ledger(
            registry=registry,
            history=protection.history,
            policies=protection.policies,
            last_policies=protection.last_policies,
            mirror_stages=settings.mirror_stages,
            keep_copy=keep_copy,
            require_kept=require_kept,
        )

    place, _ = history_place(settings, {"MLFLOW_REGISTRY_URI": database_of_server()})
    return Keeper(
        ledger=ledger,
        heartbeats=lambda: SqlHeartbeats(place),
        claims=lambda: SqlClaims(place),
        workspace=workspace,
        access=access,
        judge=judged_files,
        now=lambda: datetime.now(UTC),
    )


def workspace() -> str:
    """Return the workspace that the request is about."""
    return str(get_request_workspace() or DEFAULT_WORKSPACE)


@catch_mlflow_exception  # type: ignore[untyped-decorator]
def refuse_two_meanings() -> None:
    """Refuse a request that says two things of what it is about: in path, query and body, or under two names.

    MLflow (3.17) asks for permission by one of them, and does what another says: `run_uuid` and `runId`, a query and a
    body that is not called JSON. Whoever may see a run could write into it, or delete another's model.
    """
    if MLFLOW_CALLS not in flask_request.path:
        return
    body = flask_request.get_json(force=True, silent=True) if flask_request.endpoint != RUN_UPLOAD else None
    query = flask_request.args
    said: list[tuple[str, Any]] = [
        (name, value) for name in query for value in query.getlist(name)[: None if _one_name(name) in ONE else 1]
    ]
    of_path: dict[str, Any] = flask_request.view_args or {}
    said += [*of_path.items(), *(body.items() if isinstance(body, dict) else ())]
    found: dict[str, str] = {}
    for name, value in said:
        if not isinstance(value, dict | list) and found.setdefault(_one_name(name), str(value)) != str(value):
            raise MlflowException.invalid_parameter_value(
                f"the request says two things of {name}: say it once, in the body or in the query"
            )


def _one_name(name: str) -> str:
    """Return a parameter's name as all ways to write it have it."""
    plain = name.replace("_", "").lower()
    return "runid" if plain == "runuuid" else plain


@catch_mlflow_exception  # type: ignore[untyped-decorator]
def guard_direct_uploads() -> None:
    """Guard the two routes by which MLflow's server writes, or lets write, where a run says that its artifacts are.

    Which file is meant MLflow (3.17) finds by decoding the path once more.
    """
    if flask_request.endpoint == PRESIGNED_UPLOAD:
        raise no_presigned_uploads()
    run_id = flask_request.args.get("run_uuid")
    if flask_request.endpoint == RUN_UPLOAD and run_id:
        with refusing():
            path = validate_path_is_safe(flask_request.args.get("path", ""))  # type: ignore[no-untyped-call]
            server_protection().run_file_may_change(run_id, path)
