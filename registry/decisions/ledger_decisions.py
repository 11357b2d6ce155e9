"""Decisions on a ledger: what the command line does with its own, and a server with the one that it keeps.

It is one long thing: the verbs of `Decisions`, each with what it reads again when the model's lock is held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from slipway.registry.decisions.adopt import adoption, adoption_target
from slipway.registry.decisions.approve import approval
from slipway.registry.decisions.archive import archival
from slipway.registry.decisions.carry_out import Decision, carry_out, note, note_once, propose, settled
from slipway.registry.decisions.decisions import Noted, Receipt
from slipway.registry.decisions.demote import demotion
from slipway.registry.decisions.package import (
    ImageMade,
    packaged_before,
    packaging,
    require_packable,
    version_to_package,
)
from slipway.registry.decisions.promote import promotion
from slipway.registry.decisions.record_files import RecordedFiles, registration
from slipway.registry.decisions.record_verdict import record
from slipway.registry.decisions.recorded_grounds import recorded_grounds, require_judged
from slipway.registry.decisions.rollback import rollback_target, targets_below
from slipway.registry.decisions.status import Status, everybody, status_of_models
from slipway.registry.decisions.undone_promotion import back_to, undoing
from slipway.registry.decisions.who import Who
from slipway.registry.engines.heartbeats import STABLE, Heartbeat, alive
from slipway.registry.engines.named_beats import named_now
from slipway.registry.engines.served import served_by
from slipway.registry.errors import Conflict, Corrupt, InvalidInput, NotApproved, NotFound
from slipway.registry.gate.checks.approval import authors_of
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Outcome, Verdict
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import Event
from slipway.registry.ledger.identity import name_now
from slipway.registry.ledger.last_word import require_last_word
from slipway.registry.ledger.ledger import Ledger, whatever_the_policy
from slipway.registry.ledger.situation import Situation, require_same
from slipway.registry.manifest import Manifest, differences, manifest_of
from slipway.registry.policy.roles import May, Role
from slipway.registry.stages import find_stage
from slipway.registry.text import REASON_CHARACTERS, cleaned, require_reason
from slipway.registry.version import Version, VersionRef, deleted_version
from slipway.registry.versions.file_integrity import (
    NAMED_AT_MOST,
    recorded_location,
    recorded_manifest,
    records_about,
    require_known_place,
    require_whole,
)
from slipway.registry.versions.provenance import gather_provenance, recorded_provenance

PACKAGED = "packaged"


class Promoting(NamedTuple):
    """What is to be promoted, and on which grounds; `None` for a version that is there already."""

    version: Version
    grounds: Grounds | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerDecisions:
    """The `Decisions` on a ledger for one actor: `who` names them with a reason, `may` refuses what they may not.

    `beats` returns what serving engines say of themselves; `now` is the clock that tells whether they still do.
    """

    ledger: Ledger
    who: Callable[[str], Who]
    may: May
    beats: Callable[[], Sequence[Heartbeat]] = tuple
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def status(self) -> Status:
        """Return every stage in use, and what could not be told; what was not applied is applied first."""
        return self.status_of_models(everybody)

    def status_of_models(self, seen: Callable[[str], bool]) -> Status:
        """Return every stage in use of the models with names that are seen."""
        return status_of_models(self.ledger, seen=seen, beats=self.beats, now=self.now())

    def situation(self, model: str, reading: Ledger) -> Situation:
        """Return how a model stands, after finishing what somebody decided and did not live to apply."""
        return settled(model, reading)

    def record(self, verdict: Verdict, version: Version) -> Noted:
        """Put a verdict into the ledger, with the actor who vouches for it."""
        self.may(Role.ASSESS, verdict.model, verdict.stage)
        who = self.who("assessed")
        done = record(verdict, version, self.ledger, actor=who.actor, authenticated=who.authenticated)
        return replace(self._noted(str(version), verdict.stage, done.seq, who), notes=done.notes)

    def approve(self, ref: VersionRef, stage: str, reason: str) -> Noted:
        """Approve a version for a stage; its author cannot."""
        why = self.who(reason)
        stage = find_stage(stage, self._stages(ref.model))

        def event(situation: Situation) -> Event:
            self.may(Role.APPROVE, ref.model, stage)
            found = self.ledger.registry.version(ref)
            about = self.ledger.history.about(situation.model_uid, found.number)
            if recorded_manifest(about) is None:
                raise Conflict(
                    f"nobody recorded which files {found} has: an approval would be of none",
                    code="not-registered",
                    hint=f'slipway register {found} --reason "…", then approve it',
                )
            if why.actor in authors_of([each.event for each in about], self.ledger.registry.measured(found).user):
                raise NotApproved(
                    f"{why.actor} is an author of {found}, and somebody else has to approve it",
                    code="own-version",
                    hint="approvals are recorded under the tracking server's user, else under that of this machine",
                )
            return approval(situation, found, stage, why, recorded_manifest(about))

        made = note(ref.model, event, self.ledger)
        return self._noted(f"{ref.model}/{made.version}", stage, made.seq, why)

    def register(self, ref: VersionRef, reason: str, manifest: Manifest | None = None) -> Noted:
        """Record a version that was registered elsewhere: once, and again where its files were moved.

        One that an older Slipway recorded without its location and provenance is completed.
        """
        found, why = self.ledger.registry.version(ref), self.who(reason)
        stages = self._stages(found.model)
        self.may(Role.REGISTER, found.model, stages[0])
        before = records_about(found, self.ledger)
        made = self._recorded(found, before, manifest)

        def event(situation: Situation) -> Event:
            about = self.ledger.history.about(situation.model_uid, found.number)
            if recorded_manifest(about) is not None and recorded_location(about) == made.location:
                raise Conflict(
                    f"the files of {found} are recorded already",
                    code="already-registered",
                    hint=f"slipway history {found.model}",
                )
            self._require_read_of_it(found, situation, made, before, about)
            return registration(situation, found, why, made)

        noted = self._noted(str(found), None, note(found.model, event, self.ledger).seq, why)
        return replace(noted, manifest=made.manifest.digest, files=len(made.manifest.files))

    def package(self, ref: VersionRef, made: ImageMade, override: str | None) -> Noted:
        """Record an image of a version; one that no gate passed takes an override, by who may."""
        why = self.who(override or PACKAGED)
        stages = self._stages(ref.model)
        self.may(Role.OVERRIDE if override else Role.REGISTER, ref.model, stages[-1] if override else stages[0])
        ledger = self.ledger

        def event(situation: Situation) -> Event | Record:
            number, stage = version_to_package(ref, situation)
            found = ledger.registry.version(VersionRef(model=ref.model, number=number))
            about = ledger.history.about(situation.model_uid, found.number)
            recorded = recorded_manifest(about)
            passed = require_packable(situation, found, about, recorded, stage=stage, override=override)
            if recorded and recorded.digest != made.manifest:
                raise Conflict(
                    f"{found} is recorded with the files {recorded.digest}, and the image holds {made.manifest}",
                    code="overtaken",
                    hint="package it again",
                )
            before = packaged_before(about, made)
            return before or packaging(situation, found, why, made, passed, override)

        done = note_once(ref.model, event, ledger)
        return replace(self._noted(f"{ref.model}/{done.version}", None, done.seq, why), manifest=made.manifest)

    def _require_read_of_it(
        self,
        version: Version,
        situation: Situation,
        made: RecordedFiles,
        before: Sequence[Record],
        about: Sequence[Record],
    ) -> None:
        """Refuse to record files that were read of another model's version, which had the name for a while.

        Reading them may take minutes, and the lock is held only now.
        """
        require_same(version, situation, self.ledger)
        known_before, known = ((recorded_manifest(each), recorded_provenance(each) is None) for each in (before, about))
        if known_before != known or self.ledger.registry.logged_location(version) != made.location:
            raise Conflict(
                f"what {version} is was changed while its files were read", code="overtaken", hint="register it again"
            )

    def _recorded(self, version: Version, about: Sequence[Record], manifest: Manifest | None = None) -> RecordedFiles:
        """Return what is to be recorded of a version: its files, where MLflow reads them, and where it comes from.

        What was recorded before of its files and of where it comes from stays: only the place may be another.
        """
        registry = self.ledger.registry
        before = recorded_manifest(about)
        if before is None:
            registry.require_fixed(version)
        location = registry.logged_location(version)
        files = manifest_of(registry.stored_files(location))
        if before is None and manifest is not None and (differing := differences(manifest, files)):
            raise Conflict(
                f"{version} is stored otherwise than as it was logged: {'; '.join(differing[:NAMED_AT_MOST])}",
                code="files-differ",
                hint="see that its upload has ended and nobody changes its files, then register it again",
            )
        if before is not None and files != before:
            raise Corrupt(
                f"{version} is recorded with other files: {'; '.join(differences(before, files)[:NAMED_AT_MOST])}",
                code="artifacts-changed",
                hint="restore its files, or register them as another version",
            )
        known = recorded_provenance(about) is not None
        provenance = None if known else gather_provenance(version, location, registry)
        return RecordedFiles(manifest=files, location=location, provenance=provenance)

    def promote(self, version: Version, stage: str, reason: str, *, grounds: Grounds | None, dry_run: bool) -> Receipt:
        """Move a version into a stage on the grounds of a verdict."""
        if grounds is not None and grounds.seq is None and not dry_run:
            raise InvalidInput("only a recorded verdict lets a version into a stage", code="no-verdict", hint=None)

        def given(situation: Situation, who: Who) -> Promoting:
            require_same(version, situation, self.ledger)
            return Promoting(version, grounds)

        return self._promote(version.model, stage, reason, given, dry_run=dry_run)

    def promote_recorded(
        self, ref: VersionRef, stage: str, reason: str, *, seq: int | None, override: str | None, dry_run: bool
    ) -> Receipt:
        """Move a version into a stage on the grounds of the recorded verdict with a number, else of the last one.

        All that it rests on is read when the model's lock is held: before, its name may have meant another model.
        """

        def found(situation: Situation, who: Who) -> Promoting:
            version = self.ledger.registry.version(ref)
            if situation.occupant(stage) == version.number:
                return Promoting(version, None)
            grounds = recorded_grounds(version, stage, situation, self.ledger, seq=seq, promoter=who.actor, now=who.at)
            return Promoting(version, replace(grounds, override=override))

        return self._promote(ref.model, stage, reason, found, dry_run=dry_run)

    def _promote(
        self, model: str, stage: str, reason: str, find: Callable[[Situation, Who], Promoting], *, dry_run: bool
    ) -> Receipt:
        who, read = self.who(reason), list[tuple[str, Version]]()

        def decision(situation: Situation) -> Event | None:
            self.may(Role.PROMOTE, model, stage)
            version, grounds = find(situation, who)
            read.append((situation.model_uid, version))
            if grounds is not None and grounds.override is not None:
                require_reason(grounds.override, "the reason of an override")
                if grounds.verdict.outcome is not Outcome.PASS:
                    self.may(Role.OVERRIDE, model, stage)
            return deciding(version, stage, who, grounds, self.ledger)(situation)

        done = self._act(model, decision, dry_run=dry_run)
        if done.kind is not None and not dry_run:
            self._require_still_whole(*read[-1], stage)
        return done

    def rollback(
        self,
        model: str,
        reason: str,
        *,
        stage: str | None,
        from_version: int | None,
        to_version: int | None,
        skip_damaged: bool,
        dry_run: bool,
    ) -> Receipt:
        """Put back the version that was in a stage before, by default in the last one."""
        if skip_damaged and to_version is not None:
            raise InvalidInput(
                f"--to-version {to_version} names the version to put back, and --skip-damaged looks for one",
                code="one-of-both",
                hint="give one of both",
            )
        ledger, notes = whatever_the_policy(self.ledger)
        stages = ledger.policies().of(model).names
        chosen = find_stage(stage or stages[-1], stages)
        self.may(Role.PROMOTE, model, chosen)
        decision = going_back(
            chosen,
            self.who(reason),
            ledger,
            to_version=to_version,
            from_version=from_version,
            skip_damaged=skip_damaged,
        )
        done = replace(self, ledger=ledger)._act(model, decision, dry_run=dry_run)
        return replace(done, notes=(*notes, *done.notes))

    def adopt(self, ref: VersionRef, reason: str, *, dry_run: bool) -> Receipt:
        """Take over the version that has a stage's alias already; no gate was ever passed for it."""
        if ref.alias is None:
            raise InvalidInput(
                f"adopt takes a stage, and '{ref}' names a number; write {ref.model}@production",
                code="not-a-stage",
                hint=None,
            )
        stage, why = find_stage(ref.alias, self._stages(ref.model)), self.who(reason)
        self.may(Role.OVERRIDE, ref.model, stage)

        def decision(situation: Situation) -> Event | None:
            number = adoption_target(situation, stage)
            if number is None:
                return None
            found = self.ledger.registry.version(VersionRef(model=ref.model, number=number))
            about = self.ledger.history.about(situation.model_uid, number)
            return adoption(situation, found, stage, why, self._recorded(found, about))

        return self._act(ref.model, decision, dry_run=dry_run)

    def demote(self, ref: VersionRef, reason: str, *, to: str | None, dry_run: bool) -> Receipt:
        """Take a version out of its stage, into a lower one or into none."""
        why = self.who(reason)
        stage = find_stage(to, self._stages(ref.model)) if to else None

        def decision(situation: Situation) -> Event:
            found = self._version_or_what_is_left(ref, situation, to=to)
            left = situation.state.stage_of(found.number)
            for touched in (left, stage):
                if touched in situation.policy.names:
                    self.may(Role.PROMOTE, found.model, str(touched))
            return demotion(situation, found, why, to=stage)

        return self._act(ref.model, decision, dry_run=dry_run)

    def archive(self, ref: VersionRef, reason: str, *, dry_run: bool) -> Receipt:
        """Rule that nothing goes back to a version, in whatever stage it was."""
        why = self.who(reason)
        self.may(Role.PROMOTE, ref.model, self._stages(ref.model)[-1])

        def decision(situation: Situation) -> Event | None:
            return archival(situation, self._version_or_what_is_left(ref, situation, to=None), why)

        return self._act(ref.model, decision, dry_run=dry_run)

    def _require_still_whole(self, model_uid: str, version: Version, stage: str) -> None:
        """Read the files of a version once more after its promotion, and undo that where somebody changed them.

        What passes through a server is kept still meanwhile. Who has keys to the bucket writes past it. The model is
        found by its identity: where nobody guards a stage, it may have been renamed since the lock was let go.
        """
        registry, history = self.ledger.registry, self.ledger.history
        about = history.about(model_uid, version.number)
        version = replace(version, model=name_now(model_uid, history, registry.model, registry.models))
        try:
            require_whole(version, about, registry, else_do="promote another version")
        except (Conflict, Corrupt, NotFound) as error:
            who = self.who(cleaned(f"undone: {error.message}", REASON_CHARACTERS))
            undone = carry_out(version.model, undoing(model_uid, version, stage, who, self.ledger), self.ledger).event
            now = f"{version.model}/{undone.version} is back" if undone and undone.stage else "nothing is there now"
            raise Corrupt(
                f"{version} was changed while it was promoted to {stage}, which was undone ({now}): {error.message}",
                code="changed-while-promoted",
                hint="find who writes to its files without the server, and restore them or register it anew",
            ) from error

    def _version_or_what_is_left(self, ref: VersionRef, situation: Situation, *, to: str | None) -> Version:
        """Return a version to be taken out of its stage: of one that was deleted, what the ledger knows of it."""
        try:
            return self.ledger.registry.version(ref)
        except NotFound:
            if ref.number is None or to is not None:
                raise
            about = self.ledger.history.about(situation.model_uid, ref.number)
            if not about:
                raise
            return deleted_version(ref.model, ref.number, about[0].event.at)

    def _stages(self, model: str) -> tuple[str, ...]:
        return self.ledger.policies().of(model).names

    def _act(self, model: str, decision: Decision, *, dry_run: bool) -> Receipt:
        done = (propose if dry_run else carry_out)(model, decision, self.ledger)
        event = done.event
        return Receipt(
            version=f"{event.model}/{event.version}" if event else None,
            stage=event.stage if event else None,
            kind=str(event.kind) if event else None,
            verdict=event.details.get("verdict") if event else None,
            seq=done.seq,
            previous=done.previous,
            dry_run=dry_run,
            changes=[str(change) for change in done.changes],
            served=self._served(event.model, event.stage, str(event.version)) if event else (),
            notes=[
                *(f"skipped: {why}" for why in (event.details.get("skipped", {}).values() if event else ())),
                *(f"the registry does not take what the history says: {each}" for each in done.unapplied),
            ],
        )

    def _served(self, model: str, stage: str | None, version: str) -> tuple[str, ...]:
        """Return which engines are to follow a decision: a candidate follows none."""
        following = [beat for beat in alive(self.beats(), self.now()) if beat.variant == STABLE]
        return served_by(named_now(following, self.ledger), model=model, stage=stage or "", version=version)

    def _noted(self, version: str, stage: str | None, seq: int, who: Who) -> Noted:
        model = version.rpartition("/")[0]
        return Noted(
            version=version,
            stage=stage,
            seq=seq,
            actor=who.actor,
            actor_authenticated=who.authenticated,
            first_stage=self._stages(model)[0],
        )


