"""What is protected now, asked by the doors that guard a server: gathered here, judged by `guard.guard`.

A version is protected while it is in a stage of its model's policy: by the history, by its alias or by MLflow's stage
label. Its files, its run and its logged model are so too while a rollback may go back to it. What is deleted is held
still meanwhile, under the lock under which versions are promoted.

It is one long thing: each guarded call of MLflow's is one short method, and all share how a version is held.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.registry.artifacts.locations import (
    DEFAULT_WORKSPACE,
    FOLDERS,
    Place,
    names_no_place,
    place_of,
    places_named,
    proxied_path,
)
from slipway.registry.artifacts.place_index import PlaceIndex
from slipway.registry.artifacts.unclear_locations import require_plain
from slipway.registry.errors import Conflict, NotApproved, NotFound
from slipway.registry.ledger.history import History
from slipway.registry.ledger.identity import uid_of
from slipway.registry.ledger.model_state import chosen_files, fold
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.server.guard.guard import (
    PROMPT_TAG,
    Hold,
    ShownModel,
    former_hold,
    former_holds_of,
    holds_of,
    is_ours,
    names_alike,
    refuse_alike,
    refuse_among,
    refuse_anothers,
    refuse_borrowed,
    refuse_by_place,
    refuse_elsewhere,
    refuse_lookalike,
    refuse_taken,
    refuse_to_label,
    refuse_to_move_alias,
    require_no_prompt_tag,
    require_none_of_ours,
    require_not_ours,
    require_nothing_becomes_protected,
    require_same_rules,
    require_unheld,
    stage_like,
    stage_of_alias,
    stage_of_label,
    with_formers,
)
from slipway.registry.stages import mlflow_stage_of
from slipway.registry.text import can_be_asked_for, require_new_name

RESTS_ON = ("slipway", "holdout")
ALL_MODELS = "*"
VERSION_OF = re.compile(r"models:/(?P<model>.+)/(?P<number>[0-9]{1,9})")


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class VersionKey:
    """A version, wherever it is."""

    workspace: str
    model: str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedVersion:
    """A version with where its files lie; `run_root` is where its run keeps all of its artifacts.

    `word` is the alias or MLflow's stage by which it was found.
    """

    key: VersionKey
    word: str
    locations: tuple[str, ...]
    run_root: str | None


class GuardedTables(Protocol):
    """What MLflow's registry shows, across workspaces."""

    def model(self, workspace: str, name: str) -> ShownModel | None:
        """Return a model or prompt with its aliases and MLflow stages; `None` where there is none."""

    def models(self, workspace: str) -> tuple[str, ...]:
        """Return the names of a workspace's models and prompts."""

    def versions_of_run(self, run_id: str) -> tuple[VersionKey, ...]:
        """Return the versions that a run made, or whose stored model it made."""

    def versions_of_logged_model(self, model_id: str) -> tuple[VersionKey, ...]:
        """Return the versions, copies among them, whose files are a logged model's."""

    def versions_of_experiment(self, experiment_id: str) -> tuple[VersionKey, ...]:
        """Return the versions whose run or logged model is in an experiment."""

    def stored(self, stages: Sequence[str]) -> tuple[LocatedVersion, ...]:
        """Return the versions that have the alias, in whatever case, or the MLflow stage of one of the stages."""

    def stored_numbers(self, workspace: str, created_ms: int, numbers: Collection[int]) -> tuple[LocatedVersion, ...]:
        """Return those of a model's versions that are there, without a word; the model is told by its creation time."""

    def run_root(self, run_id: str) -> str | None:
        """Return where a run keeps its artifacts."""

    def outputs_of_run(self, run_id: str) -> tuple[str, ...]:
        """Return where a run's files lie: its own root, and each model that it logged, by name and place."""

    def artifact_roots(self, ids: Collection[str]) -> tuple[str, ...]:
        """Return where those runs and logged models keep their artifacts that have one of the identifiers."""


class KeptVersions(Protocol):
    """The versions that a stage may be given back."""

    def index(self) -> PlaceIndex[LocatedVersion]:
        """Return them by their places; the word of each is the stage on whose stack it is."""


