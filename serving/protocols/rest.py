"""The forms in which rows may be asked about over REST: MLflow's `/invocations`, and the plain `/predict`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.protocols.content_type import media_type
from serving.protocols.features import as_dataframe

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
USUAL_JSON = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
Decode = Callable[[Any, bytes], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A way to ask: how a plain body is decoded, and how another becomes what MLflow's own parsing understands.

    `decode` takes a model's decoder and a body in JSON.
    """

    name: str
    decode: Decode
    others: Mapping[str, Decode]
    as_invocation: Callable[[bytes, Sequence[str]], bytes]

    def is_json(self, content_type: bytes) -> bool:
        """Return whether a Content-Type header says JSON in a usual way; others are looked at off the loop."""
        return content_type in USUAL_JSON

    def media_type(self, content_type: bytes) -> str:
        """Return the media type that a Content-Type header names; InvalidInput where MLflow takes no such body."""
        return media_type(content_type)

    def decoder_of(self, kind: str) -> Decode | None:
        """Return how a plain body of a media type is decoded."""
        return self.decode if kind == JSON else self.others.get(kind)


INVOCATIONS = Form(
    name="invocations",
    decode=lambda decoder, body: decoder.decode(body),
    others={PARQUET: lambda decoder, body: decoder.decode_parquet(body)},
    as_invocation=lambda body, columns: body,
)
PREDICT = Form(
    name="predict",
    decode=lambda decoder, body: decoder.decode_features(body),
    others={},
    as_invocation=as_dataframe,
)
FORMS: Mapping[str, Form] = {form.name: form for form in (INVOCATIONS, PREDICT)}