def deciding(version: Version, stage: str, why: Who, grounds: Grounds | None, ledger: Ledger) -> Decision:
    """Return the decision to promote, to be made when the model's lock is held.

    The stored files are read once more: between verdict and decision may lie minutes. Grounds are `None` for a version
    that is there already.
    """

    def decision(now: Situation) -> Event | None:
        if now.occupant(stage) == version.number:
            return None
        if grounds is None:
            raise Conflict(
                f"{version} left {stage} just now", code="overtaken", hint="slipway status, then decide again"
            )
        event = promotion(now, version, stage, why, grounds)
        about = ledger.history.about(now.model_uid, version.number)
        if grounds.seq is not None:
            require_last_word(about, stage, now.policy.stages[stage].verdict_by, seq=grounds.seq)
        require_known_place(version, about, ledger.registry)
        ledger.require_kept(version)
        folder = require_whole(version, about, ledger.registry, else_do="promote another version")
        if recorded_manifest(about) is None:
            require_judged(version, stage, grounds.verdict, manifest_of(folder))
        return event

    return decision


def going_back(
    stage: str,
    why: Who,
    ledger: Ledger,
    *,
    to_version: int | None = None,
    from_version: int | None = None,
    skip_damaged: bool = False,
) -> Decision:
    """Return the decision to roll back, to be made when the model's lock is held.

    With `skip_damaged` it goes on to the next version on the stack where one is not stored as it was registered. A
    store that does not answer says nothing of a version, and ends it.
    """

    def decision(situation: Situation) -> Event | None:
        number = rollback_target(situation, stage, why.at, to_version=to_version, from_version=from_version)
        if number is None:
            return None
        if not skip_damaged:
            return back_to(situation, number, stage, why, ledger)
        skipped: dict[int, str] = {}
        for candidate in (number, *targets_below(situation, stage, number)):
            try:
                return back_to(situation, candidate, stage, why, ledger, skipped=skipped)
            except (Conflict, Corrupt, NotFound) as error:
                skipped[candidate] = error.message
        damaged = "; ".join(skipped.values())
        raise NotFound(
            f"no version of {situation.name} that was in {stage} is as it was registered: {damaged}",
            code="nothing-whole-to-go-back-to",
            hint=f'restore the files of one, or slipway promote {situation.name}/N --to {stage} --reason "…"',
        )

    return decision
