"""The routes of Slipway's API: what the command line does, on the ledger that a server keeps, for the user it knows.

Decisions are those of `slipway.registry.decisions.ledger_decisions`; here is who may ask for them, and on what verdicts
they rest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Query, Request
from pydantic import ValidationError

from slipway.registry.decisions.carry_out import settled
from slipway.registry.decisions.decisions import Noted, Receipt
from slipway.registry.decisions.ledger_decisions import LedgerDecisions
from slipway.registry.decisions.package import ImageMade
from slipway.registry.decisions.recorded_grounds import Judge, acceptable
from slipway.registry.decisions.who import Who, say_why
from slipway.registry.engines.heartbeats import Claims, Heartbeat, Heartbeats, heartbeat_from
from slipway.registry.engines.named_beats import named_now
from slipway.registry.errors import InvalidInput, NotApproved, NotFound
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import verdict_from
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.history_shown import parse_time, shown_at, shown_events, verified
from slipway.registry.ledger.identity import name_now, uid_named
from slipway.registry.ledger.ledger import Ledger, whatever_the_policy
from slipway.registry.manifest import Manifest
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.policy.roles import May, Role, require_role
from slipway.registry.server.app_bodies import (
    MANIFEST,
    AdoptionBody,
    ApprovalBody,
    ArchivalBody,
    BeatsBody,
    Body,
    DemotionBody,
    EventNumber,
    Given,
    LeaveBody,
    Name,
    NumberInQuery,
    PackagingBody,
    Prefix,
    PromotionBody,
    RegistrationBody,
    RollbackBody,
    Uid,
    VerdictBody,
)
from slipway.registry.stages import find_stage
from slipway.registry.version import VersionRef, parse_ref


class Access(Protocol):
    """Whom the server knows, and what MLflow lets them do."""

    def user(self, request: Request) -> str | None:
        """Return who asks, `None` on a server that knows no users.

        Raises NotApproved with the code `not-authenticated` for somebody it should know and does not.
        """

    def may(self, user: str | None, model: str, *, edit: bool) -> bool:
        """Return whether somebody may see a model, or edit it."""

    def administers(self, user: str) -> bool:
        """Return whether somebody is an administrator."""

    def refuses_origin(self, request: Request) -> bool:
        """Return whether a page of another site is behind a request that changes something."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeper:
    """What the API is built on. `ledger` makes one for each request; `workspace` is the one that a request is about.

    `judge` makes the check artifact on a folder of files.
    """

    ledger: Callable[[], Ledger]
    heartbeats: Callable[[], Heartbeats]
    claims: Callable[[], Claims]
    workspace: Callable[[], str]
    access: Access
    judge: Judge
    now: Callable[[], datetime]


PAGE_ROWS = 1000

AnswerT = TypeVar("AnswerT", Receipt, Noted)


