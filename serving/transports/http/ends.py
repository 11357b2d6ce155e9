"""How a connection ends: who sends or waits is never cut, and nobody is reset.

A connection that is closed while bytes come in is reset by the kernel, and the client may never read the answer that it
was sent. So one that we end says that nothing more is sent (FIN), throws away what still comes, and is closed when the
client closes it or has been quiet for a while. A refusal of what cannot be read comes after the answers to what was
read before it, and never beside another answer to the same request.
"""

import select
from asyncio import Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.registry.errors import SlipwayError
from slipway.serving.transports.http.answers import Answer, refusal
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.refusals import not_in_time

# So much of what comes after the last answer is read and thrown away, until nothing came for so long: less where the
# client has sent all that it wanted to.
LINGER_BYTES = 256 * 2**20
LINGER_S, IDLE_LINGER_S = 2.0, 0.3
# What of a request is read: no enum, since it is set three times with each of them.
NOTHING, HEAD, BODY = range(3)


class Gently:
    """What uvicorn's cycle has for a transport: it closes before a request is whole, which we do in peace."""

    def __init__(self, connection: "EndsInPeace") -> None:
        self._connection = connection
        self.is_closing = connection.transport.is_closing

    def write(self, answer: bytes) -> None:
        """Send bytes, unless the client is gone: of several cycles, uvicorn tells the newest alone."""
        if not self.is_closing():
            self._connection.transport.write(answer)

    def close(self) -> None:
        """Close, or let the client send the rest of its request first."""
        self._connection.close_gently()


class EndsInPeace(HttpToolsProtocol):
    """uvicorn's HTTP protocol, for those who read in it: they keep `fields`, `_reading` and `last_used`."""

    door: Door

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields: dict[bytes, bytes] = {}
        self._reading = NOTHING
        self._is_over = False
        self._thrown_away = 0
        self._last_answer: tuple[Answer, str] | None = None
        self._before: Any = None  # the cycle before the newest one
        self.last_used = self.loop.time()

    def is_idle(self) -> bool:
        """Return whether every request that was read is answered."""
        return self.cycle is None or self.cycle.response_complete

    def end_with(self, error: SlipwayError) -> None:
        """Refuse what comes on this connection, after the answers to what came before; then end it."""
        request_id = self.asked_id()
        self.end_with_answer(refusal(error, request_id), request_id)

    def end_with_answer(self, answer: Answer, request_id: str) -> None:
        """Send an answer to what cannot be read, after those to what came before it; then end the connection."""
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

    def asked_id(self) -> str:
        """Return the id of the request that is read."""
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

    def throw_away(self, size: int) -> None:
        """Count what comes after the end; who sends without end is cut."""
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
