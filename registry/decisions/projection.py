"""The projections of the ledger: alias, MLflow stage and tags, repaired forward to what the events say.

`changes_for` compares what the registry shows with what the ledger says, and is pure. A stage that the ledger never
spoke of is left alone: somebody set that alias before Slipway came, and nothing adopts it silently. A version that the
registry has no more is shown nowhere.

The ledger does not depend on what a registry takes: what cannot be written is reported, and tried again by every later
command; the rest is written all the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.registry.errors import SlipwayError
from slipway.registry.ledger.chain import HEAD_TAG, Head
from slipway.registry.ledger.history import History
from slipway.registry.ledger.model_state import ModelState
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.stages import MLFLOW_ARCHIVED, MLFLOW_STAGES, mlflow_stage_of
from slipway.registry.text import NAME_CHARACTERS, cleaned
from slipway.registry.version import Version

STAGE_TAG = "slipway.stage"
PROJECTED_TAGS = frozenset({STAGE_TAG, "slipway.by", "slipway.reason", "slipway.verdict", HEAD_TAG})
TAG_CHARACTERS = 500
NOT_KEPT = "the registry does not keep what is written to it; look for somebody else who writes there"


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
class NotWritten:
    """A change that the registry did not take, and what it said; `None` stands for the note of the chain's end."""

    change: Change | None
    reason: str

    def __str__(self) -> str:
        return f"{self.change or f'tag {HEAD_TAG}'}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Projected:
    """What was changed in the registry, and what it did not take."""

    changes: tuple[Change, ...] = ()
    refused: tuple[NotWritten, ...] = ()

    def refused_alias(self, stage: str | None) -> NotWritten | None:
        """Return the refusal to put a stage's alias where the ledger has it: of `None`, that of any stage."""
        for each in self.refused:
            if isinstance(each.change, SetAlias | DeleteAlias) and stage in (None, each.change.alias):
                return each
        return None


def numbers_of_interest(model: RegisteredModel, state: ModelState) -> frozenset[int]:
    """Return the versions that a decision may change: however many others there are, they are not read.

    Of MLflow's labels only those that mirror a stage are taken away from a version; whoever has another is of interest
    for its alias or its past alone.
    """
    stacked = [number for stack in state.stacks.values() for number in stack[-2:]]
    occupants = [there.version for there in state.stages.values()]
    labelled = [number for label, number in model.labels.items() if label in MLFLOW_STAGES.values()]
    return frozenset([*model.aliases.values(), *labelled, *stacked, *occupants, *state.moved])


def changes_for(
    state: ModelState,
    model: RegisteredModel,
    versions: Sequence[Version],
    *,
    stages: Sequence[str],
    mirror_stages: bool,
) -> tuple[Change, ...]:
    """Return what has to change so that the registry shows what the ledger says.

    Aliases come first, that of the last stage before others, since they are what serving follows.
    """
    known = [stage for stage in stages if stage in state.stacks]
    there = frozenset(version.number for version in versions)
    changes: list[Change] = [c for stage in reversed(known) for c in _alias_changes(stage, state, model, there)]
    if mirror_stages:
        changes += _label_changes(known, state, versions)
    changes += _tag_changes(state, versions)
    return tuple(changes)


def _alias_changes(stage: str, state: ModelState, model: RegisteredModel, there: frozenset[int]) -> Iterator[Change]:
    """Leave an alias where it is while the version that should have it was deleted: nothing can take its place."""
    holder = model.aliases.get(stage)
    occupant = state.stages.get(stage)
    if occupant is not None and holder != occupant.version and occupant.version in there:
        yield SetAlias(alias=stage, number=occupant.version)
    if occupant is None and holder is not None:
        yield DeleteAlias(alias=stage)


def _label_changes(known: Sequence[str], state: ModelState, versions: Sequence[Version]) -> Iterator[Change]:
    """Give each occupant its label, and take it from every other: the highest number with a label would win."""
    ours = {label for stage in known if (label := mlflow_stage_of(stage))}
    for version in versions:
        stage = state.stage_of(version.number)
        label = mlflow_stage_of(stage) if stage else None
        if label and version.mlflow_stage != label:
            yield SetMlflowStage(number=version.number, label=label)
        elif label is None and version.mlflow_stage in ours:
            yield SetMlflowStage(number=version.number, label=MLFLOW_ARCHIVED)


def _tag_changes(state: ModelState, versions: Sequence[Version]) -> Iterator[Change]:
    for version in versions:
        wanted = _tags_of(state, version.number)
        differing = {name: text for name, text in wanted.items() if version.tags.get(name, "") != text}
        if differing:
            yield SetTags(number=version.number, tags=differing)


def _tags_of(state: ModelState, number: int) -> dict[str, str]:
    """Return what MLflow's UI shows beside a version; one that left its stage keeps who moved it in, and why."""
    stage = state.stage_of(number)
    if stage is None:
        return {STAGE_TAG: ""}
    there = state.stages[stage]
    return {
        STAGE_TAG: stage,
        "slipway.by": cleaned(there.by, NAME_CHARACTERS),
        "slipway.reason": cleaned(there.reason, TAG_CHARACTERS),
        "slipway.verdict": there.verdict or "",
    }


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


def project(
    model_uid: str,
    *,
    model: RegisteredModel,
    state: ModelState,
    head: Head,
    registry: ModelRegistry,
    history: History,
    stages: Sequence[str],
    mirror_stages: bool,
) -> Projected:
    """Apply what the ledger says to the registry, note it as applied, and return what was changed and what was not.

    The caller holds the model's lock, and has read the model under it. The head is read again before each write:
    whoever lost the lock in a pause and wakes after another's decision changes nothing more. The model is read again
    until there is nothing left to try: it shows the highest version with a label only, and below it there may be
    another. What the registry does not take is tried once, keeps nothing else from being tried, and is not noted as
    applied.
    """
    done: list[Change] = []
    tried: dict[str, str] = {}

    def needed() -> tuple[Change, ...]:
        versions = registry.numbered(model, numbers_of_interest(model, state))
        return changes_for(state, model, versions, stages=stages, mirror_stages=mirror_stages)

    left = needed()
    while untried := [change for change in left if str(change) not in tried]:
        for change in untried:
            if history.head(model_uid) != head:
                return Projected(changes=tuple(done))
            tried[str(change)] = _said(partial(apply, change, model=model.name, registry=registry))
            done += [] if tried[str(change)] else [change]
        model = registry.model(model.name)
        left = needed()
    refused = [NotWritten(change=change, reason=tried[str(change)] or NOT_KEPT) for change in left]
    if history.head(model_uid) == head:
        said = note_head(model.name, head, registry)
        refused += [NotWritten(change=None, reason=said)] if said else []
        if not refused:
            history.set_applied(model_uid, head.seq)
    return Projected(changes=tuple(done), refused=tuple(refused))


def note_head(model: str, head: Head, registry: ModelRegistry) -> str:
    """Note the end of a model's chain in a tag, which stays with the model when it is renamed.

    What the registry says against it is returned: nothing where it is noted.
    """
    return _said(partial(registry.set_model_tag, model, HEAD_TAG, str(head)))


def _said(write: Callable[[], object]) -> str:
    """Write, and return what the registry says against it: nothing where it is done."""
    try:
        write()
    except SlipwayError as error:
        return error.message
    return ""
