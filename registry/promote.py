"""The step promote: a version moves into a stage, and alias, MLflow stage and tags follow.

Gather (the registry) → decide (`plan`, pure) → act (one change after the other). A decision that is checked
and recorded belongs between the second and the third.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry.errors import Conflict, InvalidInput
from registry.model_registry import ModelRegistry
from registry.settings import RegistrySettings
from registry.stages import MLFLOW_ARCHIVED, find_stage, mlflow_stage_of
from registry.version import Version, VersionRef


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAlias:
    """Point an alias at a version."""

    alias: str
    number: int

    def __str__(self) -> str:
        return f"alias {self.alias} → {self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteAlias:
    """Take an alias away from wherever it is."""

    alias: str

    def __str__(self) -> str:
        return f"alias {self.alias} removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetMlflowStage:
    """Set MLflow's own label of a version."""

    number: int
    label: str

    def __str__(self) -> str:
        return f"MLflow stage of {self.number} → {self.label}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetTags:
    """Set tags of a version."""

    number: int
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"tags of {self.number}: {', '.join(self.tags)}"


Change = SetAlias | DeleteAlias | SetMlflowStage | SetTags


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What a promotion did or would do: no changes mean that the version was there already."""

    version: Version
    stage: str
    previous: int | None
    changes: tuple[Change, ...]


def promote(
    ref: VersionRef,
    *,
    to: str,
    tags: Mapping[str, str],
    registry: ModelRegistry,
    settings: RegistrySettings,
) -> Promotion:
    """Move a version into a stage and return what was done; a second call does nothing.

    Raises
    ------
    InvalidInput, NotFound
        There is no such stage or version.
    Conflict
        The version is in a higher stage already.
    """
    promotion = propose(ref, to=to, tags=tags, registry=registry, settings=settings)
    for change in promotion.changes:
        apply(change, model=promotion.version.model, registry=registry)
    return promotion


def propose(
    ref: VersionRef,
    *,
    to: str,
    tags: Mapping[str, str],
    registry: ModelRegistry,
    settings: RegistrySettings,
) -> Promotion:
    """Return what `promote` would do, and change nothing."""
    stage = find_stage(to, settings.stages)
    version = registry.version(ref)
    return plan(version, stage, registry.versions(version.model), tags=tags, settings=settings)


def promotion_tags(*, reason: str, actor: str, now: datetime) -> dict[str, str]:
    """Return the tags that say who promoted a version, when and why.

    Raises
    ------
    InvalidInput
        No reason is given.
    """
    if not reason.strip():
        raise InvalidInput("a promotion needs a reason, and none was given", code="no-reason", hint='--reason "…"')
    return {
        "slipway.promoted_at": now.isoformat(timespec="seconds"),
        "slipway.promoted_by": actor,
        "slipway.promoted_because": reason.strip(),
    }


def plan(
    version: Version,
    stage: str,
    versions: Sequence[Version],
    *,
    tags: Mapping[str, str],
    settings: RegistrySettings,
) -> Promotion:
    """Decide what has to change so that `version` is in `stage`, alone and nowhere else.

    The alias moves first, since it is what serving follows; what mirrors it comes after.
    """
    _require_upward(version, stage, settings.stages)
    previous = next(
        (other.number for other in versions if stage in other.aliases and other.number != version.number), None
    )
    changes: list[Change] = []
    if stage not in version.aliases:
        changes.append(SetAlias(alias=stage, number=version.number))
    changes += [DeleteAlias(alias=left) for left in settings.stages if left != stage and left in version.aliases]
    if settings.mirror_stages:
        changes += _mirror(version, stage, versions)
    if changes:
        changes.append(SetTags(number=version.number, tags={**tags, "slipway.stage": stage}))
    return Promotion(version=version, stage=stage, previous=previous, changes=tuple(changes))


def _require_upward(version: Version, stage: str, stages: Sequence[str]) -> None:
    higher = [above for above in stages[stages.index(stage) + 1 :] if above in version.aliases]
    if higher:
        raise Conflict(
            f"{version} is in {higher[0]}, above {stage}: a promotion does not lead down",
            code="not-upward",
            hint=f"promote another version to {higher[0]} first",
        )


def _mirror(version: Version, stage: str, versions: Sequence[Version]) -> list[Change]:
    """Give the version its label, and take that label from every other: the highest number with it would win."""
    label = mlflow_stage_of(stage)
    if label is None:
        return []
    others = [other for other in versions if other.number != version.number and other.stage == label]
    changes: list[Change] = [SetMlflowStage(number=other.number, label=MLFLOW_ARCHIVED) for other in others]
    if version.stage != label:
        changes.append(SetMlflowStage(number=version.number, label=label))
    return changes


def apply(change: Change, *, model: str, registry: ModelRegistry) -> None:
    """Carry out one change."""
    match change:
        case SetAlias(alias=alias, number=number):
            registry.set_alias(model, alias, number)
        case DeleteAlias(alias=alias):
            registry.delete_alias(model, alias)
        case SetMlflowStage(number=number, label=label):
            registry.set_mlflow_stage(model, number, label)
        case SetTags(number=number, tags=tags):
            registry.set_tags(model, number, tags)
