"""The step serve: a request for a stage's model becomes an answer.

The engine holds what is serving and knows no network and no registry: doors hand it bodies, the worker puts versions
in place. A plain request to a quick model is answered at once, on the event loop; everything else goes off it. Two
seams are asked for every request: `choose` picks the variant that answers, `record` sees the exchange afterwards.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from slipway.registry.errors import InvalidInput, SlipwayError, Unavailable
from slipway.serving.engine.answer import Answer, model_failed, refusal
from slipway.serving.engine.metrics import Snapshot, Tally, put
from slipway.serving.protocols.mlflow.forms import (
    FORMS,
    BodyKind,
    Decoder,
    Form,
    Plain,
    encode,
    encode_unwrapped,
    is_json,
)
from slipway.serving.runtimes.runner import PREDICT, Runner
from slipway.serving.slow_lane.lane import Parsed
from slipway.serving.table import Table, joined, split
from slipway.serving.target import Target

log = logging.getLogger("slipway.serve")

INLINE_BYTES = 16_384
INLINE_ROW_S = 0.0005
PREDICTING_THREADS = 4


class SlowLane(Protocol):
    """MLflow's own parsing and schema enforcement, out of the way of plain requests."""

    async def parse(self, folder: Path, body: bytes, kind: BodyKind) -> Parsed:
        """Return what MLflow makes of a body; raises InvalidInput where MLflow refuses, Unavailable when full."""


@dataclass(slots=True, eq=False)
class Loaded:
    """A version that is open in this process: the step's LoadedModel.

    `since` is when it began to serve, `made_by` the header lines that its answers carry.
    """

    target: Target
    number: int
    digest: str
    folder: Path
    runner: Runner
    decoder: Decoder | None
    columns: tuple[str, ...]
    variant: str = "stable"
    since: datetime | None = None
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in FORMS})
    is_quick: bool = field(init=False)

    def __post_init__(self) -> None:
        """Tell whether a plain request may be answered on the event loop."""
        self.is_quick = self.decoder is not None and self.runner.report.one_row_s <= INLINE_ROW_S

    def labels(self) -> dict[str, str]:
        """Return the labels of its metrics."""
        target = self.target
        return {"model": target.model, "stage": target.stage, "version": str(self.number), "variant": self.variant}


@dataclass(slots=True, eq=False)
class Slot:
    """A target's place: what answers, what answered before and is kept warm, and what is wrong with the newest.

    `is_recorded` is false where an alias alone put it there; every answer says so then.
    """

    target: Target
    current: Loaded | None = None
    warm: Loaded | None = None
    problem: str | None = None
    is_recorded: bool = True
    swaps: int = 0
    made_by: bytes = b""


# These two are msgspec's, like Plain: there is one of each for each request.
class Request(Struct, frozen=True, gc=False):
    """A request for scoring, as a door hands it over; `started` is when its last byte was read (`perf_counter`)."""

    slot: Slot
    form: Form
    body: bytes
    content_type: bytes
    request_id: str
    started: float


class Asked(NamedTuple):
    """What a request asks: its rows, the call that predicts them, and how the predictions are written."""

    rows: Any
    predict: Callable[[], Any]
    encode: Callable[[Any], bytes]


class Exchange(Struct, frozen=True, gc=False):
    """What an observer sees of an answered request; `rows` is what the model was given."""

    request_id: str
    loaded: Loaded
    rows: Any
    predictions: Any
    seconds: float


def only_current(slot: Slot, request_id: str) -> Loaded | None:
    """Choose the version that is serving, whoever asks."""
    return slot.current


def record_nothing(exchange: Exchange) -> None:
    """Observe nothing."""


