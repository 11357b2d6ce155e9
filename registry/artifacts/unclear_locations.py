"""Which locations of artifacts mean the same to everybody: those whose path is what it is written as.

Others are decoded by one and taken as they are by the next, so that what is guarded in one place would be written in
another. They are refused where somebody gives them; those that are there already are guarded by all their readings
(`slipway.registry.artifacts.locations`).
"""

import re
import unicodedata
from urllib.parse import quote, unquote, urlsplit

from slipway.registry.artifacts.locations import FOLDERS, GUARDED, names_no_place
from slipway.registry.errors import NotApproved
from slipway.registry.text import cleaned

MARKS = "?#;\\"
LOCAL = ("", "localhost")
REFERENCE = re.compile(r"(models|runs):/[^/](.*[^/])?")
SHOWN_CHARACTERS = 200


def require_plain(location: str, asked: str) -> None:
    """Refuse a location that may be taken for more than one place.

    `asked` is what was asked in the words of a sentence: "no experiment keeps its artifacts".

    Raises
    ------
    NotApproved
        Its path has parts that name nothing (`.`, `..`, `//`), codes (`%31`), or marks that end it for some; it is a
        folder of another host.
    """
    found = _unclear(location)
    if found is not None:
        raise NotApproved(
            f"{asked} at {cleaned(location, SHOWN_CHARACTERS)}: it has {found}, and not everybody reads that alike",
            code="unclear-location",
            hint="write the path as it is, or file:///path, without '.', '..', '//', '%' codes, '?', '#', ';' and '\\'",
        )


def _unclear(location: str) -> str | None:
    """Return what in a location is read in more than one way."""
    try:
        split = urlsplit(location)
    except ValueError:
        return "a host that cannot be read"
    if split.scheme.startswith(GUARDED):
        return f"the mark {GUARDED}, by which a server is told what it guards"
    if names_no_place(location) and not REFERENCE.fullmatch(location):
        return "a reference that is not written as models:/… or runs:/…"
    if split.scheme == "models":  # a model's name, which is looked up as it is
        return None
    if split.scheme == FOLDERS and not location.startswith(f"{FOLDERS}:"):
        return "'file' in capitals, which MLflow takes for a folder's name"
    if split.scheme == FOLDERS and split.netloc not in LOCAL:
        return f"the host {split.netloc}, whose files are not here"
    path = split.path if split.scheme else location
    decoded = unquote(path)
    if decoded != path and not (split.scheme == "file" and _is_only_way(path, decoded)):
        return "codes in its path"
    if "%" in split.netloc:
        return "codes in its host"
    for text in (location, decoded):
        if text != text.strip() or any(unicodedata.category(each) == "Cc" for each in text):
            return "a control character, or space at an end"
        if mark := next((each for each in text if each in MARKS), None):
            return f"the character {mark}"
    inner = decoded.removeprefix("/").removesuffix("/")
    if inner and {"", ".", ".."} & set(inner.split("/")):
        return "parts that are empty, '.' or '..'"
    return None


def _is_only_way(path: str, decoded: str) -> bool:
    """Return whether a path in a `file:` URI is written as it has to be: `/a%20b`."""
    return quote(decoded) == path and unquote(decoded) == decoded
