"""How a connection is read and how it ends, whatever is asked on it.

Reading is uvicorn's, by httptools, but for what that leaves out:

- An offer to go over to another protocol (`Upgrade: h2c`, which Java's client and `curl --http2` make with every first
  request) is ignored, as a server may (RFC 9110, 7.8). httptools (0.9) takes no body of such a request, and would read
  it as the next one. So the request is read anew, from what httptools itself found in its head, without the offer: its
  body ends where it ends by the same headers, in the same parser, and nobody smuggles a request in it.
- What cannot be read is refused in the one shape of errors, after the answers to what came before it.
- A head has a bound.

A connection that is ended before the client ends it is ended in peace: one that is closed while bytes come in is reset
by the kernel, and the client may never read the answer that it was sent.
"""

import logging
import select
from asyncio import Transport
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.registry.errors import SlipwayError
from slipway.serving.engine.answer import Answer, refusal
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.headers import SPELLINGS, spelled
from slipway.serving.transports.http.refusals import (
    engine_failed,
    head_too_large,
    no_host,
    no_http,
    no_proxy,
    not_in_time,
)

log = logging.getLogger("slipway.serve")

# More is read in pieces of half of it, so that a head is measured however the kernel hands it over.
MAX_HEAD_BYTES = 65_536
PIECE_BYTES = MAX_HEAD_BYTES // 2
# So much of what comes after the last answer is read and thrown away, until nothing came for so long: less where the
# client has sent all that it wanted to.
LINGER_BYTES = 256 * 2**20
LINGER_S, IDLE_LINGER_S = 2.0, 0.3
# What of a request is read: no enum, since it is set three times with each of them.
NOTHING, HEAD, BODY = range(3)


class Gently:
    """What uvicorn's cycle has for a transport: it closes before a request is whole, which we do in peace."""

    def __init__(self, connection: "PlainHttp") -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close, or let the client send the rest of its request first."""
        self._connection.close_gently()


class PlainHttp(HttpToolsProtocol):
    """uvicorn's HTTP protocol, made to stay HTTP/1.1, to refuse in our shape and to end in peace."""

    door: Door

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.url = b""
        self.fields: dict[bytes, bytes] = {}
        self._reading = NOTHING
        self._is_over = False
        self._head_size = self._thrown_away = 0
        self._last_answer: tuple[Answer, str] | None = None
        self._before: Any = None  # the cycle before the newest one
        self.last_used = self.loop.time()

    def data_received(self, data: bytes | memoryview) -> None:
        """Read what came, in pieces where it is much."""
        if len(data) > PIECE_BYTES:
            for start in range(0, len(data), PIECE_BYTES):
                self.data_received(memoryview(data)[start : start + PIECE_BYTES])
            return
        self.last_used = self.loop.time()
        if self._is_over:
            self._throw_away(len(data))
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

    def is_idle(self) -> bool:
        """Return whether every request that was read is answered."""
        return self.cycle is None or self.cycle.response_complete

    def _cannot_read(self, error: httptools.HttpParserError) -> None:
        """Refuse what the parser takes for no HTTP, or what we refused while it read."""
        why = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
        if isinstance(why, httptools.HttpParserError):
            self.end_with(no_http(str(why) if why is error else "its URL is none"))
        elif isinstance(why, SlipwayError):
            self.end_with(why)
        else:
            request_id = self._asked_id()
            log.error("request %s could not be read", request_id, exc_info=why)
            self._end_with(engine_failed(request_id), request_id)

    def end_with(self, error: SlipwayError) -> None:
        """Refuse what comes on this connection, after the answers to what came before; then end it."""
        request_id = self._asked_id()
        self._end_with(refusal(error, request_id), request_id)

    def _end_with(self, answer: Answer, request_id: str) -> None:
        is_answered = self._reading is BODY and self.is_uvicorns() and not self._take_back()
        self._is_over, self._reading = True, NOTHING
        if is_answered:
            self.part(LINGER_S)
            return
        self._last_answer = (answer, request_id)
        self.say_last()

    def is_uvicorns(self) -> bool:
        """Return whether uvicorn took the request that is read."""
        return True

    def _take_back(self) -> bool:
        """Take a request that is not whole from the ASGI application; return whether that had not answered it yet."""
        cycle = self.cycle
        if cycle.response_started:
            return False
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self.cycle = self._before
        else:
            cycle.disconnected = cycle.response_complete = True
            cycle.message_event.set()
        return True

    def _asked_id(self) -> str:
        return self.door.request_id(self.fields.get(b"x-request-id", b""))

    def say_last(self) -> None:
        """Send the last answer, where there is one and it is its turn, and end the connection."""
        if self._last_answer is None or not self.is_idle() or self.transport.is_closing():
            return
        answer, request_id = self._last_answer
        self._last_answer = None
        self.write(answer, request_id)
        self.part(LINGER_S)

    def write(self, answer: Answer, request_id: str, connection: bytes = b"connection: close\r\n") -> None:
        """Send an answer; `connection` is the header line that says how the connection goes on, or none."""
        door = self.door
        if self.server_state.default_headers is not door.dated:  # uvicorn's: another list with each second
            door.date_answers(self.server_state.default_headers)
        self.transport.write(
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n%b\r\n%b"
            % (
                door.first_lines[answer.status],
                answer.content_type,
                len(answer.body),
                answer.made_by,
                request_id.encode(),
                connection,
                answer.body,
            )
        )

    def close_gently(self) -> None:
        """Close at once where the client has sent what it wanted to, or else when it has."""
        if self._reading is NOTHING and not self.door.is_draining:
            self.transport.close()
        else:
            self.part(LINGER_S)

    def part(self, linger_s: float) -> None:
        """Say that nothing more is sent, and close when the client does, or has sent nothing for a while."""
        self._is_over = True
        self.pipeline.clear()
        if self.transport.is_closing():
            return
        self.last_used = self.loop.time()
        self.transport.write_eof()
        self._close_when_quiet(linger_s)

    def _close_when_quiet(self, linger_s: float) -> None:
        left_s = self.last_used + linger_s - self.loop.time()
        if left_s <= 0:
            self.transport.close()
        else:
            self.loop.call_later(left_s, self._close_when_quiet, linger_s)

    def _throw_away(self, size: int) -> None:
        self._thrown_away += size
        if self._thrown_away > LINGER_BYTES:
            self.transport.close()

    def time_out(self, after_s: float) -> None:
        """End a connection on which nothing came for a while, unless it is us who are waited for."""
        if self._is_over:
            return
        if self.is_idle() and self._reading is NOTHING:
            self.part(IDLE_LINGER_S)
        elif self.is_idle() or (self.cycle.more_body and not self.pipeline):
            self.end_with(not_in_time(after_s))

    def shutdown(self) -> None:
        """End the connection where nothing is under way on it; else its next answer is the last one."""
        self.door.is_draining = True
        if not self._is_over and self.is_idle() and self._reading is NOTHING and not has_more(self.transport):
            self.part(IDLE_LINGER_S)


def has_more(transport: Transport) -> bool:
    """Return whether bytes have come that were not read yet."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
