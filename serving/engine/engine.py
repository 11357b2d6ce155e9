"""The step serve: a request for a stage's model becomes an outcome.

The engine holds what is serving, and knows no network, no protocol and no registry: transports hand it requests,
protocols say what those ask and write what is answered, the worker puts versions in place. A plain request to a quick
model is dealt with at once, on the event loop; everything else off it. Two seams are there for every request: `choose`
says which variant answers, once; `recorder` sees the exchange afterwards.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from time import perf_counter, time
from typing import Any, Protocol

from msgspec import Struct

from slipway.registry.errors import InvalidInput, SlipwayError, Unavailable
from slipway.serving.engine.exchange import INLINE, POOL, SLOW, Exchange, Recorder
from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.metrics import Snapshot, Tally, put
from slipway.serving.engine.outcome import ANSWERED, Failed, Outcome, Predicted, Refused, kind_of
from slipway.serving.engine.routing import Choice, Chooser, Placement, RoutingContext, stable_only
from slipway.serving.runtimes.runner import PREDICT
from slipway.serving.runtimes.understood import Understood
from slipway.serving.table import Table, joined, split
from slipway.serving.target import Target

log = logging.getLogger("slipway.serve")

INLINE_BYTES = 16_384
PREDICT_WITHIN_S = 60.0


class WireProtocol(Protocol):
    """How requests are written, and answers: what a transport hands over together with a body."""

    @property
    def name(self) -> str:
        """Return what metrics and exchanges call it."""

    def plain(self, loaded: Loaded, request: "Request") -> Understood | None:
        """Return what a plain request asks of a version; `None` where it takes more to tell. From any thread."""

    async def parsed(self, loaded: Loaded, request: "Request") -> Understood:
        """Return what any request asks; raises InvalidInput where MLflow would refuse it, Unavailable when busy."""

    def encode(self, understood: Understood, predictions: Any) -> bytes:
        """Return the answer to a request. From any thread."""


# Not a dataclass: msgspec makes this one in a tenth of the time, and there is one for each request.
class Request(Struct, frozen=True, gc=False):
    """A request for scoring, as a transport hands it over, with the choice that was made for it."""

    placement: Placement
    protocol: WireProtocol
    body: bytes
    content_type: bytes
    context: RoutingContext
    choice: Choice


# A plain request among others of its turn: its place there, and what it asks.
_Asked = tuple[int, Request, Understood]


class Engine:
    """What is serving in this process, and how it answers."""

    def __init__(
        self,
        *,
        choose: Chooser = stable_only,
        recorder: Recorder | None = None,
        named: Collection[Target] = (),
        predict_within_s: float = PREDICT_WITHIN_S,
    ) -> None:
        self._named = frozenset(named)
        self.placements: dict[Target, Placement] = {}
        self._choose = choose
        self._recorder = recorder
        self._predict_within_s = predict_within_s
        self._retired: Snapshot = {}
        self._choice_failures = 0
        self._was_ready = False

    def arrive(
        self, placement: Placement, protocol: WireProtocol, body: bytes, content_type: bytes, context: RoutingContext
    ) -> Request:
        """Return a request, with the one choice that is made for it."""
        return Request(placement, protocol, body, content_type, context, self._chosen(placement, context))

    def _chosen(self, placement: Placement, context: RoutingContext) -> Choice:
        """Return who answers; a chooser that fails leaves it to the stable version."""
        if self._choose is stable_only:
            return placement.of_stable
        try:
            choice: Any = self._choose(placement, context)
            if isinstance(choice, Choice):
                return choice
            log.error("request %s was to be answered by %r, which is no choice", context.request_id, choice)
        except BaseException:  # the edge of somebody else's rule: its fault is nobody's who asks
            log.exception("nobody was chosen for request %s; the stable version answers", context.request_id)
        self._choice_failures += 1
        return stable_only(placement, context)

    def score_now(self, requests: Sequence[Request]) -> list[Outcome | None]:
        """Deal with plain requests to quick models; in the place of every other one is `None`: `score` takes it.

        Those for one version are predicted together where it answers a row alike alone and among others.
        """
        outcomes: list[Outcome | None] = [None] * len(requests)
        together: dict[Any, list[_Asked]] = {}
        for place, request in enumerate(requests):
            loaded = request.choice.answering
            if loaded is None:
                continue
            understood = _plain_now(loaded, request)
            if understood is not None:
                together.setdefault(_alike(loaded, understood, place), []).append((place, request, understood))
        for group in together.values():
            for (place, _, _), outcome in zip(group, self._predicted(group), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _predicted(self, group: Sequence[_Asked]) -> list[Outcome]:
        """Return what becomes of plain requests for one version."""
        at = perf_counter()
        _, first, understood = group[0]
        loaded = first.choice.answering
        assert loaded is not None
        try:
            parts, payloads = _parts(loaded, group)
        except BaseException as error:  # the edge of somebody else's code: even `SystemExit` would end the worker
            if len(group) > 1:  # one of them is to blame; the others get their answers
                return [outcome for each in group for outcome in self._predicted([each])]
            return [self._erred(loaded, first, error, lane=INLINE, understood=understood, at=at)]
        now = perf_counter()
        outcomes: list[Outcome] = [Predicted(payload, loaded.made_by) for payload in payloads]
        for _, request, understood in group:
            tally = loaded.tallies[request.protocol.name]
            tally.answered(now - request.context.started, len(understood.rows.numbers))
        if self._recorder is not None:
            self._recorder.take(
                [
                    _exchange(request, outcome, INLINE, now, understood, predictions, at)
                    for (_, request, understood), outcome, predictions in zip(group, outcomes, parts, strict=True)
                ]
            )
        return outcomes

    async def score(self, request: Request) -> Outcome:
        """Deal with any request."""
        loaded = request.choice.answering
        if loaded is None:
            return self._unserved(request)
        with loaded.threads.held():
            return await self._scored(loaded, request)

    async def _scored(self, loaded: Loaded, request: Request) -> Outcome:
        lane, understood, at = POOL, None, request.context.started
        try:
            understood = await _plain(loaded, request)
            if understood is None:
                lane = SLOW
                loaded.tallies[request.protocol.name].slow_lane += 1
                understood = await request.protocol.parsed(loaded, request)
            for method in (understood.method, *understood.also):
                _require_method(loaded, method)
            at = perf_counter()
            call = partial(_answer, loaded, request, understood)
            predictions, payload = await loaded.threads.run(call, within_s=self._predict_within_s)
        except asyncio.CancelledError:  # a deadline that passed, or a client that went: it counts, and nobody is told
            gone = Unavailable("whoever asked did not wait for the answer", code="caller-gone", hint=None)
            self._erred(loaded, request, gone, lane=lane, understood=understood, at=at)
            raise
        except Exception as error:  # what a model raises came as ModelFaultError; else it is our own fault, a 500 too
            return self._erred(loaded, request, error, lane=lane, understood=understood, at=at)
        now = perf_counter()
        outcome = Predicted(payload, loaded.made_by)
        n_rows = _n_rows(understood, predictions)
        loaded.tallies[request.protocol.name].answered(now - request.context.started, n_rows)
        if self._recorder is not None:
            self._recorder.take([_exchange(request, outcome, lane, now, understood, predictions, at)])
        return outcome

    def _erred(
        self,
        loaded: Loaded,
        request: Request,
        error: BaseException,
        *,
        lane: str,
        understood: Understood | None,
        at: float,
    ) -> Outcome:
        """Count and record a request that is refused, or that the model failed on."""
        outcome: Outcome
        if isinstance(error, SlipwayError):
            outcome = Refused(error, loaded.made_by)
        else:
            outcome = Failed(loaded.made_by)
            name, request_id = f"{loaded.target.model}/{loaded.number}", request.context.request_id
            log.error("%s failed on request %s", name, request_id, exc_info=error)
        now = perf_counter()
        _, code = kind_of(outcome)
        loaded.tallies[request.protocol.name].refused(str(code), now - request.context.started)
        if self._recorder is not None:
            self._recorder.take([_exchange(request, outcome, lane, now, understood, None, at)])
        return outcome

    def _unserved(self, request: Request) -> Outcome:
        """Refuse a request while nothing serves its target."""
        outcome = Refused(nothing_in_place(request.placement))
        now = perf_counter()
        tally = request.placement.unserved.setdefault(request.protocol.name, Tally())
        tally.refused(outcome.error.code, now - request.context.started)
        if self._recorder is not None:
            self._recorder.take([_exchange(request, outcome, POOL, now, None, None, request.context.started)])
        return outcome

    def expect(self, target: Target) -> Placement:
        """Return a target's placement, made where it is new."""
        return self.placements.setdefault(target, Placement(target))

    def put_in_place(self, loaded: Loaded, *, is_recorded: bool = True) -> None:
        """Let a version answer from now on; requests that are under way end with the one that took them."""
        placement, variant = self.expect(loaded.target), loaded.variant
        loaded.say_recorded(is_recorded)
        before = placement.variants.get(variant)
        if before is loaded:
            return
        dropped = placement.warm.pop(variant, None)
        loaded.since = datetime.now(UTC)
        placement.put(loaded)
        if before is not None:
            placement.warm[variant] = before
        placement.swaps += 1
        if dropped is not None and dropped is not loaded:
            self._retire(dropped)

    def take_out(self, target: Target, variant: str) -> None:
        """Let a variant answer no more, and give up what is kept warm for it."""
        for loaded in self.placements[target].take_out(variant):
            self._retire(loaded)

    def forget(self, target: Target) -> None:
        """Give up a target that is followed no more."""
        placement = self.placements.pop(target, None)
        for loaded in placement.open_versions if placement else ():
            self._retire(loaded)

    def drop_warm(self, placement: Placement, variant: str) -> None:
        """Give up the version that is kept for a quick way back."""
        if (loaded := placement.warm.pop(variant, None)) is not None:
            self._retire(loaded)

    def _retire(self, loaded: Loaded) -> None:
        """Keep a version's counts, and close it when the requests that it took are answered."""
        for name, tally in loaded.tallies.items():
            tally.into(self._retired, {**loaded.labels(), "protocol": name})
        loaded.close()

    def is_ready(self) -> bool:
        """Return whether this process was ready once: what comes later is told for each model.

        It is ready when all that is to be waited for serves a version, and anything does. Where no target was named,
        whatever comes into the stage is one: of those, none that cannot be served keeps the others from being asked.
        """
        if not self._was_ready:
            given_up = {each.target for each in self.placements.values() if each.problem is not None} - self._named
            in_place = {each.target for each in self.placements.values() if each.stable is not None}
            self._was_ready = bool(in_place) and in_place | given_up == self.placements.keys()
        return self._was_ready

    def was_ready(self) -> None:
        """Note that what this process takes over from was ready."""
        self._was_ready = True

    def snapshot(self) -> Snapshot:
        """Return the counts of this process."""
        found: Snapshot = {name: dict(series) for name, series in self._retired.items()}
        for placement in self.placements.values():
            _count(placement, found)
        put(found, "slipway_choice_failures", {}, self._choice_failures)
        put(found, "slipway_record_failures", {}, self._recorder.n_failed if self._recorder else 0)
        put(found, "slipway_exchanges_dropped", {}, self._recorder.n_dropped if self._recorder else 0)
        put(found, "slipway_workers", {}, 1)
        return found

    def close(self) -> None:
        """Close every version, and record what waits."""
        for placement in self.placements.values():
            for loaded in placement.open_versions:
                loaded.close()
        if self._recorder is not None:
            self._recorder.close()


