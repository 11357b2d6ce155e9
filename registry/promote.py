"""The step promote and its kin: rollback, adopt, demote, archive. Each is a decision about one model's stages.

The functions here are pure: they take a situation and return the event to record, `None` where all is so already, or
raise why not. `registry.decide` carries them out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from registry.decide import Situation, require_ours
from registry.errors import Conflict, InvalidInput, NotFound
from registry.events import Event, EventKind
from registry.version import Version

ASK_AGAIN_WITHIN = timedelta(minutes=10)
MANIFEST_TAG = "slipway.manifest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Who decides, when and why; `authenticated` says whether a server vouches for the name."""

    actor: str
    authenticated: bool
    at: datetime
    reason: str


def say_why(actor: str, *, authenticated: bool, at: datetime, reason: str) -> Who:
    """Return who decides.

    Raises
    ------
    InvalidInput
        No reason is given.
    """
    if not reason.strip():
        raise InvalidInput("a decision needs a reason, and none was given", code="no-reason", hint='--reason "…"')
    return Who(actor=actor, authenticated=authenticated, at=at, reason=reason.strip())


def promotion(situation: Situation, version: Version, stage: str, who: Who, *, stages: tuple[str, ...]) -> Event | None:
    """Decide to move a version into a stage.

    Raises
    ------
    Conflict
        The version is in a higher stage, or the stage's alias is not where the history says.
    """
    there = situation.state.stages.get(stage)
    if there is not None and there.version == version.number:
        return None
    require_ours(situation, stage)
    current = situation.state.stage_of(version.number)
    if current in stages and stages.index(current) > stages.index(stage):
        raise Conflict(
            f"{version} is in {current}, above {stage}: a promotion does not lead down",
            code="not-upward",
            hint=f'slipway demote {version} --to {stage} --reason "…"',
        )
    return _event(EventKind.VERSION_PROMOTED, situation, version, stage, who)


def rollback(
    situation: Situation, stage: str, who: Who, *, to_version: int | None, from_version: int | None
) -> Event | None:
    """Decide to put back the last version that was in a stage and was not itself rolled back.

    `from_version` says which version is to be left: where another is there, nothing is decided, so that a repeat is
    harmless.

    Raises
    ------
    Conflict
        A rollback has just been decided and `from_version` is not given; or the alias was moved.
    NotFound
        Nothing is in the stage, or there is nothing to go back to.
    """
    there = situation.state.stages.get(stage)
    if there is None:
        raise NotFound(f"nothing of {situation.model} is in {stage}", code="empty-stage", hint="slipway status")
    if from_version is not None and there.version != from_version:
        return None
    require_ours(situation, stage)
    if from_version is None and to_version is None:
        _require_no_recent_rollback(situation, stage, there.seq, who.at)
    number = to_version if to_version is not None else situation.state.before(stage)
    if number is None:
        raise NotFound(
            f"no version of {situation.model} was in {stage} before {there.version}",
            code="nothing-to-go-back-to",
            hint="slipway history, or name one: --to-version N",
        )
    if number == there.version:
        return None
    version = version_of(situation, number)
    details = {"rolled_back": there.version, "rolled_back_seq": there.seq}
    return _event(EventKind.VERSION_ROLLED_BACK, situation, version, stage, who, details=details)


def _require_no_recent_rollback(situation: Situation, stage: str, seq: int, now: datetime) -> None:
    last = next(record.event for record in situation.records if record.seq == seq)
    if last.kind == EventKind.VERSION_ROLLED_BACK and now - last.at < ASK_AGAIN_WITHIN:
        raise Conflict(
            f"{situation.model} was rolled back to {last.version} in {stage} at {last.at:%H:%M:%S} UTC by {last.actor}",
            code="rolled-back-just-now",
            hint=f"to go back once more, say from where: slipway rollback {situation.model} --from {last.version}",
        )


def adoption(situation: Situation, stage: str, who: Who) -> Event | None:
    """Decide to take over the version that has a stage's alias already.

    Raises
    ------
    NotFound
        No version has the alias.
    """
    number = situation.holder(stage)
    if number is None:
        raise NotFound(
            f"no version of {situation.model} has the alias '{stage}'",
            code="unknown-alias",
            hint=f"slipway versions {situation.model}",
        )
    there = situation.state.stages.get(stage)
    if there is not None and there.version == number:
        return None
    return _event(EventKind.VERSION_ADOPTED, situation, version_of(situation, number), stage, who)


def demotion(
    situation: Situation, version: Version, who: Who, *, to: str | None, stages: tuple[str, ...]
) -> Event | None:
    """Decide to take a version out of its stage, into a lower one or into none.

    Raises
    ------
    Conflict
        The version is in no stage, or `to` is not below the one that it is in.
    """
    current = situation.state.stage_of(version.number)
    if current is None:
        raise Conflict(f"{version} is in no stage", code="in-no-stage", hint="slipway status")
    if to is None:
        return _event(EventKind.VERSION_DEMOTED, situation, version, None, who)
    if stages.index(to) >= stages.index(current):
        raise Conflict(f"{version} is in {current}, and {to} is not below it", code="not-downward", hint=None)
    require_ours(situation, to)
    return _event(EventKind.VERSION_DEMOTED, situation, version, to, who)


def archival(situation: Situation, version: Version, who: Who) -> Event:
    """Decide that a version is in no stage and nothing goes back to it.

    Raises
    ------
    Conflict
        The version is in a stage.
    """
    current = situation.state.stage_of(version.number)
    if current is not None:
        raise Conflict(
            f"{version} is in {current}", code="in-a-stage", hint=f'slipway demote {version} --reason "…" first'
        )
    return _event(EventKind.VERSION_ARCHIVED, situation, version, None, who)


def version_of(situation: Situation, number: int) -> Version:
    """Return a version of the situation's model.

    Raises
    ------
    NotFound
        The registry does not have it any more.
    """
    found = next((version for version in situation.versions if version.number == number), None)
    if found is None:
        raise NotFound(
            f"model '{situation.model}' has no version {number} any more",
            code="unknown-version",
            hint=f"slipway versions {situation.model}",
        )
    return found


def _event(
    kind: EventKind,
    situation: Situation,
    version: Version,
    stage: str | None,
    who: Who,
    *,
    details: dict[str, object] | None = None,
) -> Event:
    tags = {"manifest": MANIFEST_TAG, "git_commit": "slipway.git_commit"}
    return Event(
        kind=kind,
        model_uid=situation.model_uid,
        model=situation.model,
        version=version.number,
        stage=stage,
        actor=who.actor,
        actor_authenticated=who.authenticated,
        at=who.at,
        reason=who.reason,
        digests={name: version.tags[tag] for name, tag in tags.items() if tag in version.tags},
        details=details or {},
    )
