"""The port to the ledger: where records are added and read."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from slipway.registry.ledger.chain import Head, Record
from slipway.registry.ledger.events import Event


class History(Protocol):
    """The ledger. Records are only ever added; what was added is there after a crash."""

    def append(self, event: Event, *, after_seq: int) -> Record:
        """Add an event as number `after_seq + 1` of its model.

        Raises Conflict, saying what is there, when that number is taken.
        """

    def records(self, model_uid: str) -> tuple[Record, ...]:
        """Return all of a model's records in order."""

    def walk(self, model_uid: str, *, after_seq: int = 0) -> Iterator[Record]:
        """Yield a model's records after a number, in order, without holding all of them."""

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        """Return those that move a version, in order: what `fold` needs."""

    def about(self, model_uid: str, version: int) -> tuple[Record, ...]:
        """Return those about one version, in order."""

    def head(self, model_uid: str) -> Head | None:
        """Return the end of a model's chain; `None` before the first record."""

    def anchors(self, model_uid: str) -> tuple[Head, ...]:
        """Return the heads that are noted beside the ledger, in the registry itself."""

    def model_uids(self, *, prefix: str = "", model: str | None = None) -> tuple[str, ...]:
        """Return the identities that begin with a text and were once known by a name, in their order."""

    def name_of(self, model_uid: str) -> str | None:
        """Return the name by which a model was last known; `None` before the first record."""

    def applied(self, model_uid: str) -> int:
        """Return the last number whose consequences are known to be applied; 0 before any."""

    def set_applied(self, model_uid: str, seq: int) -> None:
        """Note that everything up to a number is applied."""

    def lock(self, model_uid: str) -> AbstractContextManager[None]:
        """Hold a model alone; the lock is free again when its holder dies.

        Raises Unavailable when somebody else holds it for half a minute.
        """


def leads_to(head: Head, model_uid: str, history: History) -> bool:
    """Return whether a model's chain has a head that was noted: then it is this model's, whatever its name is."""
    record = next(history.walk(model_uid, after_seq=head.seq - 1), None)
    return record is not None and record.head == head