def _count(placement: Placement, found: Snapshot) -> None:
    stage = {"model": placement.target.model, "stage": placement.target.stage}
    unrecorded = any(not each.is_recorded for each in placement.variants.values())
    put(found, "slipway_swaps", stage, placement.swaps)
    put(found, "slipway_target_problem", stage, int(placement.problem is not None))
    put(found, "slipway_target_unrecorded", stage, int(unrecorded))
    for name, tally in placement.unserved.items():
        tally.into(found, {**stage, "version": "", "variant": "", "protocol": name})
    for loaded in placement.open_versions:
        for name, tally in loaded.tallies.items():
            tally.into(found, {**loaded.labels(), "protocol": name})
    for loaded in placement.variants.values():
        put(found, "slipway_version_in_place", {**loaded.labels(), "runner": loaded.runner.report.kind}, 1)


def _plain_now(loaded: Loaded, request: Request) -> Understood | None:
    """Return a request that may be answered on the event loop."""
    if not loaded.is_quick or len(request.body) > INLINE_BYTES:
        return None
    try:
        understood = request.protocol.plain(loaded, request)
    except Exception:  # it is dealt with alone, off the loop, where whatever is wrong is told
        return None
    return understood if understood is not None and understood.method == PREDICT else None


def _alike(loaded: Loaded, understood: Understood, place: int) -> Any:
    """Return what requests have in common that may be predicted together; one that may not has its place alone."""
    if not loaded.is_rowwise or understood.params:
        return place
    table = understood.rows
    return (loaded, *table.others, *table.absent) if table.others or table.absent else loaded