class Engine:
    """What is serving in this process, and how it answers."""

    def __init__(
        self,
        lane: SlowLane,
        *,
        choose: Callable[[Slot, str], Loaded | None] = only_current,
        record: Callable[[Exchange], None] = record_nothing,
        named: Collection[Target] = (),
    ) -> None:
        self._named = frozenset(named)
        self.slots: dict[Target, Slot] = {}
        self._lane = lane
        self._choose = choose
        self._record = record
        self._pool = ThreadPoolExecutor(PREDICTING_THREADS, thread_name_prefix="predict")
        self._retired: Snapshot = {}
        self._record_failures = 0

    def score_now(self, requests: Sequence[Request]) -> list[Answer | None]:
        """Answer plain requests to quick models; in the place of every other one is `None`, and `score` takes it.

        Those for one version are predicted together where it answers a row alike alone and among others.
        """
        answers: list[Answer | None] = [None] * len(requests)
        together: dict[Any, list[tuple[int, Request, Plain]]] = {}
        for place, request in enumerate(requests):
            loaded = self._choose(request.slot, request.request_id)
            plain = _plain_now(loaded, request) if loaded is not None else None
            if loaded is not None and plain is not None:
                alike = (*plain.table.others, plain.table.absent) if loaded.runner.report.is_rowwise else place
                together.setdefault((loaded, alike), []).append((place, request, plain))
        for (loaded, _), group in together.items():
            for (place, _, _), answer in zip(group, self._answers(loaded, group), strict=True):
                answers[place] = answer
        return answers

    def _answers(self, loaded: Loaded, group: Sequence[tuple[int, Request, Plain]]) -> list[Answer]:
        """Return the answers to plain requests for one version."""
        tables = [plain.table for _, _, plain in group]
        try:
            predictions = loaded.runner.predict(joined(tables), PREDICT, group[0][2].params)
            parts = split(predictions, tables)
            payloads = [encode(part) for part in parts]
        except Exception as error:  # the edge of somebody else's code: counted, logged, answered with 500
            if len(group) > 1:  # one of them is to blame; the others get their answers
                return [answer for each in group for answer in self._answers(loaded, [each])]
            request = group[0][1]
            if isinstance(error, SlipwayError):
                return [_refused(loaded, request, error)]
            return [self._failed(loaded, request)]
        now = perf_counter()
        return [
            self._answered(loaded, request, plain.table, part, payload, now)
            for (_, request, plain), part, payload in zip(group, parts, payloads, strict=True)
        ]

    async def score(self, request: Request) -> Answer:
        """Answer any request."""
        loaded = self._choose(request.slot, request.request_id)
        if loaded is None:
            return refusal(nothing_in_place(request.slot), request.request_id)
        try:
            asked = await self._understood(loaded, request)
            loop = asyncio.get_running_loop()
            predictions = await loop.run_in_executor(self._pool, asked.predict)
            payload = await loop.run_in_executor(self._pool, asked.encode, predictions)
        except SlipwayError as error:
            return _refused(loaded, request, error)
        except Exception:  # as above
            return self._failed(loaded, request)
        return self._answered(loaded, request, asked.rows, predictions, payload, perf_counter())

    async def _understood(self, loaded: Loaded, request: Request) -> Asked:
        """Return what a request asks of the model; raises InvalidInput where MLflow would refuse it."""
        form, body = request.form, request.body
        kind = form.kind(request.content_type)
        plain = await self._decoded(loaded, form, body) if is_json(request.content_type) else None
        runner = loaded.runner
        if plain is not None:
            require_method(loaded, plain.method)
            return Asked(plain.table, lambda: runner.predict(plain.table, plain.method, plain.params), encode)
        loaded.tallies[form.name].slow_lane += 1
        parsed = await self._lane.parse(loaded.folder, body, kind)
        require_method(loaded, parsed.method)
        return Asked(
            parsed.data,
            lambda: runner.predict_parsed(parsed.data, parsed.method, parsed.params),
            encode_unwrapped if parsed.is_unwrapped else encode,
        )

    async def _decoded(self, loaded: Loaded, form: Form, body: bytes) -> Plain | None:
        if loaded.decoder is None or len(body) <= INLINE_BYTES:
            return form.decode(loaded.decoder, body) if loaded.decoder else None
        return await asyncio.get_running_loop().run_in_executor(self._pool, form.decode, loaded.decoder, body)

    def _answered(
        self, loaded: Loaded, request: Request, rows: Any, predictions: Any, payload: bytes, now: float
    ) -> Answer:
        seconds = now - request.started
        n_rows = len(rows.numbers) if isinstance(rows, Table) else _length(predictions)
        loaded.tallies[request.form.name].answered(seconds, n_rows)
        try:
            self._record(Exchange(request.request_id, loaded, rows, predictions, seconds))
        except Exception:  # recording a prediction never fails it
            self._record_failures += 1
            log.exception("request %s was answered and could not be recorded", request.request_id)
        return Answer(200, payload, made_by(loaded, request.slot))

    def _failed(self, loaded: Loaded, request: Request) -> Answer:
        log.exception("%s/%s failed on request %s", loaded.target.model, loaded.number, request.request_id)
        loaded.tallies[request.form.name].refused("model-failed", perf_counter() - request.started)
        return model_failed(request.request_id, header_lines(loaded))

    def put_in_place(self, loaded: Loaded, *, is_recorded: bool = True) -> None:
        """Let a version answer from now on; requests that are under way end with the one that took them."""
        slot = self.slots.setdefault(loaded.target, Slot(loaded.target))
        slot.is_recorded = is_recorded
        slot.made_by = _lines_of(loaded, slot)
        if slot.current is loaded:
            return
        before, dropped = slot.current, slot.warm if slot.warm is not loaded else None
        loaded.since = datetime.now(UTC)
        slot.current, slot.warm = loaded, before
        slot.problem = None
        slot.swaps += 1
        if dropped is not None:
            self._retire(dropped)

    def say(self, slot: Slot, problem: str | None, *, is_recorded: bool) -> None:
        """Note what is wrong with a target, and whether a decision put its version there."""
        slot.problem, slot.is_recorded = problem, is_recorded
        if slot.current is not None:
            slot.made_by = _lines_of(slot.current, slot)

    def drop_warm(self, slot: Slot) -> None:
        """Give up the version that is kept for a quick way back."""
        if slot.warm is not None:
            self._retire(slot.warm)
            slot.warm = None

    def _retire(self, loaded: Loaded) -> None:
        """Keep a version's counts, and close it when the requests that it took are answered."""
        for name, tally in loaded.tallies.items():
            tally.into(self._retired, {**loaded.labels(), "protocol": name})
        self._pool.submit(loaded.runner.close)

    def is_ready(self) -> bool:
        """Return whether all that is to be waited for serves a version, and anything has.

        Where no target was named, whatever comes into the stage is one: of those, none that cannot be served
        keeps the others from being asked.
        """
        given_up = {target for target, slot in self.slots.items() if slot.problem is not None} - self._named
        in_place = {target for target, slot in self.slots.items() if slot.current is not None}
        return bool(in_place) and in_place | given_up == self.slots.keys()

    def snapshot(self) -> Snapshot:
        """Return the counts of this process."""
        found: Snapshot = {name: dict(series) for name, series in self._retired.items()}
        for slot in self.slots.values():
            stage = {"model": slot.target.model, "stage": slot.target.stage}
            put(found, "slipway_swaps", stage, slot.swaps)
            put(found, "slipway_target_problem", stage, int(slot.problem is not None))
            put(found, "slipway_target_unrecorded", stage, int(not slot.is_recorded))
            for loaded in filter(None, (slot.current, slot.warm)):
                for name, tally in loaded.tallies.items():
                    tally.into(found, {**loaded.labels(), "protocol": name})
            if slot.current is not None:
                kind = slot.current.runner.report.kind
                put(found, "slipway_version_in_place", {**slot.current.labels(), "runner": kind}, 1)
        put(found, "slipway_record_failures", {}, self._record_failures)
        put(found, "slipway_workers", {}, 1)
        return found

    def close(self) -> None:
        """Close every version."""
        for slot in self.slots.values():
            for loaded in filter(None, (slot.current, slot.warm)):
                loaded.runner.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _plain_now(loaded: Loaded, request: Request) -> Plain | None:
    """Return a request that may be answered on the event loop."""
    decoder, body = loaded.decoder, request.body
    if not loaded.is_quick or decoder is None or len(body) > INLINE_BYTES or not is_json(request.content_type):
        return None
    plain = request.form.decode(decoder, body)
    return plain if plain is not None and plain.method == PREDICT else None


