"""What a request's body is: the `Content-Type` as MLflow's scoring server reads it.

As there, the media type is compared letter by letter, the only parameter is `charset`, and it is UTF-8. A request
without the header is refused: MLflow's server fails on it.
"""

from enum import StrEnum
from functools import lru_cache

from registry.errors import InvalidInput

# Headers that are remembered: clients send few different ones.
MOST_HEADERS = 64
CODE = "unsupported-content-type"


class ContentType(StrEnum):
    """The media types of `/invocations`."""

    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"


HINT = f"send one of {', '.join(ContentType)}"


@lru_cache(MOST_HEADERS)
def content_type(header: bytes | None) -> ContentType:
    """Return what the value of a `Content-Type` header says; raise `InvalidInput` for what is not supported."""
    if header is None:
        raise InvalidInput("the request has no Content-Type", code=CODE, hint=HINT)
    media_type, *parameters = (part.strip() for part in header.decode("latin-1").split(";"))
    values = {name: value for name, _, value in (each.partition("=") for each in parameters)}
    if values.get("charset", "utf-8").lower() != "utf-8":
        raise InvalidInput("the Content-Type names a charset other than UTF-8", code=CODE, hint="send UTF-8")
    if values.keys() - {"charset"}:
        raise InvalidInput("the Content-Type has a parameter other than charset", code=CODE, hint=HINT)
    if media_type not in set(ContentType):
        raise InvalidInput("the Content-Type is none that can be scored", code=CODE, hint=HINT)
    return ContentType(media_type)
