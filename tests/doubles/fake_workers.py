"""Workers that are no processes: each has what it was told, and opens, refuses, waits or dies as a test says."""

import asyncio
from collections.abc import Callable
from typing import Any

from slipway.registry.errors import Unavailable


class FakeWorker:
    """A worker as the supervisor sees it.

    `when_opening` is called with a version's number before that is opened: it may raise, wait, or let the worker die.
    `deaf` are words that never reach it.
    """

    pid = 4711

    def __init__(self, when_opening: Callable[["FakeWorker", int], Any] = lambda worker, number: None) -> None:
        self.is_accepting = False
        self.is_alive = True
        self.counts: dict[str, Any] = {}
        self.heard_at = 0.0
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.when_opening = when_opening
        self.deaf: set[str] = set()
        self.is_ready = False
        self._opened: dict[tuple, tuple] = {}
        self._serves: dict[tuple, tuple] = {}
        self._notes: dict[tuple, tuple] = {}

    @property
    def serves(self) -> dict[str, int]:
        """Return which version serves as what, by the variant's name where it is not the stable one."""
        return {
            f"{model}:{name}".removesuffix(":stable"): key[1] for (model, _, name), (key, _) in self._serves.items()
        }

    def die(self) -> None:
        """End, as a process does."""
        self.is_alive = self.is_accepting = False

    kill = die

    async def ask(self, word: str, fields: dict[str, Any], *, within_s: float) -> Any:
        """Do as a worker does."""
        self.told.append((word, fields))
        if word in self.deaf:
            raise Unavailable("no answer", code="process-slow", hint=None)
        self._require_alive()
        answer = getattr(self, f"_{word}")(**fields)
        found = await answer if asyncio.iscoroutine(answer) else answer
        self._require_alive()
        return found

    def _require_alive(self) -> None:
        if not self.is_alive:
            raise Unavailable("the other process is gone", code="process-gone", hint=None)

    def _targets(self, targets: list[list[str]]) -> None:
        known = {tuple(target) for target in targets}
        self._notes = {target: self._notes.get(target, (None, None)) for target in known}
        self._serves = {case: one for case, one in self._serves.items() if case[:2] in known}

    async def _open(self, target: list[str], variant: str, prepared: dict[str, Any]) -> None:
        key = (prepared["digest"], prepared["number"])
        waiting = self.when_opening(self, prepared["number"])
        if asyncio.iscoroutine(waiting):
            await waiting
        self._opened[*target, variant, key] = key

    def _put(self, target: list[str], variant: str, key: tuple[str, int], is_recorded: bool) -> None:
        if (*target, variant, tuple(key)) not in self._opened:
            raise Unavailable("that version was not opened here", code="process-refused", hint=None)
        self._serves[*target, variant] = tuple(key), is_recorded

    def _take_out(self, target: list[str], variant: str) -> None:
        self._serves.pop((*target, variant), None)

    def _note(self, target: list[str], problem: str | None, preparing: int | None) -> None:
        self._notes[tuple(target)] = problem, preparing

    def _accept(self, was_ready: bool) -> None:
        self.is_ready = was_ready

    def _state(self) -> dict[str, Any]:
        return {
            "variants": [
                [list(case[:2]), case[2], key[0], key[1], recorded] for case, (key, recorded) in self._serves.items()
            ],
            "notes": [[list(target), *note] for target, note in self._notes.items()],
            "ready": self.is_ready,
            "counts": {},
        }


class FakePool:
    """Workers that all accept connections, unless a test says otherwise."""

    def __init__(self, *workers: FakeWorker) -> None:
        self.workers = list(workers)
        for worker in workers:
            worker.is_accepting = True

    @property
    def accepting(self) -> list[FakeWorker]:
        """Return those that take requests."""
        return [worker for worker in self.workers if worker.is_accepting and worker.is_alive]