def _refused(loaded: Loaded, request: Request, error: SlipwayError) -> Answer:
    loaded.tallies[request.form.name].refused(error.code, perf_counter() - request.started)
    return refusal(error, request.request_id, made_by(loaded, request.slot))


def header_lines(loaded: Loaded) -> bytes:
    """Return the header lines that say who made an answer."""
    target = loaded.target
    lines = {"x-slipway-model": target.model, "x-slipway-version": loaded.number, "x-slipway-variant": loaded.variant}
    return b"".join(f"{name}: {_for_a_header(str(value))}\r\n".encode() for name, value in lines.items())


def _for_a_header(text: str) -> str:
    """Return a text as a header may hold it: a model's name may have other letters, and end the line.

    >>> print(_for_a_header("größe\\r\\n"))
    gr\\xf6\\xdfe\\r\\n
    """
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)


def _lines_of(loaded: Loaded, slot: Slot) -> bytes:
    return header_lines(loaded) + (b"" if slot.is_recorded else b"x-slipway-recorded: no\r\n")


def made_by(loaded: Loaded, slot: Slot) -> bytes:
    """Return the header lines of a version, ready-made for the one that is serving."""
    return slot.made_by if loaded is slot.current else header_lines(loaded)


def nothing_in_place(slot: Slot) -> Unavailable:
    """Return what to say while a target has no version."""
    why = f": {slot.problem}" if slot.problem else ""
    return Unavailable(f"no version of {slot.target} is serving{why}", code="nothing-in-place", hint="slipway status")


def require_method(loaded: Loaded, method: str) -> None:
    """Refuse a method that the model does not have."""
    methods = loaded.runner.report.methods
    if method not in methods:
        raise InvalidInput(
            f"'{loaded.target.model}' has no method '{method}'; it has: {', '.join(methods)}",
            code="unknown-method",
            hint=None,
        )


def _length(predictions: Any) -> int:
    return len(predictions) if hasattr(predictions, "__len__") else 1
