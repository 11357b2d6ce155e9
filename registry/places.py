"""Where bytes lie: whether one location of artifacts is the same as, inside or around another, however it is written.

What a tracking server passes on (`mlflow-artifacts:/…`, or the server's own URL) lies below its artifacts destination.
Pure, save that local paths are resolved.
"""

import os
import posixpath
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

GUARDED = "slipway+"
PROXIED_ROUTE = "/api/2.0/mlflow-artifacts/artifacts/"
DEFAULT_WORKSPACE = "default"
WORKSPACES = "workspaces"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or file: where it is kept, and its path there."""

    store: str
    parts: tuple[str, ...]

    def touches(self, other: "Place") -> bool:
        """Return whether writing or deleting here could change what is there: one lies in the other, or is it.

        >>> Place("s3://b", ("0", "m")).touches(Place("s3://b", ("0",)))
        True
        >>> Place("s3://b", ("0", "m")).touches(Place("s3://b", ("0", "n")))
        False
        """
        shared = min(len(self.parts), len(other.parts))
        return self.store == other.store and self.parts[:shared] == other.parts[:shared]

    def is_in(self, other: "Place") -> bool:
        """Return whether this is the other, or lies in it."""
        return self.touches(other) and len(self.parts) >= len(other.parts)

    def ancestors(self) -> "tuple[Place, ...]":
        """Return the folders around this, the outermost first.

        >>> [place.parts for place in Place("s3://b", ("0", "m")).ancestors()]
        [(), ('0',)]
        """
        return tuple(Place(self.store, self.parts[:depth]) for depth in range(len(self.parts)))

    def below(self, path: str | None) -> "Place":
        """Return what lies under a path here."""
        return Place(self.store, _parts("/".join([*self.parts, path or ""])))


def unguarded(uri: str) -> str:
    """Return a URI without the mark that it is guarded.

    >>> unguarded("slipway+postgresql://db/mlflow"), unguarded("slipway+file:///data")
    ('postgresql://db/mlflow', 'file:///data')
    """
    return uri[len(GUARDED) :] if uri.lower().startswith(GUARDED) else uri


def place_of(location: str, *, destination: str | None, workspace: str = DEFAULT_WORKSPACE) -> Place | None:
    """Return the place that a location names; `None` for one that names none (`models:/…`), or that nobody serves.

    `destination` is where the server keeps what it passes on, `workspace` whose artifacts these are.
    """
    proxied = proxied_path(location)
    if proxied is not None:
        if destination is None:
            return None
        kept = place_of(destination, destination=None)
        return kept.below(in_workspace(proxied, workspace)) if kept else None
    location = unguarded(location)
    split = urlsplit(location)
    if split.scheme in ("models", "runs") or not location:
        return None
    if split.scheme in ("", "file"):
        path = unquote(split.path) if split.scheme else location
        return Place("file", _parts(os.path.realpath(path)))
    return Place(f"{split.scheme.lower()}://{split.netloc}", _parts(split.path))


def proxied_path(location: str) -> str | None:
    """Return the path below the server's artifacts destination; `None` for a location that a client reaches itself."""
    split = urlsplit(location)
    if split.scheme == "mlflow-artifacts":
        return split.path.lstrip("/")
    if split.scheme in ("http", "https") and PROXIED_ROUTE in split.path:
        return split.path.partition(PROXIED_ROUTE)[2]
    return None


def in_workspace(path: str, workspace: str) -> str:
    """Return a proxied path as the server keeps it: artifacts of other workspaces than the default one lie apart."""
    if workspace == DEFAULT_WORKSPACE or path.split("/")[0] == WORKSPACES:
        return path
    return f"{WORKSPACES}/{workspace}/{path}"


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in posixpath.normpath(path).split("/") if part not in ("", "."))
