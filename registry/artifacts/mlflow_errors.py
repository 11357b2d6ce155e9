"""The one place where MLflow's errors become ours; those of S3 that it passes on as they are, too."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from requests import RequestException

from slipway.registry.errors import Conflict, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable
from slipway.registry.late import call

S3_ERRORS = "slipway.registry.artifacts.s3_errors"
BY_STATUS: dict[int, type[SlipwayError]] = {
    400: InvalidInput,
    401: NotApproved,
    403: NotApproved,
    404: NotFound,
    409: Conflict,
}
HINTS: dict[type[SlipwayError], str] = {
    NotApproved: "ask an administrator of the tracking server, or check MLFLOW_TRACKING_USERNAME and its password",
    Unavailable: "check MLFLOW_TRACKING_URI, and that its server or database answers; then retry",
}


@contextmanager
def translated() -> Iterator[None]:
    """Translate what MLflow raises by the HTTP status that it has for it; also usable as a decorator.

    Every code of MLflow's has a status, so that a new one is translated too: 4xx by what the caller can
    do, everything else as `Unavailable`.
    """
    try:
        yield
    except MlflowException as error:
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
        kind = BY_STATUS.get(status, InvalidInput if 400 <= status < 500 and status != 429 else Unavailable)
        message = " ".join(error.message.split())
        code = f"mlflow-{error.error_code.lower().replace('_', '-')}"
        raise kind(message, code=code, hint=HINTS.get(kind)) from error
    except SlipwayError:
        raise
    except RequestException as error:  # MLflow's artifact client passes those of the server on as they are
        answered = error.response.status_code if error.response is not None else None
        kind = BY_STATUS.get(answered or 0, Unavailable)
        said = " ".join(str(error).split())
        code = f"http-{answered}" if answered else "server-unavailable"
        raise kind(f"the tracking server did not hand it out: {said}", code=code, hint=HINTS.get(kind)) from error
    except ModuleNotFoundError as error:  # MLflow loads what a store needs when one is first asked for
        raise Unavailable(
            f"reading or storing there needs the package {error.name}, which is not installed here",
            code="missing-package",
            hint="install what MLflow needs for such a store where this runs, or keep the files in S3 or a folder",
        ) from error
    except Exception as error:
        # Only boto3 raises its errors: where it is not installed, as in an image, or nobody imported it, none is one.
        cause = call(S3_ERRORS, "cause_in_s3", error) if "botocore" in sys.modules else None
        if cause is None:
            raise
        raise call(S3_ERRORS, "translated", cause, "storing or reading artifacts") from error
