"""How a connection is read, whatever is asked on it.

Reading is uvicorn's, by httptools, but for what that leaves out:

- An offer to go over to another protocol (`Upgrade: h2c`, which Java's client and `curl --http2` make with every first
  request) is ignored, as a server may (RFC 9110, 7.8). httptools (0.9) takes no body of such a request, and would read
  it as the next one. So the request is read anew, from what httptools itself found in its head, without the offer: its
  body ends where it ends by the same headers, in the same parser, and nobody smuggles a request in it.
- What cannot be read is refused in the one shape of errors, after the answers to what came before it.
- A head has a bound.
"""

import logging
from typing import Any

import httptools

from slipway.registry.errors import SlipwayError
from slipway.serving.transports.http.ends import BODY, HEAD, NOTHING, EndsInPeace, Gently
from slipway.serving.transports.http.headers import SPELLINGS, spelled
from slipway.serving.transports.http.refusals import (
    engine_failed,
    head_too_large,
    no_host,
    no_http,
    no_proxy,
)

log = logging.getLogger("slipway.serve")

# More is read in pieces of half of it, so that a head is measured however the kernel hands it over.
MAX_HEAD_BYTES = 65_536
PIECE_BYTES = MAX_HEAD_BYTES // 2


class PlainHttp(EndsInPeace):
    """uvicorn's HTTP protocol, made to stay HTTP/1.1 and to refuse in our shape."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.url = b""
        self._head_size = 0

    def data_received(self, data: bytes | memoryview) -> None:
        """Read what came, in pieces where it is much."""
        if len(data) > PIECE_BYTES:
            for start in range(0, len(data), PIECE_BYTES):
                self.data_received(memoryview(data)[start : start + PIECE_BYTES])
            return
        self.last_used = self.loop.time()
        if self._is_over:
            self.throw_away(len(data))
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._read_anew(data, offer)
        except httptools.HttpParserError as error:
            self._cannot_read(error)
        if self._reading is HEAD:
            self._measure_head(len(data))

    def _read_anew(self, data: bytes | memoryview, offer: httptools.HttpParserUpgrade) -> None:
        """Go on with a request as if it had not offered another protocol, and with what follows it."""
        pieces: list[bytes | memoryview] = [memoryview(data)[offer.args[0] :], self._head_without_offer()]
        while pieces:
            piece = pieces.pop()
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as another:
                pieces += [memoryview(piece)[another.args[0] :], self._head_without_offer()]
            except httptools.HttpParserError as error:
                self._cannot_read(error)
                return

    def _head_without_offer(self) -> bytes:
        """Return the head that was just read, less the header Upgrade, which is none of those that are wanted."""
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        head = line + b"".join(b"%b: %b\r\n" % header for header in self.fields.items()) + b"\r\n"
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        return head

    def _measure_head(self, more_bytes: int) -> None:
        """Count what came of a head that is not whole yet, less the piece in which it began."""
        self._head_size = 0 if self._head_size < 0 else self._head_size + more_bytes
        if self._head_size > MAX_HEAD_BYTES:
            self.end_with(head_too_large(MAX_HEAD_BYTES))

    def on_message_begin(self) -> None:
        """Start a request."""
        self.url = b""
        self.fields = {}
        self._reading = HEAD
        self._head_size = -1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that is wanted; one that is said twice is one that says both (RFC 9110, 5.3)."""
        try:
            wanted = SPELLINGS[name]
        except KeyError:
            wanted = spelled(name)
        if wanted is not None:
            fields = self.fields
            if wanted in fields:
                value = self._both(wanted, value)
            fields[wanted] = value

    def _both(self, name: bytes, value: bytes) -> bytes:
        if name == b"host":
            raise no_host()
        return b"%b, %b" % (self.fields[name], value)

    def on_headers_complete(self) -> None:
        """Decide who takes the request; one that offers another protocol is read anew first."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise no_proxy()
            return
        if b"host" not in self.fields and self.parser.get_http_version() == "1.1":
            raise no_host()
        self.take()
        self._reading = BODY

    def take(self) -> None:
        """Let uvicorn make its cycle, and the ASGI application answer."""
        url, self.headers, self._before = self.url, [], self.cycle
        super().on_message_begin()  # makes the scope, and forgets the URL
        self.url = url
        self.headers += self.fields.items()
        self.expect_100_continue = self.fields.get(b"expect", b"").lower() == b"100-continue"
        super().on_headers_complete()
        self.cycle.transport = Gently(self)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """Tell the ASGI application that its request is whole."""
        if self._reading is BODY:
            self._reading = NOTHING
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with what waits on this connection; when it was used, the sweep asks, and no timer."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self.last_used = self.loop.time()
        self.say_last()

    def _cannot_read(self, error: httptools.HttpParserError) -> None:
        """Refuse what the parser takes for no HTTP, or what we refused while it read."""
        why = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
        if isinstance(why, httptools.HttpParserError):
            self.end_with(no_http(str(why) if why is error else "its URL is none"))
        elif isinstance(why, SlipwayError):
            self.end_with(why)
        else:
            request_id = self.asked_id()
            log.error("request %s could not be read", request_id, exc_info=why)
            self.end_with_answer(engine_failed(request_id), request_id)
