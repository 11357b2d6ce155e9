"""The door through which a tracking server is examined, as MLflow's own client reaches it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from mlflow.version import VERSION

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import NOT_AUTHENTICATED, NotApproved, Unavailable
from slipway.registry.versions.experiment_root import ExperimentRoot

QUICK_S = 10
HERE = VERSION


class ExaminedServer:
    """A tracking server that is probed."""

    def __init__(self, uri: str, environ: Mapping[str, str]) -> None:
        """Name the server; `environ` may have a user where this process's environment has none."""
        self._uri = uri
        self._credentials = get_default_host_creds(uri)
        self._credentials.username = environ.get("MLFLOW_TRACKING_USERNAME") or self._credentials.username
        self._credentials.password = environ.get("MLFLOW_TRACKING_PASSWORD") or self._credentials.password

    def version(self) -> str:
        """Return the server's MLflow version."""
        answer = self._asked()
        if answer.status_code in (401, 403):
            raise NotApproved(
                f"{self._uri} refuses whoever asks",
                code=NOT_AUTHENTICATED,
                hint="check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            )
        if answer.status_code != 200:
            raise Unavailable(
                f"{self._uri}/version answers {answer.status_code}",
                code="no-mlflow-server",
                hint="check MLFLOW_TRACKING_URI: something else than MLflow may listen there",
            )
        return str(answer.text).strip()

    def clock(self) -> datetime | None:
        """Return the time that the server has; `None` where it tells none."""
        told = self._asked().headers.get("Date")
        return parsedate_to_datetime(told).astimezone(UTC) if told else None

    @translated()
    def roots(self) -> tuple[ExperimentRoot, ...]:
        """Return the experiments that are not deleted, and where their runs keep their artifacts."""
        return tuple(self._experiments(MlflowClient(self._uri)))

    def _experiments(self, client: MlflowClient) -> Iterator[ExperimentRoot]:
        token = None
        while True:
            page = client.search_experiments(page_token=token)
            yield from (ExperimentRoot(experiment=each.name, location=str(each.artifact_location)) for each in page)
            token = page.token
            if not token:
                return

    def _asked(self) -> Any:
        try:
            return http_request(self._credentials, "/version", "GET", max_retries=0, timeout=QUICK_S)
        except MlflowException as error:
            raise Unavailable(
                f"{self._uri} does not answer: {reason_of(error)}",
                code="server-unavailable",
                hint="check MLFLOW_TRACKING_URI, and that its server runs",
            ) from error


def reason_of(error: MlflowException) -> str:
    """Return why a request failed, without what MLflow, requests and urllib3 wrap around it.

    >>> reason_of(MlflowException("failed with exception Pool(): Max retries (Caused by E('x: [Errno 111] Refused'))"))
    '[Errno 111] Refused'
    """
    return " ".join(str(error).split()).rpartition(": ")[2].rstrip("\"')")