class Copies(Protocol):
    """The server's own copies of what was put into stages."""

    def find(self, logged: str, digest: str) -> str | None:
        """Return where the copy of what was logged at a location lies; `None` where there is none."""

    def keep(self, logged: str, digest: str, what: str, stored_files: Callable[[str], Path]) -> None:
        """Have a whole copy of what was logged at a location, whose manifest has a digest.

        Raises `Corrupt` where it has another, `NotFound` where it is gone, `Unavailable` where it cannot be stored.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Protection:
    """Asks what is protected, and refuses what would harm it.

    `last_policies` are those that were read last, where they cannot be read now. `destination` is where the server
    keeps the artifacts that it passes on, `others` are places beside it where nobody writes behind its back;
    `by_administrator` says whether who asks now may do what others may not, as anybody may on a server without users.
    """

    tables: GuardedTables
    history: History
    kept: KeptVersions
    policies: Callable[[], PolicyBook]
    last_policies: Callable[[], PolicyBook]
    destination: Callable[[], str | None]
    copies: Copies
    by_administrator: Callable[[], bool]
    others: tuple[str, ...] = ()

    @contextmanager
    def alias_may_move(self, workspace: str, name: str, alias: str, *, to: int | None) -> Iterator[None]:
        """Refuse to set an alias of a protected stage, or with `None` to remove it; or to set one that looks like it.

        One that only looks like it may be removed. Nobody renames the model meanwhile to a name of whose stages the
        alias is one.
        """
        with self._one_still(workspace, name) as models:
            for shown in models:
                self._require_free_alias(shown, alias, to=to)
            yield

    def name_may_be_given(self, workspace: str, name: str) -> None:
        """Refuse a name of which another model was in a protected stage, or that looks like one's, or means all."""
        self._require_plain_name(workspace, name)
        if stage := self._was_in(workspace, name, besides=None):
            raise refuse_anothers(name, stage) if self.tables.model(workspace, name) is None else refuse_taken(name)

    @contextmanager
    def label_may_change(self, workspace: str, name: str, number: int, label: str) -> Iterator[None]:
        """Refuse to give a version the MLflow stage of a protected stage, or to take it from one that is there."""
        stage = stage_of_label(label, self._stages(name))
        with self._one_still(workspace, name) as models:
            for shown in models:
                if stage and not shown.is_prompt:
                    raise refuse_to_label(name, number, label, stage)
                held = [hold for hold in self._holds(shown) if hold.number == number]
                require_unheld(f"MLflow's stage of {name}/{number} is not changed by hand", held)
            yield

    @contextmanager
    def version_may_go(self, workspace: str, name: str, number: int) -> Iterator[None]:
        """Refuse to delete a version in a protected stage, or one that a rollback may go back to."""
        with self._one_still(workspace, name) as models:
            held = [hold for shown in models for hold in self._holds_and_formers(shown) if hold.number == number]
            require_unheld(f"{name}/{number} is not deleted", held)
            yield

    @contextmanager
    def model_may_go(self, workspace: str, name: str) -> Iterator[None]:
        """Refuse to delete a model with a version in a protected stage."""
        with self._one_still(workspace, name) as models:
            require_unheld(f"model {name} is not deleted", [hold for each in models for hold in self._holds(each)])
            yield

    @contextmanager
    def model_may_be_renamed(self, workspace: str, name: str, new_name: str) -> Iterator[None]:
        """Refuse to rename a model with a version in a protected stage, or one that would have one by its new name.

        With a history, it is not renamed to a name with other rules.
        """
        self._require_plain_name(workspace, new_name)
        with self._one_still(workspace, name) as models:
            for shown in models:
                if stage := self._was_in(workspace, new_name, besides=self._uid(shown)):
                    raise refuse_anothers(new_name, stage)
                if shown.is_prompt:
                    continue
                require_unheld(f"model {name} is not renamed", self._holds(shown))
                self._require_no_other(shown, new_name)
                book = self.policies()
                require_nothing_becomes_protected(shown, new_name, book.of(new_name).names)
                require_same_rules(
                    name,
                    new_name,
                    was_moved=bool(self.history.moves(self._uid(shown))),
                    same_policy=book.of(name).digest == book.of(new_name).digest,
                )
            yield

    @contextmanager
    def workspace_may_go(self, workspace: str) -> Iterator[None]:
        """Refuse to delete a workspace with a version in a protected stage."""
        with self._still([(workspace, name) for name in self.tables.models(workspace)]) as models:
            holds = [hold for shown in models for hold in self._holds(shown)]
            require_unheld(f"workspace {workspace} is not deleted", holds)
            yield

    def tags_may_change(self, workspace: str, name: str, asked: str, keys: Sequence[str]) -> None:
        """Refuse to change Slipway's tags of a model or version, and the one that tells prompts from models."""
        if not any(map(_matters, keys)):
            return
        shown = self._there(workspace, name)
        if shown is None:
            return
        require_no_prompt_tag(asked, keys)
        if not shown.is_prompt:
            require_not_ours(asked, keys)

    def version_may_have(
        self,
        workspace: str,
        name: str,
        source: str,
        keys: Sequence[str],
        *,
        run_id: str | None = None,
        model_id: str | None = None,
    ) -> None:
        """Refuse to make a version of a model that has the tag of a prompt's, or of files that are not its origins'.

        Those are the run and the logged model that it names. Of files that the server passes on, MLflow asks itself
        whether they are theirs, but not where somebody calls them by the place where the server keeps them. A run that
        stored something else would be held for a version that it has nothing to do with.
        """
        asked = f"no version of {name} is made of files"
        require_plain(source, asked)
        origins = [each for each in (run_id, model_id) if each]
        if run_id and not self._stored_by(run_id, source, workspace):
            raise refuse_borrowed(f"{asked} at {source}", run_id)
        kept = place_of(self.destination() or "", destination=None)
        if kept is not None and proxied_path(source) is None:
            found = [place for place in self._places(source, workspace) if place.is_in(kept)]
            roots = [each for root in self.tables.artifact_roots(origins) for each in self._places(root, workspace)]
            if any(not any(map(place.is_in, roots)) for place in found):
                raise refuse_by_place(f"{asked} at {source}")
        if PROMPT_TAG in keys:
            shown = self.tables.model(workspace, name)
            if shown is not None and not shown.is_prompt:
                require_no_prompt_tag(f"a version of {name}", keys)

    @contextmanager
    def run_may_go(self, run_id: str) -> Iterator[None]:
        """Refuse to delete the run of a version in a protected stage."""
        with self._unheld(f"run {run_id} is not deleted", lambda: self.tables.versions_of_run(run_id)):
            yield

    @contextmanager
    def logged_model_may_go(self, model_id: str, what: str = "deleted") -> Iterator[None]:
        """Refuse to delete the logged model of a version in a protected stage."""
        asked = f"logged model {model_id} is not {what}"
        with self._unheld(asked, lambda: self.tables.versions_of_logged_model(model_id)):
            yield

    @contextmanager
    def experiment_may_go(self, experiment_id: str) -> Iterator[None]:
        """Refuse to delete the experiment in which the run or logged model of a version in a protected stage is."""
        asked = f"experiment {experiment_id} is not deleted"
        with self._unheld(asked, lambda: self.tables.versions_of_experiment(experiment_id)):
            yield

    def run_tags_may_change(self, run_id: str, keys: Sequence[str]) -> None:
        """Refuse to change Slipway's tags of the run of a version in a protected stage."""
        if any(map(is_ours, keys)) and self._held(self.tables.versions_of_run(run_id)):
            require_not_ours(f"run {run_id}", keys)

    def logged_model_tags_may_change(self, model_id: str, keys: Sequence[str]) -> None:
        """Refuse to change Slipway's tags of the logged model of a version in a protected stage."""
        if any(map(is_ours, keys)) and self._held(self.tables.versions_of_logged_model(model_id)):
            require_not_ours(f"logged model {model_id}", keys)

    def require_free(self, target: Place | None) -> None:
        """Refuse to write or delete what a version in a protected stage consists of, or what its verdicts rest on.

        Whoever promotes it in this moment may be overtaken: MLflow serves the server's own copy, where nobody writes.
        """
        if target is None:
            return
        asked = f"nothing is written or deleted at {'/'.join(target.parts)}"
        require_none_of_ours(asked, target)
        require_unheld(asked, self._held_where(target.touches, self.kept.index().touched_by(target)))

    def run_file_may_change(self, run_id: str, path: str) -> None:
        """Refuse to store a run's artifact where that is part of a version in a protected stage."""
        for root in self._places(self.tables.run_root(run_id)):
            self.require_free(root.below(path))

    def require_outside_versions(self, run_id: str, path: str) -> None:
        """Refuse a run's artifact that would lie among the files of a version in a protected stage, or a former one.

        Slipway's own reports lie where what verdicts rest on is: that is no reason to refuse them.
        """
        for root in self._places(self.tables.run_root(run_id)):
            target = root.below(path)
            held = self._held_where(target.is_in, self.kept.index().around(target), files_only=True)
            require_unheld(f"{path} of run {run_id} is not stored", held)

    def served_location(self, workspace: str, name: str, number: int, logged: str) -> str:
        """Return where MLflow is to read a version's files, which were logged at a location.

        That is the server's own copy of the files that the last decision chose, from before that is recorded, and for
        good: whoever asked what is in a stage may come for it after the next decision. What was decided before servers
        kept copies has none.
        """
        shown = self.tables.model(workspace, name)
        if shown is None or shown.is_prompt:
            return logged
        chosen = chosen_files(self.history.moves(self._uid(shown)), number)
        return (chosen and self.copies.find(logged, chosen)) or logged

    def require_kept_here(self, workspace: str, asked: str, location: str) -> None:
        """Refuse a version of files that the server does not keep itself: whoever has their keys may change them.

        A server that keeps none passes nothing on, and guards no files.
        """
        own = self.destination()
        if own is None:
            return
        targets = self._places(location, workspace)
        if not targets or not all(map(self._is_kept, targets)):
            raise refuse_elsewhere(asked, location, own)

    def location_may_be_used(self, location: str, workspace: str) -> None:
        """Refuse an experiment whose runs would keep their artifacts among those of others.

        Those are versions in protected stages, and any run or logged model: a new experiment has none of its own.
        """
        asked = "no experiment keeps its artifacts"
        require_plain(location, asked)
        if names_no_place(location):
            raise NotApproved(
                f"{asked} at {location}: that names a model or a run, and no place",
                code="unclear-location",
                hint="name a folder or a bucket; without a location, the server chooses one",
            )
        own = self.destination()
        for target in self._places(location, workspace):
            require_none_of_ours(f"{asked} at {location}", target)
            if own is not None and target.store == FOLDERS and not self._is_kept(target):
                raise refuse_elsewhere(asked, location, own)  # the server writes there for whoever uploads to a run
            held = self._held_where(target.is_in, self.kept.index().around(target))
            require_unheld(f"{asked} at {location}", held)
            for root in self.tables.artifact_roots(target.parts):
                if any(
                    target.is_in(each) for there in (workspace, DEFAULT_WORKSPACE) for each in self._places(root, there)
                ):
                    raise refuse_among(f"{asked} at {location}", root)

    def _require_plain_name(self, workspace: str, name: str) -> None:
        """Refuse a name that looks like that of another model with a version in a protected stage, or means all."""
        if name == ALL_MODELS:
            raise NotApproved(
                f"no model is called {name}: to MLflow's permissions that is every model, and whoever makes it has all",
                code="wrong-name",
                hint="give it another name",
            )
        require_new_name(name, "the model's name")
        for alike in names_alike(name, self.tables.models(workspace)):
            shown = self.tables.model(workspace, alike)
            holds = self._holds(shown) if shown is not None else ()
            if holds:
                raise refuse_alike(name, holds[0])

    def _was_in(self, workspace: str, name: str, *, besides: str | None) -> str | None:
        """Return a protected stage in which a model of that name was, whose identity is not `besides`.

        Who has read its alias, and asks for its number, would get what has the number in another model of the name. So
        would he where the name is still its own, and is renamed away in the next moment. For an administrator, who may
        give the name all the same, there is none.
        """
        stages = () if self.by_administrator() else self._stages(name)
        known = self.history.model_uids(prefix=f"{workspace}/", model=name) if stages else ()
        entered = (each.event.stage for uid in known if uid != besides for each in self.history.moves(uid))
        return next((stage for stage in entered if stage in stages), None)

    def _held_where(
        self,
        applies: Callable[[Place], bool],
        kept: Sequence[LocatedVersion],
        *,
        files_only: bool = False,
    ) -> tuple[Hold, ...]:
        """Return the versions in protected stages of which some place is meant, and those of the kept ones."""
        book = self.policies()
        stages = {stage: None for policy in (book.default, *map(book.of, book.models)) for stage in policy.names}
        found = (
            _held_as(stored, book.of(stored.key.model).names)
            for stored in self.tables.stored(tuple(stages))
            if any(map(applies, places_of(stored, self.destination(), files_only=files_only)))
        )
        formers = (
            former_hold(each.key.model, each.key.number, each.word)
            for each in kept
            if each.word in book.of(each.key.model).names
            and (not files_only or any(map(applies, places_of(each, self.destination(), files_only=True))))
        )
        return with_formers((hold for hold in found if hold is not None), formers)

    def _places(self, location: str | None, workspace: str = DEFAULT_WORKSPACE) -> tuple[Place, ...]:
        return places_named(location, destination=self.destination(), workspace=workspace) if location else ()

    def _stored_by(self, run_id: str, source: str, workspace: str) -> bool:
        """Return whether a run stored the files of a source, or nothing is known of it."""
        outputs = self.tables.outputs_of_run(run_id)
        version = VERSION_OF.fullmatch(source)
        shown = self.tables.model(workspace, version["model"]) if version else None
        copied = (
            self.tables.stored_numbers(workspace, shown.model.created_ms, [int(version["number"])])
            if version and shown
            else ()
        )
        sources = {source, *(location for each in copied for location in each.locations)}
        roots = [place for output in outputs for place in self._places(output, workspace)]
        found = [place for each in sources for place in self._places(each, workspace)]
        return not outputs or not sources.isdisjoint(outputs) or any(any(map(place.is_in, roots)) for place in found)

    def _is_kept(self, target: Place) -> bool:
        """Return whether a place is among those that the server keeps, or that its team trusts."""
        known = (place_of(each, destination=None) for each in (self.destination(), *self.others) if each)
        return any(place is not None and target.is_in(place) for place in known)

    def _there(self, workspace: str, name: str) -> ShownModel | None:
        """Return a model; `None` for a name that none can have, which MLflow says better.

        Raises
        ------
        NotFound
            No model has the name: one that is renamed to it in the next moment was not checked.
        """
        shown = self.tables.model(workspace, name)
        if shown is None and can_be_asked_for(name):
            raise NotFound(f"Registered Model with name={name} not found", code="unknown-model", hint=None)
        return shown

    def _uid(self, shown: ShownModel) -> str:
        return uid_of(shown.model, self.history, lambda name: self._named(shown.model.workspace, name))

    def _require_no_other(self, shown: ShownModel, new_name: str) -> None:
        """Refuse a name by which the history would take the model for another, made in the same millisecond."""
        model = shown.model
        other = f"{model.workspace}/{model.created_ms}/{new_name}"
        if other != self._uid(shown) and self.history.head(other) is not None:
            raise NotApproved(
                f"model {model.name} is not renamed to {new_name}: the history knows another model by that name, made "
                "in the same millisecond",
                code="another-model",
                hint="give it another name",
            )

    def _named(self, workspace: str, name: str) -> RegisteredModel:
        shown = self.tables.model(workspace, name)
        if shown is None or shown.is_prompt:
            raise NotFound(f"there is no model '{name}'", code="unknown-model", hint=None)
        return shown.model

    def _stages(self, name: str) -> tuple[str, ...]:
        return self.policies().of(name).names

    def _holds(self, shown: ShownModel) -> tuple[Hold, ...]:
        if shown.is_prompt:
            return ()
        moves = self.history.moves(self._uid(shown))
        return holds_of(shown, fold(moves), self._stages(shown.model.name))

    def _holds_and_formers(self, shown: ShownModel) -> tuple[Hold, ...]:
        """Return the versions of a model that are in a protected stage, and those that a rollback may go back to."""
        if shown.is_prompt:
            return ()
        state, stages = fold(self.history.moves(self._uid(shown))), self._stages(shown.model.name)
        return with_formers(holds_of(shown, state, stages), former_holds_of(shown, state, stages))

    def _held(self, versions: Sequence[VersionKey]) -> list[Hold]:
        """Return those of the versions that are in a protected stage, or that a rollback may go back to."""
        numbers: dict[tuple[str, str], set[int]] = {}
        for each in versions:
            numbers.setdefault((each.workspace, each.model), set()).add(each.number)
        shown = {key: self.tables.model(*key) for key in numbers}
        return [
            hold
            for key, model in shown.items()
            if model is not None
            for hold in self._holds_and_formers(model)
            if hold.number in numbers[key]
        ]

    def _require_free_alias(self, shown: ShownModel, alias: str, *, to: int | None) -> None:
        name, stages = shown.model.name, self._stages(shown.model.name)
        stage, like = stage_of_alias(alias, stages), stage_like(alias, stages)
        if shown.is_prompt or like is None:
            return
        if stage is not None:
            raise refuse_to_move_alias(name, alias, stage, self._holds(shown), to=to)
        if to is not None:
            raise refuse_lookalike(name, alias, like)

    @contextmanager
    def _unheld(self, asked: str, versions: Callable[[], Sequence[VersionKey]]) -> Iterator[None]:
        """Refuse what would take something from versions in protected stages, which are held still meanwhile."""
        keys = _models_of(versions())
        with self._still(keys):
            found = versions()
            if not _models_of(found) <= keys:
                raise _changed(f"{asked}: another model has a version of it")
            require_unheld(asked, self._held(found))
            yield

    @contextmanager
    def _one_still(self, workspace: str, name: str) -> Iterator[list[ShownModel]]:
        """Hold a model still; none for a name that none can have."""
        self._there(workspace, name)
        with self._still([(workspace, name)]) as models:
            yield models

    @contextmanager
    def _still(self, keys: Collection[tuple[str, str]]) -> Iterator[list[ShownModel]]:
        """Hold models and prompts so that nobody promotes, renames or deletes them; what is not there is left out."""
        known = [model for key in sorted(keys) if (model := self.tables.model(*key)) is not None]
        uids = {self._uid(each) for each in known}
        with ExitStack() as held:
            for uid in sorted(uids):
                held.enter_context(self.history.lock(uid))
            again = [self.tables.model(each.model.workspace, each.model.name) for each in known]
            found = [each for each in again if each is not None]
            if {self._uid(each) for each in found} != uids:
                raise _changed("a model was renamed or deleted meanwhile")
            yield found


