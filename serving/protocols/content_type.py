"""Which Content-Type headers MLflow's scoring protocol takes."""

from functools import lru_cache

from registry.errors import InvalidInput

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
TAKEN = (JSON, CSV, PARQUET)


@lru_cache(maxsize=256)
def media_type(header: bytes) -> str:
    """Return the media type that a header names.

    >>> media_type(b"application/json; charset=utf-8")
    'application/json'

    Raises
    ------
    InvalidInput
        MLflow's scoring server answers it with 415: another type, another charset, or other parameters.
    """
    kind, *pairs = (part.strip() for part in header.decode("latin-1").split(";"))
    parameters = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    if parameters.pop("charset", "utf-8").lower() != "utf-8":
        raise _wrong("the body's charset must be utf-8")
    if parameters:
        raise _wrong(f"Content-Type has parameters that mean nothing here: {', '.join(parameters)}")
    if kind not in TAKEN:
        raise _wrong(f"Content-Type is '{kind[:100]}', and this takes {', '.join(TAKEN)}")
    return kind


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(what, code="wrong-content-type", hint="Content-Type: application/json")