class Api:
    """The routes, on what keeps the ledger."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def status(self, request: Request) -> dict[str, Any]:
        """Tell what is in every stage, since when and by whom, who serves it, and what was moved behind the history."""
        user = self._keeper.access.user(request)
        found = self._decisions(self._keeper.ledger(), user, None).status_of_models(lambda name: self._sees(user, name))
        return found.to_document()

    def beats(self, request: Request) -> dict[str, Any]:
        """Give the last word of every engine on the models that can be seen."""
        user = self._keeper.access.user(request)
        said = named_now(self._keeper.heartbeats().all(), self._keeper.ledger())
        return {"beats": [each.to_document() for each in said if self._sees(user, each.model)]}

    def beat(self, request: Request, body: BeatsBody) -> dict[str, Any]:
        """Write an engine's word over its earlier one: that on models and stages whose engine it may be.

        The others are named with why; where it may be no engine of any, all is refused.
        """
        user = self._keeper.access.user(request)
        said = [replace(heartbeat_from(each.model_dump()), at=self._keeper.now()) for each in body.beats]
        refused = self._refused(user, said)
        taken = [each for each in said if (each.model, each.stage) not in refused]
        if not taken:
            raise next(iter(refused.values()))
        if user is not None:
            for engine in {each.engine for each in taken}:
                self._require_claim(engine, user, self._keeper.claims().claim(engine, user))
        self._keeper.heartbeats().beat(taken)
        told = [{"model": model, "stage": stage, **error.to_document()} for (model, stage), error in refused.items()]
        return {"written": len(taken), "refused": told}

    def leave(self, request: Request, body: LeaveBody) -> dict[str, str]:
        """Take an engine's rows away: it stops."""
        user = self._keeper.access.user(request)
        if user is not None:
            owner = self._keeper.claims().owner(body.engine)
            if owner is None:
                self._require_engine(user, [b for b in self._keeper.heartbeats().all() if b.engine == body.engine])
            self._require_claim(body.engine, user, owner or user)
        self._keeper.heartbeats().leave(body.engine)
        self._keeper.claims().release(body.engine)
        return {"left": body.engine}

    def history(
        self,
        request: Request,
        model: Name,
        at: Annotated[
            Given | None, Query(description="What was in each stage then: 2026-11-01 or 2026-11-01T12:00.")
        ] = None,
        verify: Annotated[bool, Query(description="Check every event against the chain.")] = False,
        head: Annotated[Given | None, Query(description="With verify: a head SEQ:HASH that was noted earlier.")] = None,
    ) -> dict[str, Any]:
        """Tell who decided what, when and why."""
        ledger = self._keeper.ledger()
        history, uid = ledger.history, self._uid_seen(request, model, ledger)
        if verify:
            return verified(model, uid, history, head)
        if at:
            return shown_at(model, history.records(uid), parse_time(at))
        return shown_events(model, history.records(uid))

    def policy(self, request: Request) -> dict[str, Any]:
        """Give the policies under which this server decides, as they are written."""
        self._keeper.access.user(request)
        book = self._keeper.ledger().policies()
        return {"source": book.source, "policy": book.document}

    def policy_of(self, request: Request, model: Name) -> dict[str, Any]:
        """Give the effective policy of a model: defaults and its own settings as one."""
        self._require_seen(request, model)
        book = self._keeper.ledger().policies()
        found = book.of(model)
        stages = found.model_dump(mode="json", exclude_none=True)["stages"]
        return {"model": model, "source": book.source, "digest": found.digest, "stages": stages}

    def settle(self, request: Request, model: Name, body: Body) -> dict[str, int]:
        """Finish what was decided about a model and not applied, because somebody died in between."""
        self._require_seen(request, model)
        return {"applied": settled(model, self._keeper.ledger()).seq}

    def model_uids(self, request: Request, prefix: Prefix = "", model: Name | None = None) -> dict[str, list[str]]:
        """List the identities of models that have a history and can be seen, as `slipway` needs them."""
        user = self._keeper.access.user(request)
        here = f"{self._keeper.workspace()}/"
        ledger = self._keeper.ledger()
        known = ledger.history.model_uids(prefix=prefix or here, model=model)
        mine = [uid for uid in known if uid.startswith(here)]
        return {"model_uids": [uid for uid in mine if self._sees(user, _name_of(uid, ledger))]}

    def identity(self, request: Request, model: Name) -> dict[str, str]:
        """Give the identity that a name means: that of the model that has it now, else of the last one known by it."""
        return {"model_uid": self._uid_seen(request, model, self._keeper.ledger())}

    def head(self, request: Request, model_uid: Uid) -> dict[str, str | None]:
        """Give the end of a model's chain."""
        ledger = self._keeper.ledger()
        self._require_seen_uid(request, model_uid, ledger)
        found = ledger.history.head(model_uid)
        return {"head": str(found) if found else None}

    def some_records(
        self,
        request: Request,
        model_uid: Uid,
        after_seq: EventNumber = 0,
        limit: int = Query(PAGE_ROWS, ge=1, le=PAGE_ROWS),
        version: NumberInQuery | None = None,
        moves: bool = False,
    ) -> dict[str, Any]:
        """Give records of a model as they are stored: a page of all, those about a version, or those that moved one."""
        ledger = self._keeper.ledger()
        self._require_seen_uid(request, model_uid, ledger)
        history = ledger.history
        if version is not None:
            found: Iterable[Record] = history.about(model_uid, version)
        elif moves:
            found = history.moves(model_uid)
        else:
            found = islice(history.walk(model_uid, after_seq=after_seq), limit)
        return {"records": [asdict(record) for record in found]}

    def anchors(self, request: Request, model_uid: Uid) -> dict[str, list[str]]:
        """Give the heads of a model's chain that are noted in the registry."""
        ledger = self._keeper.ledger()
        self._require_seen_uid(request, model_uid, ledger)
        return {"anchors": list(map(str, ledger.history.anchors(model_uid)))}

    def record(self, request: Request, body: VerdictBody) -> Noted:
        """Record a verdict: who is asking vouches for what was measured."""
        verdict = verdict_from(body.model_dump(exclude={"actor", "policy_digest", "outcome"}))
        decisions = self._deciding(request, body, verdict.model)
        ref = VersionRef(model=verdict.model, number=verdict.version)
        version = decisions.ledger.registry.version(ref)
        situation = settled(verdict.model, decisions.ledger)
        known = replace(verdict, stage=find_stage(verdict.stage, situation.policy.names))
        now, judge = self._keeper.now(), self._keeper.judge
        taken = acceptable(known, version, situation, decisions.ledger, judge=judge, now=now)
        return self._with_notes(body, verdict.model, decisions, decisions.record(taken, version))

    def approve(self, request: Request, body: ApprovalBody) -> Noted:
        """Approve a version for a stage, as it is and under the policy as it is."""
        ref = parse_ref(body.version)
        decisions = self._deciding(request, body, ref.model)
        return self._with_notes(body, ref.model, decisions, decisions.approve(ref, body.stage, body.reason))

    def register(self, request: Request, body: RegistrationBody) -> Noted:
        """Record a version with its files: those of the manifest, else as they are stored now."""
        ref = parse_ref(body.version)
        manifest = _manifest(body.manifest) if body.manifest else None
        decisions = self._deciding(request, body, ref.model)
        return self._with_notes(body, ref.model, decisions, decisions.register(ref, body.reason, manifest))

    def package(self, request: Request, body: PackagingBody) -> Noted:
        """Record an image of a version, as whoever made it has it."""
        ref, made = parse_ref(body.version), ImageMade(**body.image.model_dump())
        decisions = self._deciding(request, body, ref.model)
        return self._with_notes(body, ref.model, decisions, decisions.package(ref, made, body.override))

    def promote(self, request: Request, body: PromotionBody) -> Receipt:
        """Move a version into a stage, if a recorded verdict lets it."""
        ref = parse_ref(body.version)
        decisions = self._deciding(request, body, ref.model)
        stage = find_stage(body.stage, _book(decisions.ledger).of(ref.model).names)
        if body.dry_run and body.verdict is not None:
            done = self._as_if_recorded(body, body.verdict, ref, stage, decisions)
        else:
            done = decisions.promote_recorded(
                ref, stage, body.reason, seq=body.verdict_seq, override=body.override, dry_run=body.dry_run
            )
        return self._with_notes(body, ref.model, decisions, done)

    def rollback(self, request: Request, body: RollbackBody) -> Receipt:
        """Put back the version that was in a stage before."""
        decisions = self._deciding(request, body, body.model)
        done = decisions.rollback(
            body.model,
            body.reason,
            stage=body.stage,
            from_version=body.from_version,
            to_version=body.to_version,
            skip_damaged=body.skip_damaged,
            dry_run=body.dry_run,
        )
        return self._with_notes(body, body.model, decisions, done)

    def adopt(self, request: Request, body: AdoptionBody) -> Receipt:
        """Take over the version that has a stage's alias already."""
        ref = parse_ref(body.version)
        decisions = self._deciding(request, body, ref.model)
        done = decisions.adopt(ref, body.reason, dry_run=body.dry_run)
        return self._with_notes(body, ref.model, decisions, done)

    def demote(self, request: Request, body: DemotionBody) -> Receipt:
        """Take a version out of its stage, into a lower one or into none."""
        ref = parse_ref(body.version)
        decisions = self._deciding(request, body, ref.model)
        done = decisions.demote(ref, body.reason, to=body.to, dry_run=body.dry_run)
        return self._with_notes(body, ref.model, decisions, done)

    def archive(self, request: Request, body: ArchivalBody) -> Receipt:
        """Rule that nothing goes back to a version."""
        ref = parse_ref(body.version)
        decisions = self._deciding(request, body, ref.model)
        done = decisions.archive(ref, body.reason, dry_run=body.dry_run)
        return self._with_notes(body, ref.model, decisions, done)

    def _deciding(self, request: Request, body: Body, model: str) -> LedgerDecisions:
        """Return the decisions for who asks; whoever may not see the model is not told of it."""
        user = self._keeper.access.user(request)
        self._require_sight(user, model)
        return self._decisions(self._keeper.ledger(), user, body.actor)

    def _decisions(self, ledger: Ledger, user: str | None, named: str | None) -> LedgerDecisions:
        """Return the decisions for a user, or on a server that knows none for whoever was named."""
        actor = user or named or "nobody named"
        may = self._may(ledger, user, actor)

        def who(reason: str) -> Who:
            return say_why(actor, authenticated=user is not None, at=self._keeper.now(), reason=reason)

        return LedgerDecisions(
            ledger=ledger, who=who, may=may, beats=lambda: self._keeper.heartbeats().all(), now=self._keeper.now
        )

    def _may(self, ledger: Ledger, user: str | None, actor: str) -> May:
        def may(role: Role, name: str, stage: str) -> None:
            policy, can_edit = _book(ledger).of(name), self._keeper.access.may(user, name, edit=True)
            require_role(role, policy, model=name, stage=stage, actor=actor, may_edit=can_edit)

        return may

    def _as_if_recorded(
        self, body: PromotionBody, given: VerdictBody, ref: VersionRef, stage: str, decisions: LedgerDecisions
    ) -> Receipt:
        """Show what a verdict would lead to that nobody recorded."""
        version, by = decisions.ledger.registry.version(ref), decisions.who(body.reason).actor
        verdict = verdict_from(given.model_dump(exclude={"actor", "policy_digest", "outcome"}))
        grounds = Grounds(verdict=verdict, seq=None, by=by, override=body.override)
        return decisions.promote(version, stage, body.reason, grounds=grounds, dry_run=True)

    def _with_notes(self, body: Body, model: str, decisions: LedgerDecisions, answer: AnswerT) -> AnswerT:
        """Return the answer, which says where the client has another policy than the one that counts."""
        book = _book(decisions.ledger)
        if body.policy_digest in (None, book.of(model).digest):
            return answer
        note = f"the policy of {model} in your folder is not the server's ({book.source}); the server's holds"
        return replace(answer, notes=(*answer.notes, note))

    def _refused(self, user: str | None, beats: Sequence[Heartbeat]) -> dict[tuple[str, str], NotApproved]:
        """Return why somebody is no engine of a model's stage, for each of which they are none."""
        refused = {}
        for each in beats:
            try:
                self._require_engine(user, [each])
            except NotApproved as error:
                refused[each.model, each.stage] = error
        return refused

    def _require_engine(self, user: str | None, beats: Sequence[Heartbeat]) -> None:
        """Refuse the word of somebody who is no engine of these stages, of the models that it will be shown under."""
        ledger = self._keeper.ledger()
        for said, meant in zip(beats, named_now(beats, ledger), strict=True):
            if not self._sees(user, meant.model):
                raise _unseen(said.model)
            self._may(ledger, user, user or "nobody named")(Role.ENGINE, meant.model, meant.stage)

    def _require_claim(self, engine: str, user: str, owner: str) -> None:
        """Refuse to change what an engine says, except to the user who first wrote it and to administrators."""
        if user != owner and not self._keeper.access.administers(user):
            raise NotApproved(
                f"{user} may not speak for the engine {engine}: its word is {owner}'s",
                code="another-engine",
                hint=f"use {owner}'s credentials, or have an administrator remove it: POST /slipway/heartbeats/leave",
            )

    def _require_seen(self, request: Request, model: Name) -> None:
        self._require_sight(self._keeper.access.user(request), model)

    def _uid_seen(self, request: Request, model: Name, ledger: Ledger) -> str:
        """Return the identity that a name means; whether it may be seen is a matter of the name that it has now."""
        user = self._keeper.access.user(request)
        try:
            uid = uid_named(model, ledger.history, ledger.registry.model, prefix=f"{self._keeper.workspace()}/")
        except NotFound:
            self._require_sight(user, model)
            raise
        if not self._sees(user, _name_of(uid, ledger)):
            raise _unseen(model)
        return uid

    def _require_seen_uid(self, request: Request, model_uid: str, ledger: Ledger) -> None:
        user = self._keeper.access.user(request)
        if not model_uid.startswith(f"{self._keeper.workspace()}/"):
            raise _unseen(model_uid)
        if not self._sees(user, _name_of(model_uid, ledger)):
            raise _unseen(model_uid)

    def _require_sight(self, user: str | None, model: str) -> None:
        if not self._sees(user, model):
            raise _unseen(model)

    def _sees(self, user: str | None, model: str) -> bool:
        return self._keeper.access.may(user, model, edit=False)


def _name_of(model_uid: str, ledger: Ledger) -> str:
    """Return the name that a model has now: MLflow's permissions go by it."""
    return name_now(model_uid, ledger.history, ledger.registry.model, ledger.registry.models)


def _manifest(text: str) -> Manifest:
    try:
        MANIFEST.validate_json(text)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        said = f"the manifest cannot be read: {place}: {wrong['msg']}"
        raise InvalidInput(said, code="wrong-manifest", hint="slipway register sends none") from error
    return Manifest.from_json(text)


def _book(ledger: Ledger) -> PolicyBook:
    """Return the policies; the default ones where a file cannot be read, so that a rollback can be made."""
    return whatever_the_policy(ledger)[0].policies()


def _unseen(model: str) -> NotApproved:
    return NotApproved(
        f"you may not see {model}", code="not-yours-to-see", hint="ask for MLflow's permission to read the model"
    )
