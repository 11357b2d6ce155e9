"""Where a guarded server keeps its own copy of the files of a version that was put into a stage.

MLflow serves the copy by the version's name. Nobody else writes where one lies, and each is in a new folder whose name
nobody knew before. It lies beside what was logged, since MLflow's permissions go by the run, or the logged model, that
a path names (3.17).
"""

from slipway.registry.artifacts.locations import (
    WORKSPACES,
    Place,
    names_no_place,
    place_of,
    proxied_path,
    unguarded,
)

KEPT = "slipway-kept"
LOGGED = "artifacts"  # MLflow's folder for what a run, or a logged model, consists of


def copy_location(location: str, digest: str, token: str, *, destination: str) -> str | None:
    """Return where a copy of the files at a location lies; `digest` is that of their manifest, `token` is of one use.

    `destination` is where the server keeps what it passes on. Of what lies elsewhere there is no copy.

    >>> copy_location("mlflow-artifacts:/1/models/m-1/artifacts", "sha256:ab", "x", destination="s3://artifacts")
    'mlflow-artifacts:/1/models/m-1/slipway-kept/ab-x'
    >>> copy_location("s3://artifacts/1/0f/artifacts/model", "sha256:ab", "x", destination="s3://artifacts")
    's3://artifacts/1/0f/slipway-kept/ab-x'
    >>> copy_location("s3://elsewhere/1/0f/artifacts/model", "sha256:ab", "x", destination="s3://artifacts")
    """
    path, start = proxied_path(location), "mlflow-artifacts:/"
    if path is None:
        place, root = place_of(location, destination=None), place_of(destination, destination=None)
        if place is None or root is None or not place.is_in(root):
            return None
        path, start = "/".join(place.parts[len(root.parts) :]), f"{unguarded(destination).rstrip('/')}/"
    return start + "/".join([*_above_logged(path.rstrip("/").split("/")), KEPT, _name(digest) + token])


def is_copy_of(location: str, digest: str) -> bool:
    """Return whether a location is that of a copy of files whose manifest has a digest.

    >>> is_copy_of("mlflow-artifacts:/1/models/m-1/slipway-kept/ab-x", "sha256:ab")
    True
    """
    return is_copy(location) and location.rpartition("/")[2].startswith(_name(digest))


def is_copy(location: str) -> bool:
    """Return whether a location is that of some copy: a place, and no reference that may come to mean another.

    >>> is_copy("runs:/0f/slipway-kept/m")
    False
    """
    return not names_no_place(location) and location.split("/")[-2:-1] == [KEPT]


def is_for_copies(place: Place) -> bool:
    """Return whether nobody but the server itself writes at a place."""
    return KEPT in place.parts


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:") + "-"


def _above_logged(folders: list[str]) -> list[str]:
    """Return the folders around what was logged: above MLflow's own folder for that, else all but the last.

    A workspace may be called as that folder is.
    """
    after = 2 if folders[0] == WORKSPACES else 0
    return folders[: folders.index(LOGGED, after)] if LOGGED in folders[after:] else folders[:-1]
