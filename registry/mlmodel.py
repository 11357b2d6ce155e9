"""The file `MLmodel`, which tells MLflow what to open and how: read as MLflow reads it, and refused where that is open.

MLflow takes the last of two equal keys, and opens the file in the encoding of its machine. What another reader could
understand otherwise is no ground for a judgement.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.registry.errors import NotApproved
from slipway.registry.yaml_files import parsed

FILE = "MLmodel"
PYFUNC = "python_function"


def read_mlmodel(folder: Path) -> Mapping[str, Any]:
    """Return what a stored model's `MLmodel` says; its `flavors` map names to mappings.

    Raises
    ------
    NotApproved
        It is missing, a link, not plain UTF-8, no YAML, ambiguous, or has no flavors.
    """
    path = folder / FILE
    if path.is_symlink() or not path.is_file():
        raise _unreadable("there is no such file")
    content = path.read_bytes()
    if content.startswith(b"\xef\xbb\xbf"):
        raise _unreadable("it begins with a byte order mark")
    try:
        document: Any = parsed(content)
    except ValueError as error:
        raise _unreadable(" ".join(str(error).split())[:300]) from error
    if not isinstance(document, dict) or not _are_flavors(document.get("flavors")):
        raise _unreadable("it names no flavors")
    return document


def _are_flavors(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(k, str) and isinstance(v, dict) for k, v in found.items())


def _unreadable(why: str) -> NotApproved:
    return NotApproved(
        f"MLmodel cannot be read without doubt: {why}",
        code="mlmodel-unreadable",
        hint="log the model anew with MLflow, which writes it",
    )
