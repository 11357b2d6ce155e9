"""How supervisor and workers talk: both ask and both answer, in lines of JSON over a pair of sockets."""

import asyncio
import itertools
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from slipway.registry.errors import SlipwayError, Unavailable

log = logging.getLogger("slipway.serve")
LINE_BYTES = 64 * 2**20
Answering = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Peer:
    """One end of the line. `answer` is called with what the other end asks: a word and its fields."""

    def __init__(self, answer: Answering) -> None:
        self._answer = answer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = asyncio.Event()
        self._writer: asyncio.StreamWriter

    async def talk(self, end: socket.socket) -> None:
        """Read and answer until the other end is gone."""
        reader, self._writer = await asyncio.open_connection(sock=end, limit=LINE_BYTES)
        self._is_open.set()
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        except ConnectionError as error:
            log.debug("the line broke: %s", error)
        finally:
            self._writer.close()
            gone = Unavailable("the other process is gone", code="process-gone", hint=None)
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(gone)

    async def ask(self, word: str, fields: dict[str, Any], *, within_s: float) -> Any:
        """Ask the other end, and return its answer.

        Raises
        ------
        Unavailable
            It refuses, is gone, or does not answer in time.
        """
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._is_open.wait()
                self._send({"ask": word, "number": number, "fields": fields})
                return await future
        except TimeoutError:
            raise Unavailable(f"no answer to '{word}' within {within_s:g} s", code="process-slow", hint=None) from None
        finally:
            del self._waiting[number]

    def _take(self, message: dict[str, Any]) -> None:
        if "ask" in message:
            task = asyncio.create_task(self._reply(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        future = self._waiting.get(message["number"])
        if future is None or future.done():
            return
        if "refused" in message:
            future.set_exception(Unavailable(message["refused"], code="process-refused", hint=None))
        else:
            future.set_result(message["answer"])

    async def _reply(self, message: dict[str, Any]) -> None:
        try:
            answer = {"answer": await self._answer(message["ask"], message["fields"])}
        except SlipwayError as error:
            answer = {"refused": error.message}
        except Exception as error:  # an edge: whatever goes wrong here is the asker's to hear
            log.exception("'%s' failed", message["ask"])
            answer = {"refused": f"{type(error).__name__}: {error}"}
        self._send({"number": message["number"], **answer})

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer.is_closing():
            raise Unavailable("the other process is gone", code="process-gone", hint=None)
        self._writer.write(json.dumps(message).encode() + b"\n")
