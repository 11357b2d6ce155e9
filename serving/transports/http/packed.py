"""Bodies that are compressed on their way: gzip and deflate, both ways, bounded when they are unpacked."""

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from functools import partial

from slipway.registry.errors import InvalidInput
from slipway.serving.transports.http.answers import Answer

GZIP, DEFLATE = b"gzip", b"deflate"
# zlib's words for: find out whether it is gzip's or zlib's form; and: no form around it, as some clients send deflate.
ANY_FORM, NO_FORM = 47, -15
WORTH_PACKING_BYTES = 1024
LEVEL = 1
# From here on it takes longer than other requests should wait.
BESIDE_THE_LOOP_BYTES = 65_536
REFUSED = re.compile(rb";\s*q=0(?:\.0*)?\s*$")


async def unpacked(content: bytes, encoding: bytes, limit: int) -> bytes:
    """Return a body as it was before it was compressed.

    Raises
    ------
    InvalidInput
        It is compressed in another way, cut off, or becomes larger than a body may be.
    """
    named = encoding.strip().lower()
    if named in (b"", b"identity"):
        return content
    if named not in (GZIP, DEFLATE):
        raise InvalidInput(
            "the Content-Encoding is none that is taken here", code="wrong-content-type", hint="send gzip or deflate"
        )
    return await asyncio.to_thread(_unpacked, content, limit)


def _unpacked(content: bytes, limit: int) -> bytes:
    try:
        return _read(content, ANY_FORM, limit)
    except zlib.error:
        pass
    try:
        return _read(content, NO_FORM, limit)
    except zlib.error as error:
        raise InvalidInput("the body is not what its Content-Encoding says", code="wrong-input", hint=None) from error


def _read(content: bytes, form: int, limit: int) -> bytes:
    reader = zlib.decompressobj(form)
    found = reader.decompress(content, limit + 1)
    if len(found) > limit:
        raise InvalidInput(
            f"the body is larger than {limit} bytes when it is unpacked",
            code="unpacks-too-large",
            hint="send fewer rows at once",
        )
    if not reader.eof or reader.unused_data:
        raise zlib.error("cut off, or followed by something")
    return found


async def packed(answer: Answer, accepted: bytes) -> Answer:
    """Return an answer compressed as the client takes it, where that is worth it."""
    encoding = _chosen(accepted)
    if encoding is None or len(answer.body) < WORTH_PACKING_BYTES:
        return answer
    if len(answer.body) < BESIDE_THE_LOOP_BYTES:
        body = PACKERS[encoding](answer.body)
    else:
        body = await asyncio.to_thread(PACKERS[encoding], answer.body)
    made_by = answer.made_by + b"content-encoding: %b\r\nvary: accept-encoding\r\n" % encoding
    return Answer(answer.status, body, made_by, answer.content_type, answer.error_code)


def _chosen(accepted: bytes) -> bytes | None:
    """Return the first of ours that an `Accept-Encoding` names and does not refuse."""
    for each in accepted.lower().split(b","):
        name = each.split(b";")[0].strip()
        if name in PACKERS and not REFUSED.search(each):
            return name
    return None


PACKERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    GZIP: partial(gzip.compress, compresslevel=LEVEL),
    DEFLATE: partial(zlib.compress, level=LEVEL),
}