def _models_of(versions: Iterable[VersionKey]) -> set[tuple[str, str]]:
    return {(each.workspace, each.model) for each in versions}


def _changed(asked: str) -> Conflict:
    return Conflict(asked, code="changed-meanwhile", hint="read it again, then ask again")


def places_of(stored: LocatedVersion, destination: str | None, *, files_only: bool = False) -> Iterator[Place]:
    """Yield where a version's files lie, and unless only they count, where those of its run that verdicts rest on."""
    files = [(location, "") for location in stored.locations]
    grounds = [] if files_only else [(stored.run_root or "", path) for path in RESTS_ON]
    for root, path in [*files, *grounds]:
        for place in places_named(root, destination=destination, workspace=stored.key.workspace) if root else ():
            yield place.below(path)


def _matters(key: str) -> bool:
    return is_ours(key) or key == PROMPT_TAG


def _held_as(stored: LocatedVersion, stages: Sequence[str]) -> Hold | None:
    """Return how a version is held, where the word by which it was found is one of its own model's stages."""
    stage = stage_of_alias(stored.word, stages) or next((s for s in stages if mlflow_stage_of(s) == stored.word), None)
    key = stored.key
    return Hold(model=key.model, number=key.number, stage=stage, because=f"as {stored.word}") if stage else None
