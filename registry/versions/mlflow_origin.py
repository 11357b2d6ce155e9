"""The door to who stored some files, as MLflow's tracking knows it: by where they lie, not by what they say."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from slipway.registry.model_registry import Origin

# Where MLflow (3.17) keeps the files of a logged model and of a run, below an experiment's folder.
ROOT = re.compile(r"/(?:models/(?P<model>m-[0-9a-f]{32})|(?P<run>[0-9a-f]{32}))/artifacts(?=/|$)")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
# Set by a guarded server, and by nobody else there.
LOGGED_BY = "slipway.logged_by"
# A logged model that was deleted is denied to everybody but administrators, by MLflow's own users (3.17). Who stored
# what is asked once more by the server, which is denied nothing, before it decides.
GONE = (403, 404)
NOBODY = ("", "unknown")  # as MLflow's clients (3.17) say where nobody is named


def origin_of_location(location: str, client: MlflowClient) -> Origin | None:
    """Return the logged model's source run, or the run, that keeps its files at a location or above it.

    An experiment may lie among the files of a run, and its runs with it: the innermost stored what is at the location,
    and the people behind each of them could have.
    """
    around = list(_around(location, client))
    if not around:
        return None
    people = dict.fromkeys(person for each in around for person in each.people)
    return replace(around[-1], people=tuple(people))


def _around(location: str, client: MlflowClient) -> Iterator[Origin]:
    """Yield each logged model and run that has its files at a location or above it, the outermost first."""
    for found in ROOT.finditer(location):
        try:
            of = _of_logged_model(found["model"], client) if found["model"] else _of_run(found["run"], client)
        except MlflowException as error:
            if error.get_http_status_code() not in GONE:  # type: ignore[no-untyped-call]
                raise
            continue
        origin, root = of
        if _is_at(location, root):
            yield origin


def _of_logged_model(model_id: str, client: MlflowClient) -> tuple[Origin, str]:
    logged = client.get_logged_model(model_id)
    by = logged.tags.get(LOGGED_BY)
    origin = Origin(
        run_id=logged.source_run_id or None,
        experiment_id=str(logged.experiment_id),
        logged_at=datetime.fromtimestamp(logged.creation_timestamp / 1000, UTC),
        people=(by,) if by else (),
    )
    return origin, str(logged.artifact_location)


def _of_run(run_id: str, client: MlflowClient) -> tuple[Origin, str]:
    info = client.get_run(run_id).info
    people = () if info.user_id in NOBODY else (str(info.user_id),)
    return Origin(run_id=run_id, experiment_id=str(info.experiment_id), people=people), str(info.artifact_uri)


def _is_at(location: str, root: str) -> bool:
    """Return whether a location is a root or lies below it; one that leads out of it again is not."""
    path, above = _as_compared(location), _as_compared(root).rstrip("/")
    return ".." not in path.split("/") and (path.rstrip("/") == above or path.startswith(f"{above}/"))


def _as_compared(location: str) -> str:
    """Return a location in the one of its spellings that is compared.

    >>> _as_compared("MLFLOW-ARTIFACTS:///1/a"), _as_compared("file:///data/1"), _as_compared("s3://b/1")
    ('mlflow-artifacts:/1/a', '/data/1', 's3://b/1')
    """
    written = SCHEME.match(location)
    if written is None:
        return location
    scheme, rest = written[1].lower(), location[written.end() :]
    path = rest[2:] if rest.startswith("///") else rest
    return path if scheme == "file" else f"{scheme}:{path}"
