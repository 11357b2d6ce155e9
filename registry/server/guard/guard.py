"""The rules by which a server guards its stages: what is held there, and which calls of MLflow's may touch it.

Pure: `slipway.registry.server.guard.protection` gathers what is held, the doors ask here before they let a call
through. A refusal says what holds the thing and the command that does it properly. Stages are compared without case.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from slipway.registry.artifacts.kept_copies import KEPT, is_for_copies
from slipway.registry.artifacts.locations import Place
from slipway.registry.decisions.projection import PROJECTED_TAGS
from slipway.registry.errors import Conflict, NotApproved
from slipway.registry.ledger.model_state import ModelState
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.server.guard.lookalikes import is_plain, looks_like
from slipway.registry.stages import mlflow_stage_of

OUR_TAGS = "slipway."
PROMPT_TAG = "mlflow.prompt.is_prompt"
NAMED_AT_MOST = 3
TAKEN = "model-exists"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownModel:
    """A model as MLflow's tables show it.

    `labels` is version → MLflow's stage label, for those that have one. A prompt lies in the same tables and is none of
    ours.
    """

    model: RegisteredModel
    labels: Mapping[int, str] = field(default_factory=dict)
    is_prompt: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """A version in a protected stage, and how we know: by the history, else by its alias or MLflow stage.

    A former one was in it and is good to go back to.
    """

    model: str
    number: int
    stage: str
    because: str
    is_former: bool = False

    def __str__(self) -> str:
        if self.is_former:
            return f"{self.model}/{self.number} was in {self.stage}, and a rollback may go back to it"
        return f"{self.model}/{self.number} is in {self.stage} ({self.because})"


def holds_of(shown: ShownModel, state: ModelState, stages: Sequence[str]) -> tuple[Hold, ...]:
    """Return every version of a model that is in a protected stage; a prompt has none.

    The history's word and the registry's both count: between a decision and its alias they differ for a moment.
    """
    if shown.is_prompt:
        return ()
    return tuple(hold for stage in stages for hold in _holds_in(stage, shown, state))


def former_holds_of(shown: ShownModel, state: ModelState, stages: Sequence[str]) -> tuple[Hold, ...]:
    """Return the versions on the stacks of a model's protected stages: those that a rollback may go back to.

    Archiving one takes it from there, and so does demoting it, or rolling back from it.
    """
    if shown.is_prompt:
        return ()
    stacks = ((stage, state.stacks.get(stage, ())) for stage in stages)
    return tuple(former_hold(shown.model.name, number, stage) for stage, stack in stacks for number in stack)


def former_hold(model: str, number: int, stage: str) -> Hold:
    """Return how a version is held that a stage's rollback may go back to."""
    return Hold(model=model, number=number, stage=stage, because="on its stack", is_former=True)


def with_formers(holds: Iterable[Hold], formers: Iterable[Hold]) -> tuple[Hold, ...]:
    """Return the holds, and those of former versions that are in no stage now, each once."""
    now = tuple(holds)
    there = {(hold.model, hold.number) for hold in now}
    return (
        *now,
        *{(hold.model, hold.number): hold for hold in formers if (hold.model, hold.number) not in there}.values(),
    )


def _holds_in(stage: str, shown: ShownModel, state: ModelState) -> Iterable[Hold]:
    found: dict[int, str] = {}
    there = state.stages.get(stage)
    if there is not None:
        found[there.version] = f"put there by {there.by} on {there.since:%Y-%m-%d}"
    for alias, number in shown.model.aliases.items():
        if alias.casefold() == stage.casefold():
            found.setdefault(number, f"it has the alias {alias}")
    label = mlflow_stage_of(stage)
    for number, shown_label in shown.labels.items():
        if shown_label == label:
            found.setdefault(number, f"it has MLflow's stage {label}")
    return (Hold(model=shown.model.name, number=n, stage=stage, because=why) for n, why in found.items())


def stage_of_alias(alias: str, stages: Iterable[str]) -> str | None:
    """Return the protected stage that an alias would be taken for."""
    return next((stage for stage in stages if stage.casefold() == alias.casefold()), None)


def stage_like(alias: str, stages: Iterable[str]) -> str | None:
    """Return the protected stage that people would take an alias for, though no program does."""
    return next((stage for stage in stages if looks_like(alias, stage)), None)


