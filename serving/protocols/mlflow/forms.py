"""What the engine needs to know of a request in JSON, CSV or Parquet: the two forms of it, and the answer's bytes.

A form is the last part of a URL, and says which bodies may come there. Plain JSON is decoded here, in microseconds and
without a copy, on the event loop; everything else (`decode` returns `None`, or the body is a file) goes to
`Lane.parse(folder, body, kind)`. Files are read there too, since pyarrow would cost every worker 33 MB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from slipway.serving.protocols.mlflow.content_type import CSV, JSON, PARQUET, BodyKind, body_kind
from slipway.serving.protocols.mlflow.decoding import Decoder, compile_decoder
from slipway.serving.protocols.mlflow.predictions import encode, encode_unwrapped
from slipway.serving.runtimes.understood import Understood

__all__ = [
    "FORMS",
    "INVOCATIONS",
    "PREDICT",
    "UNWRAPPED",
    "BodyKind",
    "Decoder",
    "Form",
    "compile_decoder",
    "encode",
    "encode_unwrapped",
    "is_json",
]

# The form of an answer without the key `predictions`, as MLflow's formats for language models have it.
UNWRAPPED = "unwrapped"
# How clients spell JSON; another spelling is read all the same, off the short way.
JSON_HEADERS = frozenset(
    f"{JSON}{charset}".encode()
    for charset in ("", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8")
)
# Headers that are remembered for each form: clients send few different ones.
MOST_HEADERS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One form of request: `/invocations` or `/predict`.

    `kinds` is media type → how such a body is read. `decode(decoder, body)` returns the rows, parameters and method of
    a plain body in JSON, `None` where it is not plain, and raises nothing. `kind(header)` returns how the lane is to
    read a body with this `Content-Type` (empty where there is none), and raises `InvalidInput` (`wrong-content-type`).
    """

    name: str
    kinds: Mapping[str, BodyKind]
    decode: Callable[[Decoder, bytes], Understood | None]
    kind: Callable[[bytes], BodyKind] = field(init=False)

    def __post_init__(self) -> None:
        kinds = self.kinds
        object.__setattr__(self, "kind", lru_cache(MOST_HEADERS)(lambda header: body_kind(header, kinds)))


INVOCATIONS = Form(
    name="invocations",
    kinds={JSON: BodyKind.JSON, CSV: BodyKind.CSV, PARQUET: BodyKind.PARQUET},
    decode=Decoder.decode,
)
PREDICT = Form(name="predict", kinds={JSON: BodyKind.FEATURES}, decode=Decoder.decode_features)
FORMS: Mapping[str, Form] = {form.name: form for form in (INVOCATIONS, PREDICT)}


def is_json(header: bytes) -> bool:
    """Return whether a `Content-Type` says JSON in so many words; one that is not seen here is for `Form.kind`."""
    return header in JSON_HEADERS
