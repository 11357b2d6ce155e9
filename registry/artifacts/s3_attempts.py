"""How long a transfer with S3 may take, and what its threads do about transient errors."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from slipway.registry.artifacts.s3_errors import Raised, meaning_of, translated
from slipway.registry.errors import Unavailable

THREADS = 8
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to connect, to wait for a byte on one connection, to go on while nothing succeeds, and in all."""

    connect_s: float = 5.0
    read_s: float = 15.0
    stalled_s: float = 30.0
    total_s: float = 3600.0


class GivenUp(Exception):
    """Another thread of the same transfer failed; its error is the one that is told."""


class Attempts:
    """One transfer, done by threads that share its patience: when one fails, the others stop."""

    def __init__(self, what: str, patience: Patience) -> None:
        self._what = what
        self._patience = patience
        self._started_s = self._progress_s = time.monotonic()
        self._stop = threading.Event()

    def progressed(self) -> None:
        """Note that bytes came; raise `Unavailable` where the transfer takes too long in all."""
        self._progress_s = time.monotonic()
        if self._stop.is_set():
            raise GivenUp
        if self._progress_s - self._started_s > self._patience.total_s:
            raise Unavailable(
                f"{self._what} was not done within {self._patience.total_s:.0f} s",
                code="s3-too-slow",
                hint="retry: a download goes on where it was; or look at the network between here and the store",
            )

    def until_done(self, call: Callable[[], ResultT]) -> ResultT:
        """Call until it succeeds and return its result.

        Raises
        ------
        SlipwayError
            What boto3 raised, translated: at once where it does not pass, else when nothing of the whole transfer has
            succeeded for as long as patience lasts.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                result = call()
            except Raised as error:
                self._require_hope(error)
                self._stop.wait(pause_s * random.uniform(0.5, 1))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self.progressed()
                return result

    def all_done(self, calls: list[Callable[[], ResultT]]) -> list[ResultT]:
        """Call all of them in threads and return their results; raise the first error after all have stopped."""
        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(call) for call in calls]
            try:
                done = wait(futures, return_when=FIRST_EXCEPTION).done
                failed = _first_error(done)
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
        if failed is not None:
            raise failed
        self._stop.clear()
        return [future.result() for future in futures]

    def _require_hope(self, error: BaseException) -> None:
        if self._stop.is_set():
            raise GivenUp from error
        stalled_s = time.monotonic() - self._progress_s
        if not meaning_of(error).passes or stalled_s > self._patience.stalled_s:
            raise translated(error, self._what) from error


def _first_error(done: "set[Future[ResultT]]") -> BaseException | None:
    errors = [error for future in done if (error := future.exception())]
    return next((error for error in errors if not isinstance(error, GivenUp)), None)