def refuse_lookalike(model: str, alias: str, stage: str) -> NotApproved:
    """Return why an alias that looks like a protected stage is not set."""
    return _refusal(
        f"alias {alias!a} of {model} is not set: it looks like the protected stage {stage}",
        f'choose another alias; slipway promote {model}/N --to {stage} --reason "…" moves what is in {stage}',
    )


def names_alike(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the models that a new name could be taken for; a plain name is taken for no other."""
    return () if is_plain(name) else tuple(each for each in known if each != name and looks_like(name, each))


def refuse_alike(name: str, hold: Hold) -> NotApproved:
    """Return why no model gets a name that looks like that of a protected one."""
    return _refusal(
        f"no model is called {name!a}: it looks like {hold.model}, and {hold}",
        "choose a name in plain letters, without spaces at its ends",
    )


def refuse_anothers(name: str, stage: str) -> NotApproved:
    """Return why a name whose model was in a protected stage is not given to another model."""
    return NotApproved(
        f"no other model is called {name}: a model of that name was in the protected stage {stage}, and who asked for "
        "its versions by name and number would get those of the new one",
        code="name-has-a-past",
        hint="choose another name; or have an administrator of the server make or rename it",
    )


def refuse_taken(name: str) -> Conflict:
    """Return that a model has a name already, as MLflow's own clients know it: they go on with that model."""
    return Conflict(f"Registered Model (name={name}) already exists", code=TAKEN, hint=None)


def refuse_among(asked: str, root: str) -> NotApproved:
    """Return why no experiment has its artifacts among those of a run or logged model of another one."""
    return NotApproved(
        f"{asked}: a run or logged model of another experiment has its artifacts at {root}",
        code="anothers-artifacts",
        hint="choose a location that nothing lies around, or none: the server then finds one",
    )


def refuse_borrowed(asked: str, run_id: str) -> NotApproved:
    """Return why no version, or logged model, names a run that did not store its files."""
    return NotApproved(
        f"{asked}: run {run_id} did not store them",
        code="anothers-run",
        hint="name the run that did, or none",
    )


def refuse_by_place(asked: str) -> NotApproved:
    """Return why no version is made of files that somebody names by where the server keeps them."""
    return NotApproved(
        f"{asked}: the server keeps files there, and they are not those of the run or logged model that it names",
        code="kept-by-the-server",
        hint="name them as the server does: runs:/RUN/…, models:/m-… or mlflow-artifacts:/…",
    )


def refuse_elsewhere(asked: str, location: str, own: str) -> NotApproved:
    """Return why no version enters a stage, or no experiment is made, whose files the server does not keep."""
    return NotApproved(
        f"{asked}: {location} is not among what the server keeps at {own}, and it guards nothing else",
        code="kept-elsewhere",
        hint="log the model in an experiment whose artifacts the server keeps (mlflow-artifacts:/…); or have the place "
        "trusted in the server's slipway.yaml: registry: {artifact_places: […]}",
    )


def stage_of_label(label: str, stages: Iterable[str]) -> str | None:
    """Return the protected stage that has an MLflow stage."""
    return next((stage for stage in stages if (mlflow_stage_of(stage) or "").casefold() == label.casefold()), None)


def refuse_to_move_alias(model: str, alias: str, stage: str, holds: Sequence[Hold], *, to: int | None) -> NotApproved:
    """Return why an alias of a protected stage is not set to a version, or with `None` not removed."""
    there = next((hold for hold in holds if hold.stage == stage), None)
    asked = f"alias '{alias}' of {model} is not {'removed' if to is None else f'set to {to}'} by hand"
    found = str(there) if there else f"nothing of {model} is in {stage}"
    proper = demoting(there) if to is None else f'slipway promote {model}/{to} --to {stage} --reason "…"'
    return _refusal(f"{asked}: {stage} is a protected stage, and {found}", proper)


def refuse_to_label(model: str, number: int, label: str, stage: str) -> NotApproved:
    """Return why a version does not get MLflow's stage of a protected stage."""
    asked = f"{model}/{number} does not get MLflow's stage {label} by hand"
    return _refusal(
        f"{asked}: it belongs to the protected stage {stage}",
        f'slipway promote {model}/{number} --to {stage} --reason "…"',
    )


def require_none_of_ours(asked: str, target: Place) -> None:
    """Refuse to write or delete where a server keeps its own copies, of whatever version.

    Raises
    ------
    NotApproved
        A part of the path is called as their folder is.
    """
    if is_for_copies(target):
        raise _refusal(
            f"{asked}: {KEPT} is where the server keeps its own copies of what was put into stages",
            "store it under another name",
        )


def require_unheld(asked: str, holds: Sequence[Hold]) -> None:
    """Refuse what would take something from under a protected stage.

    `asked` is the call in the words of a sentence: "version 3 of cancer is not deleted".

    Raises
    ------
    NotApproved
        A version that it concerns is in a protected stage.
    """
    if holds:
        named = "; ".join(map(str, holds[:NAMED_AT_MOST]))
        more = f"; and {len(holds) - NAMED_AT_MOST} more" if len(holds) > NAMED_AT_MOST else ""
        raise _refusal(f"{asked}: {named}{more}", demoting(holds[0]))


def require_nothing_becomes_protected(shown: ShownModel, new_name: str, stages: Sequence[str]) -> None:
    """Refuse a rename that carries an alias or label to where setting it would be refused.

    Raises
    ------
    NotApproved
        An alias or MLflow's stage of the model means, or looks like, a protected stage of the new name's.
    """
    name = shown.model.name
    for alias, number in shown.model.aliases.items():
        stage = stage_of_alias(alias, stages) or stage_like(alias, stages)
        if stage is not None:
            raise _refusal(
                f"model {name} is not renamed to {new_name}: {name}/{number} has the alias {alias}, and {stage} is a "
                f"protected stage of {new_name}",
                f'remove the alias, rename, then: slipway promote {new_name}/{number} --to {stage} --reason "…"',
            )
    for number, label in shown.labels.items():
        stage = stage_of_label(label, stages)
        if stage is not None:
            raise _refusal(
                f"model {name} is not renamed to {new_name}: {name}/{number} has MLflow's stage {label}, and {stage} "
                f"is a protected stage of {new_name}",
                f"set MLflow's stage of {name}/{number} to None, rename, then: slipway promote {new_name}/{number} "
                f'--to {stage} --reason "…"',
            )


def require_same_rules(model: str, name: str, *, was_moved: bool, same_policy: bool) -> None:
    """Refuse to rename a model with a history to a name with another policy.

    A rollback passes no gate, because what it goes back to passed one: that has to have been the name's own.

    Raises
    ------
    NotApproved
        The model has a history, and the other name has another policy.
    """
    if was_moved and not same_policy:
        raise _refusal(
            f"{model} is not renamed to {name}: it has a history under another policy than that name's",
            f"slipway policy show {name}; register its versions under the name {name}, and promote them there",
        )


def require_not_ours(asked: str, keys: Iterable[str]) -> None:
    """Refuse to rewrite tags in which Slipway notes what it decided.

    Raises
    ------
    NotApproved
        A key begins with `slipway.`.
    """
    ours = sorted(key for key in keys if is_ours(key))
    if ours:
        raise _refusal(
            f"tag {ours[0]} of {asked} is not changed by hand: Slipway notes there what was decided",
            "use a tag of your own; slipway history shows what was decided, and slipway status mends what is wrong",
        )


def require_no_prompt_tag(asked: str, keys: Collection[str]) -> None:
    """Refuse to turn a model into a prompt, or a prompt into a model: the one is guarded, the other is not.

    Raises
    ------
    NotApproved
        The tag that tells them apart is among the keys.
    """
    if PROMPT_TAG in keys:
        raise _refusal(
            f"tag {PROMPT_TAG} of {asked} is not changed: a model does not become a prompt, nor a prompt a model",
            "register it anew under another name",
        )


def is_ours(key: str) -> bool:
    """Return whether a tag is Slipway's, without regard to case."""
    return key.casefold().startswith(OUR_TAGS)


def is_projected(key: str) -> bool:
    """Return whether a tag says in which stage something is: nothing new is in one, nor is a copy."""
    return key.casefold() in PROJECTED_TAGS


def demoting(hold: Hold | None) -> str:
    """Return the command that frees a version, where there is one to free."""
    if hold is None:
        return "slipway status"
    if hold.is_former:
        return f'slipway archive {hold.model}/{hold.number} --reason "…"'
    return f'slipway demote {hold.model}/{hold.number} --reason "…"'


def _refusal(message: str, proper: str) -> NotApproved:
    return NotApproved(message, code="protected-stage", hint=proper)