def _parts(loaded: Loaded, group: Sequence[_Asked]) -> tuple[list[Any], list[bytes]]:
    """Return the predictions and the answers of plain requests for one version."""
    tables = [understood.rows for _, _, understood in group]
    predictions = loaded.runner.predict(joined(tables), PREDICT, group[0][2].params)
    parts = split(predictions, tables)
    return parts, [
        request.protocol.encode(understood, part) for (_, request, understood), part in zip(group, parts, strict=True)
    ]


async def _plain(loaded: Loaded, request: Request) -> Understood | None:
    """Return a plain request of any size; a large one is read beside the event loop."""
    if len(request.body) <= INLINE_BYTES:
        return request.protocol.plain(loaded, request)
    return await asyncio.to_thread(request.protocol.plain, loaded, request)


def _answer(loaded: Loaded, request: Request, understood: Understood) -> tuple[Any, bytes]:
    """Return a version's predictions for a request, and its answer; in a thread."""
    rows, method, params = understood.rows, understood.method, understood.params
    ask = loaded.runner.predict if isinstance(rows, Table) else loaded.runner.predict_parsed
    predictions = ask(rows, method, params)
    if understood.also:
        predictions = {method: predictions, **{each: ask(rows, each, params) for each in understood.also}}
    return predictions, request.protocol.encode(understood, predictions)


