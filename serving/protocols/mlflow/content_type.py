"""What a request's body is: the `Content-Type` as MLflow's scoring server reads it.

As there, the media type is compared letter by letter, the only parameter is `charset`, and it is UTF-8. A request
without the header is refused: MLflow's server fails on it.
"""

from collections.abc import Mapping
from enum import Enum

from slipway.registry.errors import InvalidInput

CODE = "wrong-content-type"
JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"


class BodyKind(Enum):
    """How a body is to be read: MLflow's JSON, CSV, Parquet, or the JSON of `/predict`."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    FEATURES = "features"


def body_kind(header: bytes, kinds: Mapping[str, BodyKind]) -> BodyKind:
    """Return what the value of a `Content-Type` header says, by media type → kind.

    `header` is empty where the request has none. Raises `InvalidInput` (`wrong-content-type`) for all that is not among
    the kinds, without repeating it.
    """
    hint = f"send one of {', '.join(kinds)}" if len(kinds) > 1 else f"send {next(iter(kinds))}"
    if not header:
        raise InvalidInput("the request has no Content-Type", code=CODE, hint=hint)
    media_type, *parameters = (part.strip() for part in header.decode("latin-1").split(";"))
    values = {name: value for name, _, value in (each.partition("=") for each in parameters)}
    if values.get("charset", "utf-8").lower() != "utf-8":
        raise InvalidInput("the Content-Type names a charset other than UTF-8", code=CODE, hint="send UTF-8")
    if values.keys() - {"charset"}:
        raise InvalidInput("the Content-Type has a parameter other than charset", code=CODE, hint=hint)
    if media_type not in kinds:
        raise InvalidInput("the Content-Type is none that is taken here", code=CODE, hint=hint)
    return kinds[media_type]
