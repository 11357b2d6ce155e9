"""Where somebody else's code runs: the threads of one version, bounded, so that what hangs in them stops no other."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from slipway.registry.errors import SlipwayError, Unavailable
from slipway.registry.text import counted

log = logging.getLogger("slipway.serve")

PREDICTING_THREADS = 4
MOST_WAITING = 256
T = TypeVar("T")


class ModelFaultError(Exception):
    """The model raised; its cause is what it raised."""


def guarded(call: Callable[[], T]) -> T:
    """Return what a call into a model's code returns.

    Raises
    ------
    SlipwayError
        The request is refused.
    ModelFaultError
        The model raised anything else: `SystemExit` would end this process, and a `StopIteration` that goes through a
        future never reaches who waits for it.
    """
    try:
        return call()
    except SlipwayError:
        raise
    except BaseException as error:  # the edge of somebody else's code
        raise ModelFaultError(f"{type(error).__name__}: {error}") from error


class _Call:
    """A call into a model: when a thread took it (`monotonic`, s), and whether it is over.

    It is done with its result, or as soon as its caller gives up.
    """

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._call, self._loop = call, loop
        self.done: asyncio.Future[Any] = loop.create_future()
        self.taken_at: float | None = None
        self.is_over = False

    def run(self) -> None:
        """Make the call, in a thread, unless nobody waits for it any more."""
        if self.done.done():
            return
        self.taken_at = time.monotonic()
        result: Any = None
        error: Exception | None = None
        try:
            result = guarded(self._call)
        except (SlipwayError, ModelFaultError) as raised:
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:
            log.debug("an answer came after the worker had stopped")

    def _settle(self, result: Any, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class ModelThreads:
    """Threads that make calls into one version; to be used from one event loop.

    A call that takes too long is answered for, and its thread is lost to the version until it ends: `break_off` is
    asked to end it, which is possible where the model has a process of its own. While all threads are lost, or too many
    calls wait, new ones are refused.
    """

    def __init__(
        self,
        name: str,
        *,
        count: int = PREDICTING_THREADS,
        most_waiting: int = MOST_WAITING,
        break_off: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._count, self._most_waiting, self._break_off = name, count, most_waiting, break_off
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=f"predict {name}")
        self._n_waiting = 0
        self._n_users = 0
        self._then: Callable[[], None] | None = None
        self._overdue: set[_Call] = set()
        self._lock = threading.Lock()

    @property
    def are_stuck(self) -> bool:
        """Return whether every thread is lost to a call that takes too long."""
        return len(self._overdue) >= self._count

    async def run(self, call: Callable[[], Any], *, within_s: float) -> Any:
        """Make a call in a thread, and return its result.

        Raises
        ------
        SlipwayError
            The request is refused; `Unavailable` where the version is busy, or does not answer in time.
        ModelFaultError
            The model raised.
        """
        if self.are_stuck or self._n_waiting >= self._most_waiting:
            raise self._busy()
        loop = asyncio.get_running_loop()
        made = _Call(call, loop)
        timer = loop.call_later(within_s, self._check, made, within_s)
        self._n_waiting += 1
        try:
            self._pool.submit(self._run, made)
            return await made.done
        finally:
            self._n_waiting -= 1
            timer.cancel()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the version open for a request that it has taken, from its choice to its answer."""
        self._n_users += 1
        try:
            yield
        finally:
            self._n_users -= 1
            self._end_if_free()

    def close(self, then: Callable[[], None]) -> None:
        """Do something as soon as every request that was taken has its answer; none is taken after that."""
        self._then = then
        if self._overdue:
            self._break_off()
        self._end_if_free()

    def _end_if_free(self) -> None:
        if self._then is None or self._n_users:
            return
        self._pool.submit(self._then)
        self._pool.shutdown(wait=False)
        self._then = None

    def _run(self, made: _Call) -> None:
        made.run()
        with self._lock:
            made.is_over = True
            self._overdue.discard(made)

    def _check(self, made: _Call, within_s: float) -> None:
        """Give up a call whose time is over; one that had to wait for its turn has its time from then on."""
        if made.done.done():
            return
        if made.taken_at is None:
            made.done.set_exception(self._busy())
            return
        left_s = made.taken_at + within_s - time.monotonic()
        if left_s > 0:
            asyncio.get_running_loop().call_later(left_s, self._check, made, within_s)
            return
        with self._lock:
            if made.is_over:  # its result is on its way
                return
            self._overdue.add(made)
        log.error("%s does not answer within %g s", self._name, within_s)
        made.done.set_exception(
            Unavailable(
                f"the model did not answer within {within_s:g} s",
                code="prediction-timeout",
                hint="ask with fewer rows, or give it more time: serving: {predict_within_s: …}",
            )
        )
        self._break_off()

    def _busy(self) -> Unavailable:
        why = (
            "does not answer earlier requests"
            if self.are_stuck
            else f"has {counted(self._n_waiting, 'request')} waiting"
        )
        return Unavailable(f"the model {why}", code="model-busy", hint="send the request again later")