def _exchange(
    request: Request,
    outcome: Outcome,
    lane: str,
    now: float,
    understood: Understood | None,
    predictions: Any,
    at: float,
) -> Exchange:
    """Return what an observer sees; `at` is when the request was understood, `now` when it was dealt with."""
    kind, code = kind_of(outcome)
    context, target, loaded = request.context, request.placement.target, request.choice.answering
    return Exchange(
        request_id=context.request_id,
        at=time(),
        model=target.model,
        stage=target.stage,
        version=loaded.number if loaded else None,
        variant=loaded.variant if loaded else None,
        protocol=request.protocol.name,
        lane=lane,
        outcome=kind,
        code=code,
        seconds=now - context.started,
        understand_s=at - context.started if understood else 0.0,
        predict_s=now - at if understood and kind == ANSWERED else 0.0,
        weight=request.choice.weight,
        key=context.key,
        caller=context.caller,
        method=understood.method if understood else None,
        n_rows=_n_rows(understood, predictions) if understood else 0,
        rows=understood.rows if understood else None,
        predictions=predictions,
    )


def nothing_in_place(placement: Placement) -> Unavailable:
    """Return what to say while a target has no version."""
    why = f": {placement.problem}" if placement.problem else ""
    if placement.preparing is not None and not why:
        why = f" yet: version {placement.preparing} is being prepared"
    return Unavailable(
        f"no version of {placement.target} is serving{why}", code="nothing-in-place", hint="slipway status"
    )


def _require_method(loaded: Loaded, method: str) -> None:
    """Refuse a method that the model does not have."""
    methods = loaded.runner.report.methods
    if method not in methods:
        raise InvalidInput(
            f"'{loaded.target.model}' has no method '{method}'; it has: {', '.join(methods)}",
            code="unknown-method",
            hint=None,
        )


def _n_rows(understood: Understood, predictions: Any) -> int:
    if isinstance(understood.rows, Table):
        return len(understood.rows.numbers)
    answer = predictions[understood.method] if understood.also and predictions is not None else predictions
    return len(answer) if hasattr(answer, "__len__") else 1
