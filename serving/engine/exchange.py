"""What an observer sees of a request, and how it is handed over: never in the way of an answer."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

log = logging.getLogger("slipway.serve")

INLINE, POOL, SLOW = "inline", "pool", "slow"
MOST_EXCHANGES = 10_000
MOST_ROWS = 200_000
CLOSE_WITHIN_S = 5.0


# Not a dataclass: msgspec makes this one in a tenth of the time, and there is one for each request.
class Exchange(Struct, frozen=True, gc=False):
    """A request and what became of it: answered, refused or failed alike.

    `at` is when it had been dealt with, in s since 1970. `version` and `variant` are `None` where nothing served.
    `lane` is `inline` (on the event loop), `pool` (in a thread) or `slow` (parsed by MLflow). `code` is that of the
    error. `understand_s` and `predict_s` (with writing the answer; both 0 where it did not come to that) are parts of
    `seconds`; requests that are predicted together share theirs. `weight` is the probability of the choice. `rows` is
    what the model was given, and `predictions` what it answered, `None` where there are none.
    """

    request_id: str
    at: float
    model: str
    stage: str
    version: int | None
    variant: str | None
    protocol: str
    lane: str
    outcome: str
    code: str | None
    seconds: float
    understand_s: float
    predict_s: float
    weight: float
    key: str | None
    caller: str | None
    method: str | None
    n_rows: int
    rows: Any
    predictions: Any


class Recorder:
    """A bounded queue of exchanges in front of whatever records them, in a thread of its own.

    What comes while the queue is full is dropped, and counted exactly: an observer that blocks, or fails, costs no
    request its answer. `record` is given all that has gathered, in order.
    """

    def __init__(
        self,
        record: Callable[[Sequence[Exchange]], object],
        *,
        most_exchanges: int = MOST_EXCHANGES,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._record = record
        self._most_exchanges, self._most_rows = most_exchanges, most_rows
        self._waiting: deque[Exchange] = deque()
        self._n_rows = 0
        self._has_some = threading.Condition()
        self._is_closed = False
        self.n_dropped = 0
        self.n_failed = 0
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def take(self, group: Sequence[Exchange]) -> None:
        """Hand over what was dealt with together; returns at once."""
        with self._has_some:
            for exchange in group:
                if self._is_full_for(exchange):
                    self.n_dropped += 1
                    continue
                self._waiting.append(exchange)
                self._n_rows += exchange.n_rows
            self._has_some.notify()

    def _is_full_for(self, exchange: Exchange) -> bool:
        too_many = len(self._waiting) >= self._most_exchanges
        return too_many or bool(self._waiting and self._n_rows + exchange.n_rows > self._most_rows)

    def close(self) -> None:
        """Record what waits, as far as that is done within some seconds."""
        with self._has_some:
            self._is_closed = True
            self._has_some.notify()
        self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        while group := self._next():
            try:
                self._record(group)
            except Exception:  # recording a prediction never fails it
                self.n_failed += len(group)
                log.exception("%d exchanges could not be recorded", len(group))

    def _next(self) -> list[Exchange]:
        """Return all that waits as soon as there is some; nothing when it is closed."""
        with self._has_some:
            while not self._waiting and not self._is_closed:
                self._has_some.wait()
            group, self._waiting, self._n_rows = list(self._waiting), deque(), 0
            return group
