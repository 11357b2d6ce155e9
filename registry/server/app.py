"""Slipway's API as an application of its own, mounted in MLflow's.

What guards MLflow's application (host check, authentication) has been passed before a request comes here. Here is how
errors leave: one table from kind to HTTP status.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from slipway.registry.errors import (
    NOT_AUTHENTICATED,
    Conflict,
    Corrupt,
    InvalidInput,
    NotApproved,
    NotFound,
    SlipwayError,
    Unavailable,
)
from slipway.registry.server.app_limits import BoundedBody
from slipway.registry.server.app_routes import Access, Api, Keeper
from slipway.registry.text import cleaned_values

STATUS: Mapping[type[SlipwayError], int] = {
    InvalidInput: 400,
    NotApproved: 403,
    NotFound: 404,
    Conflict: 409,
    Corrupt: 500,
    Unavailable: 503,
}
NO_ROUTE = (404, 405)
MESSAGE_CHARACTERS = 4_000
WRONG_NAMED_AT_MOST = 20
READS = ("GET", "HEAD", "OPTIONS")


def build_api(keeper: Keeper, *, version: str) -> FastAPI:
    """Return the API as an application, with its OpenAPI page at `docs`."""
    api = FastAPI(title="Slipway", version=version, description="Stages, verdicts and their history.", redoc_url=None)
    made = Api(keeper)
    reads: dict[str, Callable[..., Any]] = {
        "/status": made.status,
        "/policy": made.policy,
        "/heartbeats": made.beats,
        "/models/{model}/history": made.history,
        "/models/{model}/policy": made.policy_of,
        "/ledger/models": made.model_uids,
        "/ledger/identity": made.identity,
        "/ledger/head": made.head,
        "/ledger/anchors": made.anchors,
        "/ledger/records": made.some_records,
    }
    decides: dict[str, Callable[..., Any]] = {
        "/verdicts": made.record,
        "/approvals": made.approve,
        "/promotions": made.promote,
        "/rollbacks": made.rollback,
        "/adoptions": made.adopt,
        "/demotions": made.demote,
        "/archivals": made.archive,
        "/registrations": made.register,
        "/images": made.package,
        "/models/{model}/settle": made.settle,
        "/heartbeats": made.beat,
        "/heartbeats/leave": made.leave,
    }
    for method, routes in (("GET", reads), ("POST", decides)):
        for path, function in routes.items():
            api.add_api_route(path, function, methods=[method])
    _add_edges(api, keeper.access)
    return api


def _add_edges(api: FastAPI, access: Access) -> None:
    """Have every error leave in the one shape, and whoever is not known learn nothing, not even what can be asked."""

    @api.exception_handler(SlipwayError)
    def refused(request: Request, error: SlipwayError) -> JSONResponse:
        return answer_to(error)

    @api.exception_handler(RequestValidationError)
    def misunderstood(request: Request, error: RequestValidationError) -> JSONResponse:
        some = error.errors()[:WRONG_NAMED_AT_MOST]
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in some)
        return answer_to(InvalidInput(f"wrong request: {wrong}", code="wrong-request", hint="see /slipway/docs"))

    @api.exception_handler(HTTPException)
    def unknown(request: Request, error: HTTPException) -> JSONResponse:
        said = f"{request.method} {request.url.path}: {error.detail}"
        found = (
            NotFound(said, code="no-route", hint="/slipway/docs")
            if error.status_code in NO_ROUTE
            else InvalidInput(said, code="wrong-request", hint="see /slipway/docs")
        )
        return JSONResponse(_document(found), error.status_code, error.headers)

    api.add_middleware(BoundedBody)

    @api.middleware("http")
    async def never_kept(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Have nobody between keep an answer: what was true a while ago would be served."""
        response = await call_next(request)
        response.headers["Cache-Control"] = "no-store"
        return response

    @api.middleware("http")
    async def known(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            await run_in_threadpool(access.user, request)
        except SlipwayError as error:
            return answer_to(error)
        if request.method not in READS and access.refuses_origin(request):
            return answer_to(NotApproved("another site's page may not decide here", code="other-origin", hint=None))
        return await call_next(request)


def answer_to(error: SlipwayError) -> JSONResponse:
    """Return how an error leaves: by its kind, and with a challenge for whoever should have said who they are."""
    if error.code == NOT_AUTHENTICATED:
        return JSONResponse(_document(error), 401, {"WWW-Authenticate": 'Basic realm="mlflow"'})
    return JSONResponse(_document(error), STATUS[type(error)])


def _document(error: SlipwayError) -> dict[str, Any]:
    """Return an error as JSON; what it repeats of the request may be no text that can be sent."""
    found: dict[str, Any] = cleaned_values(error.to_document(), MESSAGE_CHARACTERS)
    return found
