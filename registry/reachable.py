"""Whether what a command needs is there at all, asked before anything is imported or made for it.

MLflow's client tries for minutes to reach a server that is not there, and makes a store where there is none: a mistyped
address, or the wrong folder, is to be told at once.
"""

import socket
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from slipway.registry.errors import NotFound, Unavailable
from slipway.registry.settings import DEFAULT_STORE, registry_uri, tracking_uri

ANSWERS_WITHIN_S = 4.0
PORTS = {"http": 80, "https": 443, "postgresql": 5432}


def require_answer(environ: Mapping[str, str]) -> None:
    """Refuse to begin where nobody listens at the address of MLflow's server or database.

    Raises
    ------
    Unavailable
        Its host is not known, refuses the connection, or does not answer.
    """
    for uri in _stores(environ):
        split = urlsplit(uri)
        scheme = split.scheme.partition("+")[0]
        if scheme in PORTS and split.hostname and not _is_behind_proxy(scheme, split.hostname):
            _require_listener(split, split.port or PORTS[scheme])


def require_store(environ: Mapping[str, str], folder: Path) -> None:
    """Refuse to read a store that is not there: it would be made, and be empty.

    Raises
    ------
    NotFound
        The file of MLflow's database is not there.
    Unavailable
        As `require_answer` says.
    """
    for uri in _stores(environ):
        file = _file_of(uri)
        if file is None or _is_there(uri, folder / file):
            continue
        named = "MLFLOW_TRACKING_URI names no other" if uri == DEFAULT_STORE else f"{uri} names it"
        raise NotFound(
            f"there is no store here: {folder / file} is not there, and {named}",
            code="no-store",
            hint="slipway train, or slipway init, begins one; change to the folder that has it, or set "
            "MLFLOW_TRACKING_URI",
        )
    require_answer(environ)


def name_default_store(environ: MutableMapping[str, str], folder: Path) -> None:
    """Name the store that MLflow would take here if none is named, but for an old one of plain files."""
    if not has_plain_files(folder):
        environ["MLFLOW_TRACKING_URI"] = DEFAULT_STORE


def has_store(environ: Mapping[str, str], folder: Path) -> bool:
    """Return whether a store is named, or there is one in the folder; whether a server answers is not asked."""
    files = {uri: _file_of(uri) for uri in _stores(environ)}
    return all(file is None or _is_there(uri, folder / file) for uri, file in files.items())


def _is_there(uri: str, file: Path) -> bool:
    return file.exists() or (uri == DEFAULT_STORE and has_plain_files(file.parent))


def _stores(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return where MLflow keeps runs and models, each once."""
    return tuple(dict.fromkeys((tracking_uri(environ), registry_uri(environ))))


def _file_of(uri: str) -> str | None:
    """Return the file of a SQLite database; `None` for what is none.

    >>> _file_of("sqlite:///mlflow.db"), _file_of("sqlite:////data/mlflow.db"), _file_of("http://host")
    ('mlflow.db', '/data/mlflow.db', None)
    """
    split = urlsplit(uri)
    file = split.path[1:]
    return file if split.scheme == "sqlite" and file not in ("", ":memory:") and not file.startswith("file:") else None


def has_plain_files(folder: Path) -> bool:
    """Return whether MLflow (3.17) would take the folder for one of its old stores of plain files, if none is named."""
    return any(path.parent.name.isdigit() for path in folder.glob("mlruns/*/meta.yaml"))


def _is_behind_proxy(scheme: str, host: str) -> bool:
    return scheme in getproxies() and not proxy_bypass(host)


def _require_listener(split: SplitResult, port: int) -> None:
    try:
        socket.create_connection((str(split.hostname), port), timeout=ANSWERS_WITHIN_S).close()
    except OSError as error:
        shown = f"{split.scheme}://{split.netloc.rpartition('@')[2]}"
        raise Unavailable(
            f"nothing answers at {shown}: {error.strerror or error}",
            code="server-unavailable",
            hint="check MLFLOW_TRACKING_URI, and that its server runs",
        ) from error
