"""Where bytes lie: whether one location of artifacts is the same as, inside or around another, however it is written.

What a tracking server passes on (`mlflow-artifacts:/…`, or the server's own URL) lies below its artifacts destination.
Folders are where the system finds them; a store of objects takes names as they are written, dots and all.
Pure, save that local paths are resolved.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

GUARDED = "slipway+"
PROXIED_ROUTE = "api/2.0/mlflow-artifacts/artifacts/"  # below `/`, or as `/ajax-api/…`
FOLDERS = "file"
DEFAULT_WORKSPACE = "default"
WORKSPACES = "workspaces"


@dataclass(frozen=True, order=True, slots=True)
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
        whole = (*self.parts, *_as_written(path or ""))
        return Place(self.store, _without_detours(whole) if self.store == FOLDERS else whole)


def unguarded(uri: str) -> str:
    """Return a URI without the mark that it is guarded.

    >>> unguarded("slipway+postgresql://db/mlflow"), unguarded("slipway+file:///data")
    ('postgresql://db/mlflow', 'file:///data')
    """
    return uri[len(GUARDED) :] if uri.lower().startswith(GUARDED) else uri


def place_of(location: str, *, destination: str | None, workspace: str = DEFAULT_WORKSPACE) -> Place | None:
    """Return the place where MLflow's stores find a location; `None` for one that names none (`models:/…`).

    `destination` is where the server keeps what it passes on, `workspace` whose artifacts these are. Nobody serves what
    is passed on without a destination.
    """
    proxied = proxied_path(location)
    if proxied is not None:
        kept = place_of(destination, destination=None) if destination is not None else None
        return kept.below(in_workspace(proxied, workspace)) if kept else None
    location = unguarded(location)
    split = urlsplit(location)
    if names_no_place(location) or not location:
        return None
    if split.scheme in ("", FOLDERS):
        return _folder(unquote(split.path if split.scheme else location))  # without a scheme, MLflow decodes it too
    return Place(f"{split.scheme.lower()}://{split.netloc.lower()}", _as_written(split.path.removeprefix("/")))


def names_no_place(location: str) -> bool:
    """Return whether a location is a reference, which leads to wherever that of a model or run is."""
    return urlsplit(location).scheme in ("models", "runs")


def places_named(location: str, *, destination: str | None, workspace: str = DEFAULT_WORKSPACE) -> tuple[Place, ...]:
    """Return every place that somebody may take a location for, the one of `place_of` first.

    A path is decoded by some clients, servers and stores and not by others, once or more, and so are its detours (`..`,
    `//`) followed or not.
    """
    first = place_of(location, destination=destination, workspace=workspace)
    if first is None:
        return ()
    split = urlsplit(unguarded(location))
    found = [first]
    if "%" in location and split.scheme in ("", FOLDERS):
        found.append(_folder(split.path if split.scheme else unguarded(location)))
    return tuple(dict.fromkeys([first, *(reading for each in found for reading in _readings(each))]))


def proxied_path(location: str) -> str | None:
    """Return the path below the server's artifacts destination; `None` for a location that a client reaches itself."""
    split = urlsplit(location)
    if split.scheme == "mlflow-artifacts":
        return split.path.lstrip("/")
    if split.scheme in ("http", "https"):
        for path in _decodings(split.path):
            before, route, below = path.partition(PROXIED_ROUTE)
            if not route:
                before, route, below = re.sub("/{2,}", "/", path).partition(PROXIED_ROUTE)
            if route and before.endswith(("/", "/ajax-")):
                return below
    return None


def in_workspace(path: str, workspace: str) -> str:
    """Return a proxied path as the server keeps it: artifacts of other workspaces than the default one lie apart."""
    if workspace == DEFAULT_WORKSPACE or path.split("/")[0] == WORKSPACES:
        return path
    return f"{WORKSPACES}/{workspace}/{path}"


def _folder(path: str) -> Place:
    return Place(FOLDERS, _without_detours(_as_written(os.path.realpath(path))))


def _readings(place: Place) -> Iterator[Place]:
    """Yield a place, what its path decodes to, and each of them without its detours."""
    for path in _decodings("/".join(place.parts)):
        yield Place(place.store, _as_written(path))
        yield Place(place.store, _without_detours(_as_written(path)))


def _decodings(path: str) -> Iterator[str]:
    """Yield a path as it is written, and decoded until there is nothing left to decode."""
    yield path
    while (decoded := unquote(path)) != path:
        yield decoded
        path = decoded


def _as_written(path: str) -> tuple[str, ...]:
    """Return the parts of a path, also those that name nothing; slashes at its end only say that it is a folder.

    >>> _as_written("a/../b/"), _as_written("a//b")
    (('a', '..', 'b'), ('a', '', 'b'))
    """
    path = path.rstrip("/")
    return tuple(path.split("/")) if path else ()


def _without_detours(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts of what a path leads to where `.` and `..` are followed.

    >>> _without_detours(("a", ".", "", "..", "b"))
    ('b',)
    """
    return tuple(part for part in posixpath.normpath("/" + "/".join(parts)).split("/") if part)
