"""The door to the ledger on a server, to be read; `slipway.registry.decisions.http_decisions` has it written."""

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager

from slipway.registry.errors import InvalidInput
from slipway.registry.http_client import NO_API, SlipwayServer, understood
from slipway.registry.ledger.chain import Head, Record, parse_head
from slipway.registry.ledger.events import Event
from slipway.registry.settings import registry_uri


class HttpHistory:
    """The reading half of the `History`, each call asked anew; chain and state are worked out from the records here."""

    def __init__(self, server: SlipwayServer) -> None:
        self._server = server

    def is_there(self) -> bool:
        """Return whether the server has one: a plain tracking server knows nothing of it."""
        try:
            self._server.get("/ledger/models", prefix="-")
        except InvalidInput as error:
            if error.code != NO_API:
                raise
            return False
        return True

    def records(self, model_uid: str) -> tuple[Record, ...]:
        """Return all of a model's records in order."""
        return tuple(self.walk(model_uid))

    def walk(self, model_uid: str, *, after_seq: int = 0) -> Iterator[Record]:
        """Yield a model's records after a number, in order, a page of the server's at a time."""
        while page := self._records(model_uid, after_seq=after_seq):
            yield from page
            after_seq = page[-1].seq

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        """Return those that move a version, in order."""
        return self._records(model_uid, moves=True)

    def about(self, model_uid: str, version: int) -> tuple[Record, ...]:
        """Return those about one version, in order."""
        return self._records(model_uid, version=version)

    @understood()
    def head(self, model_uid: str) -> Head | None:
        """Return the end of a model's chain."""
        found = self._server.get("/ledger/head", model_uid=model_uid)["head"]
        return parse_head(found) if found else None

    def heads(self, model_uids: Collection[str]) -> dict[str, Head]:
        """Return the end of each model's chain; a model without one is left out."""
        found = {uid: self.head(uid) for uid in model_uids}
        return {uid: head for uid, head in found.items() if head is not None}

    @understood()
    def anchors(self, model_uid: str) -> tuple[Head, ...]:
        """Return the heads that are noted in the server's registry."""
        found = self._server.get("/ledger/anchors", model_uid=model_uid)["anchors"]
        return tuple(map(parse_head, found))

    @understood()
    def model_uids(self, *, prefix: str = "", model: str | None = None) -> tuple[str, ...]:
        """Return the identities that begin with a text and were once known by a name, in their order."""
        return tuple(self._server.get("/ledger/models", prefix=prefix, model=model)["model_uids"])

    @understood()
    def identity_of(self, model: str) -> str:
        """Return the identity that a name means by the registry of the server."""
        return str(self._server.get("/ledger/identity", model=model)["model_uid"])

    def name_of(self, model_uid: str) -> str | None:
        """Return the name by which a model was last known."""
        records = self.records(model_uid)
        return records[-1].model if records else None

    def applied(self, model_uid: str) -> int:
        """Return the last number: the server applies what was decided before it answers."""
        head = self.head(model_uid)
        return head.seq if head else 0

    def append(self, event: Event, *, after_seq: int) -> Record:
        """Refuse: the server decides."""
        raise _decided_there()

    def set_applied(self, model_uid: str, seq: int) -> None:
        """Refuse: the server applies."""
        raise _decided_there()

    def lock(self, model_uid: str) -> AbstractContextManager[None]:
        """Refuse: the server locks."""
        raise _decided_there()

    @understood()
    def _records(self, model_uid: str, **which: object) -> tuple[Record, ...]:
        found = self._server.get("/ledger/records", model_uid=model_uid, **which)["records"]
        return tuple(Record(**record) for record in found)


def open_to_read() -> HttpHistory:
    """Return the history at the server that the environment names."""
    return HttpHistory(SlipwayServer(registry_uri(os.environ), os.environ))


def _decided_there() -> InvalidInput:
    return InvalidInput("the history is on the server, and decisions are made there", code="decided-there", hint=None)
