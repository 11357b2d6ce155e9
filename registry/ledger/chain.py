"""The chain of a model's records: what is stored of an event, and whether all of it is as it was written."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from slipway.registry.errors import InvalidInput
from slipway.registry.ledger.events import Event, event_from_text, first_hash, next_hash
from slipway.registry.text import cleaned

HEAD_TAG = "slipway.head"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """An event as it is stored: its place in the model's chain, its exact text and its hash.

    `model`, `kind` and `version` are stored beside the text, so that events can be selected; they say the same.
    """

    seq: int
    text: str
    hash: str
    model: str
    kind: str
    version: int

    @property
    def event(self) -> Event:
        """Return what the text says."""
        return event_from_text(self.text)

    @property
    def head(self) -> "Head":
        """Return the end of the chain that ends here."""
        return Head(seq=self.seq, hash=self.hash)


def record_of(event: Event, *, seq: int, before: str) -> Record:
    """Return an event as number `seq`, after the hash of the one before."""
    text = event.to_text()
    return Record(
        seq=seq,
        text=text,
        hash=next_hash(before, text),
        model=event.model,
        kind=str(event.kind),
        version=event.version,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The end of a model's chain: with it, a cut tail is seen."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


NO_HEAD = Head(seq=0, hash="0" * 64)
"""What stands for a head that was noted and is not one any more: no chain leads to it."""


def parse_head(text: str) -> Head:
    """Return a head that was noted as `SEQ:HASH`.

    Raises
    ------
    InvalidInput
        The text is no head.
    """
    seq, _, digest = text.partition(":")
    if not re.fullmatch("[0-9]{1,18}", seq) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidInput(
            f"'{cleaned(text, 100)}' is no head; write SEQ:HASH as history prints it", code="not-a-head", hint=None
        )
    return Head(seq=int(seq), hash=digest)


def until(records: Sequence[Record], moment: datetime) -> list[Record]:
    """Return the records up to the last one that was written at or before a moment.

    By the sequence numbers: what was decided before it counts, whatever its clock said.
    """
    last = max((i for i, record in enumerate(records) if record.event.at <= moment), default=-1)
    return list(records[: last + 1])


def verify(model_uid: str, records: Iterable[Record], anchors: Collection[Head] = ()) -> tuple[str, ...]:
    """Return one line for each thing that is not as it was written; nothing when all is well.

    A changed text, a removed, repeated or reordered record breaks the chain; a cut tail or a chain written anew
    does not lead to a head that was noted elsewhere (`anchors`). The records are gone through once.
    """
    defects: list[str] = []
    noted = {anchor.seq for anchor in anchors}
    hashes: dict[int, str] = {}
    before = first_hash(model_uid)
    for place, record in enumerate(records, start=1):
        if record.seq != place:
            defects.append(f"event {place}: stored with number {record.seq}; an event was removed, repeated or moved")
        if record.hash != next_hash(before, record.text):
            defects.append(f"event {record.seq}: its text or the event before it was changed")
        elif not _columns_agree(record):
            defects.append(f"event {record.seq}: its model, kind or version is stored as another than its text says")
        before = record.hash
        if record.seq in noted:
            hashes[record.seq] = record.hash
    for anchor in anchors:
        if anchor == NO_HEAD:
            defects.append("the head that was noted in the registry was written over; the next decision notes it anew")
        elif hashes.get(anchor.seq) != anchor.hash:
            found = "is another one" if anchor.seq in hashes else "is missing: the end was cut off"
            defects.append(f"event {anchor.seq}: noted elsewhere as {anchor.hash[:12]}…, and {found}")
    return tuple(defects)


def _columns_agree(record: Record) -> bool:
    event = record.event
    return (event.model, event.kind, event.version) == (record.model, record.kind, record.version)
