"""The door to Slipway's API on a tracking server, with the credentials and TLS settings of MLflow's client.

Plain `urllib`: what reads a status or a history is not to pay for importing MLflow.
"""

import base64
import json
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from slipway.registry.credentials import credentials_of
from slipway.registry.errors import (
    BUSY,
    NOT_AUTHENTICATED,
    InvalidInput,
    NotApproved,
    SlipwayError,
    Unavailable,
    error_from,
)

API = "/slipway"
TIMEOUT_S = 120.0
ASKED_AGAIN_AFTER_S = (0.5, 2.0)  # drawn anew each time, so that twenty who wait do not come back together
TRUE = ("true", "1")
NO_API = "no-slipway-server"


class SlipwayServer:
    """Slipway's API on one server: JSON in, JSON out, errors as they were raised there."""

    def __init__(self, uri: str, environ: Mapping[str, str]) -> None:
        split = urlsplit(uri)
        self.shown = f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}".rstrip("/")
        self._headers = {"Accept": "application/json", **_authorization(uri, environ), **_workspace(environ)}
        self._opener = build_opener(HTTPSHandler(context=_tls(environ)))
        self._timeout_s = float(environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT") or TIMEOUT_S)

    def get(self, path: str, **query: object) -> Any:
        """Ask for something; without a value, a parameter is left out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._send(Request(self._url(path, given), headers=self._headers))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Have something decided or recorded."""
        headers = {**self._headers, "Content-Type": "application/json"}
        return self._send(Request(self._url(path, {}), json.dumps(body).encode(), headers, method="POST"))

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        asked = f"?{urlencode(query)}" if query else ""
        return f"{self.shown}{API}{quote(path)}{asked}"

    def _send(self, request: Request) -> Any:
        """Send a request; again while the server is too busy to do it, for as long as one answer may take."""
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._answer(request)
            except Unavailable as error:
                pause_s = random.uniform(*ASKED_AGAIN_AFTER_S)
                if error.code != BUSY or time.monotonic() + pause_s > until:
                    raise
                time.sleep(pause_s)

    def _answer(self, request: Request) -> Any:
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return self._document(response.read(), int(response.status))
        except HTTPError as error:
            with error:
                raise self._refusal(_read(error), error.code) from error
        except (OSError, HTTPException) as error:  # the latter for an answer that breaks off, or is no HTTP
            decided = "" if request.get_method() == "GET" else "; slipway status says whether it was decided"
            raise Unavailable(
                f"{self.shown} does not answer: {getattr(error, 'reason', error)}",
                code="server-unavailable",
                hint=f"check MLFLOW_TRACKING_URI, and that its server runs{decided}",
            ) from error

    def _document(self, body: bytes, status: int) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            raise self._no_api(status) from None

    def _refusal(self, body: bytes, status: int) -> SlipwayError:
        """Return the error that the server raised, as it was; or what to make of another's."""
        try:
            return error_from(json.loads(body))
        except ValueError:
            words = " ".join(body.decode(errors="replace").split())[:200]
        if status in (401, 403):
            return NotApproved(
                f"{self.shown} refuses: {words}",
                code=NOT_AUTHENTICATED if status == 401 else "refused",
                hint="check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            )
        if status == 404:
            return self._no_api(status)
        return Unavailable(f"{self.shown} answers {status}: {words}", code="server-failed", hint="see the server's log")

    def _no_api(self, status: int) -> InvalidInput:
        return InvalidInput(
            f"{self.shown} is no server with Slipway's API (it answers {status})",
            code=NO_API,
            hint="start it with mlflow server --app-name slipway; or name the history's database: "
            "SLIPWAY_REGISTRY__HISTORY_URI",
        )


@contextmanager
def understood() -> Iterator[None]:
    """Say what an answer is that is JSON and nothing that was asked for; also usable as a decorator.

    A proxy's own page of a server that is away may be one.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unavailable(
            f"the server answers with what is none of the answers of Slipway's API ({type(error).__name__}: {error})",
            code="not-understood",
            hint="check MLFLOW_TRACKING_URI, and whether something else answers in the server's place",
        ) from error


def _read(error: HTTPError) -> bytes:
    """Return what a server says of an error; nothing where it breaks off."""
    try:
        return error.read()
    except (OSError, HTTPException):
        return b""


def _authorization(uri: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the header that MLflow's client would send (3.17): user and password, else a token."""
    who = credentials_of(uri, environ)
    if who.user:
        return {"Authorization": f"Basic {base64.b64encode(_bytes(f'{who.user}:{who.password}')).decode()}"}
    return {"Authorization": f"Bearer {who.token}"} if who.token else {}


def _bytes(text: str) -> bytes:
    """Return the bytes that the environment held: those that are no UTF-8 come to Python as halves of surrogates."""
    return text.encode(errors="surrogateescape")


def _workspace(environ: Mapping[str, str]) -> dict[str, str]:
    workspace = environ.get("MLFLOW_WORKSPACE")
    return {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    authority = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or environ.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=authority or None)
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in TRUE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate := environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(certificate)
    return context
