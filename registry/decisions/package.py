"""The verb package: which version goes into an image, whether it may, and the event that says which image. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from shlex import quote
from typing import NamedTuple

from slipway.registry.decisions.archive import archived
from slipway.registry.decisions.who import Who, event_by
from slipway.registry.errors import Conflict, NotApproved, NotFound
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation, require_ours
from slipway.registry.manifest import Manifest
from slipway.registry.policy.policy import Policy
from slipway.registry.stages import find_stage
from slipway.registry.version import Version, VersionRef

PASS = "PASS"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageMade:
    """An image that holds a version: `digest` names its manifest, `config` is Docker's id of it.

    `manifest` names the version's files in it, and `base` what it stands on.
    """

    name: str
    digest: str
    config: str
    manifest: str
    platform: str
    base: str | None


class Packable(NamedTuple):
    """Which version is meant, and the stage by which it was named, if it was by one."""

    number: int
    stage: str | None


def version_to_package(ref: VersionRef, situation: Situation) -> Packable:
    """Return the version that a name means now: of a stage, what the history has there.

    Raises
    ------
    Conflict
        The stage's alias is not where the history says.
    NotFound
        Nothing is there.
    InvalidInput
        It names no stage and no alias.
    """
    if ref.alias is None:
        return Packable(ref.number or 0, None)
    held = situation.holder(ref.alias)
    if held is not None and ref.alias not in situation.policy.names:
        return Packable(held, None)
    stage = find_stage(ref.alias, situation.policy.names)
    require_ours(situation, stage)
    occupant = situation.occupant(stage)
    if occupant is None:
        hint = f'slipway promote {quote(ref.model)}/N --to {stage} --reason "…", or package a version by its number'
        raise NotFound(f"nothing is in {stage} of {ref.model}", code="stage-empty", hint=hint)
    return Packable(occupant, stage)


def require_packable(
    situation: Situation,
    version: Version,
    about: Sequence[Record],
    manifest: Manifest | None,
    *,
    stage: str | None,
    override: str | None,
) -> Mapping[str, int]:
    """Refuse a version that no gate passed with these very files; return stage → the event that passed it there.

    `stage` is the one by which it was named: then the verdict for that one counts. With `override` it is packaged all
    the same, and that is on record; not a version of which nobody recorded the files.

    Raises
    ------
    Conflict
        Nobody recorded its files.
    NotApproved
        No gate passed it, or it was archived.
    """
    if manifest is None:
        raise Conflict(
            f"nobody recorded which files {version} has",
            code="not-registered",
            hint=f'slipway register {quote(str(version))} --reason "…", then gate it',
        )
    passed = stages_passed(about, manifest.digest, situation.policy)
    if override is not None:
        return passed
    hint = f'slipway gate {quote(str(version))} --to {stage or situation.policy.names[0]}; or --override "why"'
    if ruled := archived(situation, version.number):
        raise NotApproved(f"{version} was archived by {ruled.actor}: {ruled.reason}", code="archived", hint=hint)
    if not passed or (stage is not None and stage not in passed):
        where = f" for {stage}" if stage else ""
        raise NotApproved(f"no gate has passed {version}{where} with the files that it has", code="no-gate", hint=hint)
    return passed


def stages_passed(about: Sequence[Record], manifest: str, policy: Policy) -> Mapping[str, int]:
    """Return stage → the number of its last verdict on a version, where that is PASS and about these files.

    Of stages that the policy declares, and of those whose verdicts count there.
    """
    last: dict[str, Record] = {}
    for record in about:
        stage = record.event.stage
        if record.kind == EventKind.GATE_ASSESSED and stage in policy.names:
            allowed = policy.stages[stage].verdict_by
            if allowed is None or record.event.actor in allowed:
                last[stage] = record
    return {stage: record.seq for stage, record in last.items() if _is_pass(record, manifest)}


def _is_pass(record: Record, manifest: str) -> bool:
    event = record.event
    return event.details.get("outcome") == PASS and event.digests.get("manifest") == manifest


def packaging(
    situation: Situation, version: Version, who: Who, made: ImageMade, passed: Mapping[str, int], override: str | None
) -> Event:
    """Return the event that records an image of a version."""
    told = {name: value for name, value in asdict(made).items() if name not in ("digest", "manifest") and value}
    details = {**told, "verdicts": dict(passed), **({"override": override} if override else {})}
    event = event_by(EventKind.VERSION_PACKAGED, situation, version, None, who, details=details)
    return replace(event, digests={"manifest": made.manifest, "image": made.digest})


def packaged_before(about: Sequence[Record], made: ImageMade) -> Record | None:
    """Return the record of this very image, if there is one: the same again is nothing new."""
    images = (record for record in about if record.kind == EventKind.VERSION_PACKAGED)
    return next((record for record in images if record.event.digests.get("image") == made.digest), None)
