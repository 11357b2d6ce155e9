"""What is protected and what is refused, on stand-ins of MLflow's tables and of the ledger."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import pytest

from slipway.registry.artifacts.locations import place_of
from slipway.registry.decisions.projection import PROJECTED_TAGS, STAGE_TAG
from slipway.registry.errors import Conflict, InvalidInput, NotApproved, Unavailable
from slipway.registry.ledger.history import History
from slipway.registry.ledger.situation import look
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.server.guard.guard import PROMPT_TAG, ShownModel
from slipway.registry.server.guard.kept import Kept
from slipway.registry.server.guard.protection import LocatedVersion, Protection, VersionKey
from slipway.registry.version import parse_ref
from tests.doubles.fakes import FakeCopies, logged_model
from tests.unit.registry.decisions.test_promote import CHOSEN, LOOSE, Desk

HERE = "default"
DOCUMENT = {
    **LOOSE,
    "models": {
        "strict": {"production": {"allow_override": True}},
        "sandbox": {"production": None},
    },
}


@dataclass
class FakeTables:
    """MLflow's tables on the stand-in of its registry."""

    desk: Desk
    prompts: set[str] = field(default_factory=set)
    labels: dict[int, str] = field(default_factory=dict)
    locations: dict[int, str] = field(default_factory=dict)
    root: str = "mlflow-artifacts:/0/r"
    roots: dict[str, str] = field(default_factory=dict)

    def model(self, workspace: str, name: str) -> ShownModel | None:
        if name in self.prompts:
            return ShownModel(model=replace(self.desk.registry.model("m"), name=name, tags={}), is_prompt=True)
        if workspace != HERE or name not in self.desk.registry.known:
            return None
        shown = {v.number: v.mlflow_stage for v in self.desk.registry.versions(name) if v.mlflow_stage}
        return ShownModel(model=self.desk.registry.model(name), labels={**shown, **self.labels})

    def models(self, workspace: str) -> tuple[str, ...]:
        return tuple(self.desk.registry.known) if workspace == HERE else ()

    def versions_of_run(self, run_id: str) -> tuple[VersionKey, ...]:
        return self._keys(run_id.removeprefix("run"))

    def versions_of_logged_model(self, model_id: str) -> tuple[VersionKey, ...]:
        return self._keys(model_id.removeprefix("m-"))

    def versions_of_experiment(self, experiment_id: str) -> tuple[VersionKey, ...]:
        return self._keys(*"123") if experiment_id == "0" else ()

    def stored(self, stages) -> tuple[LocatedVersion, ...]:
        found = []
        for version in self.desk.registry.versions("m"):
            for alias in version.aliases:
                if alias.lower() in {stage.lower() for stage in stages}:
                    key = VersionKey(workspace=HERE, model="m", number=version.number)
                    where = (self.locations.get(version.number, f"mlflow-artifacts:/0/models/m-{version.number}"),)
                    found.append(LocatedVersion(key=key, word=alias, locations=where, run_root="mlflow-artifacts:/0/r"))
        return tuple(found)

    def stored_numbers(self, workspace: str, created_ms: int, numbers) -> tuple[LocatedVersion, ...]:
        there = [each.number for each in self.desk.registry.versions("m") if each.number in numbers]
        return tuple(
            LocatedVersion(
                key=VersionKey(workspace=HERE, model="m", number=number),
                word="",
                locations=(self.locations.get(number, f"mlflow-artifacts:/0/models/m-{number}"),),
                run_root="mlflow-artifacts:/0/r" if number == 2 else f"mlflow-artifacts:/0/r{number}",
            )
            for number in there
        )

    def run_root(self, run_id: str) -> str | None:
        return self.root

    def outputs_of_run(self, run_id: str) -> tuple[str, ...]:
        return (self.roots[run_id], "models:/m-2") if run_id in self.roots else ()

    def artifact_roots(self, ids) -> tuple[str, ...]:
        return tuple(self.roots[each] for each in ids if each in self.roots)

    @staticmethod
    def _keys(*numbers: str) -> tuple[VersionKey, ...]:
        return tuple(VersionKey(workspace=HERE, model="m", number=int(number)) for number in numbers)


@dataclass
class Guarded:
    """A protection with a model whose second version is in production and whose first was there before."""

    desk: Desk
    tables: FakeTables
    protection: Protection


@pytest.fixture
def guarded() -> Guarded:
    """Return what guards a model of three versions."""
    desk = Desk(policy=DOCUMENT)
    for number in (1, 2):
        desk.promote(number, "production")
    tables = FakeTables(desk)
    protection = Protection(
        tables=tables,
        history=desk.history,
        kept=Kept(tables, desk.history, lambda: "s3://bucket"),
        policies=lambda: PolicyBook(DOCUMENT, source="test"),
        last_policies=lambda: PolicyBook(DOCUMENT, source="test"),
        destination=lambda: "s3://bucket",
        copies=FakeCopies(),
        by_administrator=lambda: False,
    )
    return Guarded(desk, tables, protection)


KEPT = ("mlflow-artifacts:/1/models/m-1/artifacts", "s3://bucket/1/models/m-1", "s3://team/models/m-1")
ELSEWHERE = (
    "s3://eves/m",
    "s3://bucket-2/m",
    "s3://team-2/m",
    "file:///tmp/m",
    "/tmp/m",
    "gs://bucket/m",
    "runs:/r/model",
    "RUNS:/r/model",
    "models:/m/1",
)


@pytest.mark.parametrize("location", KEPT)
def test_a_version_of_files_that_the_server_keeps_may_enter_a_stage(guarded: Guarded, location: str):
    """Those that it passes on, and those at a place that its settings name."""
    trusting = replace(guarded.protection, others=("s3://team",))
    trusting.require_kept_here(HERE, "m/3 enters no stage", location)


@pytest.mark.parametrize("location", ELSEWHERE)
def test_a_version_of_files_that_others_keep_enters_no_stage(guarded: Guarded, location: str):
    """Whoever has their keys could change them afterwards; a server that keeps nothing guards nothing."""
    trusting = replace(guarded.protection, others=("s3://team",))
    with pytest.raises(NotApproved, match=r"m/3 enters no stage: .* is not among what the server keeps") as found:
        trusting.require_kept_here(HERE, "m/3 enters no stage", location)
    assert (found.value.code, "artifact_places" in (found.value.hint or "")) == ("kept-elsewhere", True)
    replace(trusting, destination=lambda: None).require_kept_here(HERE, "m/3 enters no stage", location)


def enter(manager) -> None:
    """Do nothing under a guard."""
    with manager:
        pass


def refused(act: Callable[[], object], *words: str) -> None:
    """Require that something is refused, saying what holds it and what does it properly."""
    with pytest.raises(NotApproved) as found:
        act()
    assert found.value.code == "protected-stage"
    said = f"{found.value.message} {found.value.hint}"
    assert [word for word in words if word not in said] == [], said


HELD = ("m/2 is in production (put there by ann", "slipway demote m/2")


@pytest.mark.parametrize("alias", ["production", "Production", "PRODUCTION", "staging"])
def test_an_alias_of_a_stage_is_moved_by_nobody(guarded: Guarded, alias: str):
    """In whatever case, and also where nothing is in the stage yet."""
    move = guarded.protection.alias_may_move
    refused(lambda: enter(move(HERE, "m", alias, to=3)), f"slipway promote m/3 --to {alias.lower()}")
    refused(lambda: enter(move(HERE, "m", alias, to=None)), "not removed by hand")


def test_other_aliases_are_free(guarded: Guarded):
    """Also those that merely contain a stage's name."""
    for alias in ("live", "production-old", "pre_staging"):
        enter(guarded.protection.alias_may_move(HERE, "m", alias, to=3))
        enter(guarded.protection.alias_may_move(HERE, "m", alias, to=None))


def test_the_refusal_names_who_is_there(guarded: Guarded):
    """So that it is clear whom to talk to."""
    refused(lambda: enter(guarded.protection.alias_may_move(HERE, "m", "production", to=None)), *HELD)


@pytest.mark.parametrize("label", ["Production", "production", "Staging"])
def test_a_label_of_a_stage_is_given_by_nobody(guarded: Guarded, label: str):
    """MLflow takes labels in any case."""
    refused(lambda: enter(guarded.protection.label_may_change(HERE, "m", 3, label)), "slipway promote m/3 --to")


def test_a_label_is_taken_from_nothing_that_is_in_a_stage(guarded: Guarded):
    """Others may be archived."""
    refused(lambda: enter(guarded.protection.label_may_change(HERE, "m", 2, "Archived")), *HELD)
    guarded.tables.labels[3] = "Staging"
    refused(lambda: enter(guarded.protection.label_may_change(HERE, "m", 3, "None")), "it has MLflow's stage Staging")
    enter(guarded.protection.label_may_change(HERE, "m", 1, "None"))


GOING = {
    "version": lambda guard: guard.version_may_go(HERE, "m", 2),
    "model": lambda guard: guard.model_may_go(HERE, "m"),
    "name": lambda guard: guard.model_may_be_renamed(HERE, "m", "other"),
    "workspace": lambda guard: guard.workspace_may_go(HERE),
    "run": lambda guard: guard.run_may_go("run2"),
    "logged model": lambda guard: guard.logged_model_may_go("m-2"),
    "experiment": lambda guard: guard.experiment_may_go("0"),
}


@pytest.mark.parametrize("what", GOING)
def test_what_holds_a_stage_stays(guarded: Guarded, what: str):
    """Its version, model, name, workspace, run, logged model and experiment; once it left the stage, they may go."""
    refused(lambda: enter(GOING[what](guarded.protection)), *HELD)
    guarded.desk.decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    guarded.desk.decisions.archive(parse_ref("m/1"), "done", dry_run=False)
    enter(GOING[what](guarded.protection))


FORMER = ("m/1 was in production, and a rollback may go back to it", "slipway archive m/1")


@pytest.mark.parametrize("what", ["version", "run", "logged model", "experiment", "bytes", "a file beside it"])
def test_what_a_rollback_may_go_back_to_stays(guarded: Guarded, what: str):
    """Its version, its run, its logged model, its files and what is beside them, until it is archived."""
    guard = guarded.protection
    guarded.desk.decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    place = {"bytes": "0/models/m-1", "a file beside it": "0/models/m-1/extra.py"}.get(what)
    ways = {
        "version": lambda: enter(guard.version_may_go(HERE, "m", 1)),
        "run": lambda: enter(guard.run_may_go("run1")),
        "logged model": lambda: enter(guard.logged_model_may_go("m-1")),
        "experiment": lambda: enter(guard.experiment_may_go("0")),
    }
    act = ways.get(what, lambda: guard.require_free(place_of(f"s3://bucket/{place}", destination=None)))
    refused(act, *FORMER)
    guarded.desk.decisions.archive(parse_ref("m/1"), "done", dry_run=False)
    act()


def test_what_was_rolled_back_from_is_free(guarded: Guarded):
    """No rollback goes to it: it was found to be bad."""
    guarded.desk.rollback()
    enter(guarded.protection.version_may_go(HERE, "m", 2))
    guarded.protection.require_free(place_of("s3://bucket/0/models/m-2/x", destination=None))
    refused(lambda: enter(guarded.protection.version_may_go(HERE, "m", 1)), "m/1 is in production (put there by")


def test_a_model_without_a_version_in_a_stage_may_go_with_all_that_it_was(guarded: Guarded):
    """Whoever deletes or renames all of it knows that nothing can be gone back to."""
    guarded.desk.decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    enter(guarded.protection.model_may_go(HERE, "m"))
    enter(guarded.protection.workspace_may_go(HERE))
    enter(guarded.protection.model_may_be_renamed(HERE, "m", "other"))


def test_a_label_may_be_taken_from_what_was_in_a_stage(guarded: Guarded):
    """A rollback does not look at it."""
    enter(guarded.protection.label_may_change(HERE, "m", 1, "None"))


def test_others_may_go(guarded: Guarded):
    """Another version of the same model, its run, its files; an experiment of others; another workspace."""
    for manager in (
        guarded.protection.version_may_go(HERE, "m", 3),
        guarded.protection.run_may_go("run3"),
        guarded.protection.logged_model_may_go("m-3"),
        guarded.protection.experiment_may_go("7"),
        guarded.protection.workspace_may_go("elsewhere"),
    ):
        enter(manager)


def test_a_decision_protects_before_it_is_applied(guarded: Guarded):
    """The ledger has it in the stage, whatever the alias still says; and the alias counts, too."""
    event = guarded.desk.promotion(3, "production")
    situation = look("m", guarded.desk.ledger)
    guarded.desk.history.append(event(situation), after_seq=situation.seq)
    refused(lambda: enter(guarded.protection.version_may_go(HERE, "m", 3)), "m/3 is in production (put there by")
    refused(lambda: enter(guarded.protection.version_may_go(HERE, "m", 2)), "it has the alias production")
    place = place_of("mlflow-artifacts:/0/models/m-3/MLmodel", destination="s3://bucket")
    refused(lambda: guarded.protection.require_free(place), "m/3 was in production")


def test_an_alias_from_before_slipway_is_protected(guarded: Guarded):
    """Written as it may be."""
    guarded.desk.registry.set_alias("m", "Staging", 3)
    refused(lambda: enter(guarded.protection.version_may_go(HERE, "m", 3)), "it has the alias Staging")


def test_what_goes_is_held_still(guarded: Guarded):
    """While a model is locked for a decision, nothing of it is deleted."""
    with guarded.desk.history.lock("default/1/m"):
        with pytest.raises(Unavailable):
            enter(guarded.protection.version_may_go(HERE, "m", 1))
        with pytest.raises(Unavailable):
            enter(guarded.protection.run_may_go("run1"))
        with pytest.raises(Unavailable):
            enter(guarded.protection.alias_may_move(HERE, "m", "pre_staging", to=3))
    guarded.tables.prompts.add("p")
    with guarded.desk.history.lock("default/1/p"), pytest.raises(Unavailable):
        enter(guarded.protection.alias_may_move(HERE, "p", "production", to=1))


@dataclass
class Overtaken:
    """A history on which somebody else is faster: `meanwhile` happens before a model is held."""

    history: History
    meanwhile: Callable[[], object]

    def lock(self, model_uid: str) -> AbstractContextManager[None]:
        self.meanwhile()
        return self.history.lock(model_uid)

    def __getattr__(self, name: str) -> object:
        return getattr(self.history, name)


CHANGING = {
    "alias": lambda guard: guard.alias_may_move(HERE, "x", "pre_staging", to=1),
    "label": lambda guard: guard.label_may_change(HERE, "x", 1, "None"),
    "version": lambda guard: guard.version_may_go(HERE, "x", 1),
    "model": lambda guard: guard.model_may_go(HERE, "x"),
    "name": lambda guard: guard.model_may_be_renamed(HERE, "x", "y"),
}


@pytest.mark.parametrize("what", CHANGING)
@pytest.mark.parametrize("is_followed", [False, True])
def test_what_is_held_is_what_is_changed(guarded: Guarded, what: str, is_followed: bool):
    """A model that is renamed before it is held is not what was looked at, nor is another that has its name then."""
    registry = guarded.desk.registry
    registry.create_version(logged_model(), model="x", description="", tags={})

    def rename() -> None:
        former = registry.known.pop("x")
        if is_followed:
            registry.known["x"], registry.created_ms["x"] = former, 77

    guard = replace(guarded.protection, history=Overtaken(guarded.desk.history, rename))
    with pytest.raises(Conflict, match="meanwhile"):
        enter(CHANGING[what](guard))


def test_a_run_of_which_a_version_is_made_meanwhile_stays(guarded: Guarded):
    """What nobody had made of it at the first look may be in production at the second."""
    of_run = [VersionKey(workspace=HERE, model="m", number=3)]
    in_production = replace(of_run[0], number=2)
    guarded.tables.versions_of_run = lambda _: tuple(of_run)
    history = Overtaken(guarded.desk.history, lambda: of_run.append(in_production))
    refused(lambda: enter(replace(guarded.protection, history=history).run_may_go("run3")), *HELD)
    of_run[1] = replace(in_production, model="p")
    guarded.tables.prompts.add("p")
    history.meanwhile = lambda: of_run.append(replace(in_production, model="late"))
    with pytest.raises(Conflict, match="run run3 is not deleted"):
        enter(replace(guarded.protection, history=history).run_may_go("run3"))


def test_a_history_keeps_to_its_rules(guarded: Guarded):
    """A rollback passes no gate: a name with other rules is not given to what passed these."""
    guarded.desk.decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    refused(lambda: enter(guarded.protection.model_may_be_renamed(HERE, "m", "strict")), "under another policy")
    enter(guarded.protection.model_may_be_renamed(HERE, "m", "loose"))


@pytest.mark.parametrize("alias", ["production", "Production", "product\u0456on"])
def test_a_rename_carries_no_alias_to_where_it_would_be_refused(guarded: Guarded, alias: str):
    """Where it is free it may be set; by another name of the model it would be in a stage that nobody decided."""
    guarded.desk.registry.create_version(logged_model(), model="sandbox", description="", tags={})
    guarded.desk.registry.set_alias("sandbox", alias, 1)
    rename = guarded.protection.model_may_be_renamed
    if alias.isascii():
        enter(guarded.protection.alias_may_move(HERE, "sandbox", alias, to=1))
    words = ("model sandbox is not renamed to pricing", f"sandbox/1 has the alias {alias}", "slipway promote pricing/1")
    refused(lambda: enter(rename(HERE, "sandbox", "pricing")), *words)
    guarded.desk.registry.delete_alias("sandbox", alias)
    enter(rename(HERE, "sandbox", "pricing"))


def test_a_rename_carries_no_label_to_where_it_would_be_refused(guarded: Guarded):
    """MLflow's stage is set freely where the policy has no such stage."""
    guarded.desk.registry.create_version(logged_model(), model="sandbox", description="", tags={})
    guarded.desk.registry.set_mlflow_stage("sandbox", 1, "Production")
    rename = guarded.protection.model_may_be_renamed
    refused(lambda: enter(rename(HERE, "sandbox", "pricing")), "sandbox/1 has MLflow's stage Production")
    guarded.desk.registry.set_mlflow_stage("sandbox", 1, "None")
    enter(rename(HERE, "sandbox", "pricing"))


@pytest.mark.parametrize("alias", ["product\u0456on", "\uff50roduction", "production_", "production\n", "pr0duction"])
def test_an_alias_that_looks_like_a_stage_is_not_set(guarded: Guarded, alias: str):
    """People would take it for the stage; where it is there already, it may be removed."""
    guarded.desk.registry.create_version(logged_model(), model="sandbox", description="", tags={})
    may = guarded.protection.alias_may_move
    enter(may(HERE, "sandbox", alias, to=3))
    refused(lambda: enter(may(HERE, "m", alias, to=3)), "looks like the protected stage production")
    enter(may(HERE, "m", alias, to=None))


@pytest.mark.parametrize("name", ["\u043c", "m ", "m\u200b", "\uff4d"])
def test_no_model_is_called_so_that_it_looks_like_a_protected_one(guarded: Guarded, name: str):
    """Neither a new one nor one that is renamed; plain names that differ by case or digits are two."""
    may = guarded.protection
    refused(lambda: may.name_may_be_given(HERE, name), "it looks like m", "m/2 is in production")
    guarded.desk.registry.create_version(logged_model(), model="other", description="", tags={})
    refused(lambda: enter(may.model_may_be_renamed(HERE, "other", name)), "it looks like m")
    may.name_may_be_given(HERE, "M")
    guarded.desk.decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    may.name_may_be_given(HERE, name)


def test_a_name_with_a_past_means_no_other_model(guarded: Guarded):
    """Whoever has read its alias comes for the number; the model itself may have its name back."""
    registry, decisions = guarded.desk.registry, guarded.desk.decisions
    registry.create_version(logged_model(), model="other", description="", tags={})
    may = guarded.protection
    decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    enter(may.model_may_be_renamed(HERE, "m", "aside"))
    words = "no other model is called m: a model of that name was in the protected stage production"
    with pytest.raises(Conflict, match="already exists"):
        may.name_may_be_given(HERE, "m")  # it may be renamed away before MLflow looks
    with pytest.raises(NotApproved, match=words):
        enter(may.model_may_be_renamed(HERE, "other", "m"))
    registry.rename("m", "aside")
    for act in (
        lambda: may.name_may_be_given(HERE, "m"),
        lambda: enter(may.model_may_be_renamed(HERE, "other", "m")),
    ):
        with pytest.raises(NotApproved, match=words):
            act()
    enter(may.model_may_be_renamed(HERE, "aside", "m"))
    by_administrator = replace(may, by_administrator=lambda: True)
    by_administrator.name_may_be_given(HERE, "m")
    enter(by_administrator.model_may_be_renamed(HERE, "other", "m"))


def test_no_model_is_called_as_all_of_them_are_to_mlflows_permissions(guarded: Guarded):
    """Whoever makes it would be given what may be done with every model."""
    for act in (
        lambda: guarded.protection.name_may_be_given(HERE, "*"),
        lambda: enter(guarded.protection.model_may_be_renamed(HERE, "m", "*")),
    ):
        with pytest.raises(NotApproved, match="every model"):
            act()


@pytest.mark.parametrize("name", ["a\nb", "a\r\n\r\n[666]", "a\x1b[2J", "a\u202eb", "a\x00"])
def test_no_model_is_called_so_that_it_ends_a_line(guarded: Guarded, name: str):
    """It would end a header of an answer, or a line of a log, and go on as it likes."""
    for act in (
        lambda: guarded.protection.name_may_be_given(HERE, name),
        lambda: enter(guarded.protection.model_may_be_renamed(HERE, "other", name)),
    ):
        with pytest.raises(InvalidInput, match="the model's name holds"):
            act()


def test_our_tags_are_ours(guarded: Guarded):
    """Of model, version, run and logged model; others are free, and so are the tags of runs that nothing comes from."""
    guard = guarded.protection
    refused(lambda: guard.tags_may_change(HERE, "m", "m/1", ["Slipway.stage"]), "tag Slipway.stage of m/1")
    guard.tags_may_change(HERE, "m", "m/1", ["owner", "slipwayish"])
    refused(lambda: guard.run_tags_may_change("run2", ["a", "slipway.data"]), "tag slipway.data of run run2")
    refused(lambda: guard.logged_model_tags_may_change("m-2", ["slipway.x"]), "logged model m-2")
    guard.run_tags_may_change("run2", ["owner"])
    guard.run_tags_may_change("run3", ["slipway.data"])


def test_a_model_does_not_become_a_prompt(guarded: Guarded):
    """The one is guarded and the other is not: whoever could turn one into the other could do anything."""
    guarded.tables.prompts.add("p")
    for name in ("m", "p"):
        refused(
            lambda name=name: guarded.protection.tags_may_change(HERE, name, name, [PROMPT_TAG]), "nor a prompt a model"
        )


def test_a_version_of_a_model_is_no_prompts(guarded: Guarded):
    """MLflow hides all versions of a model of which one says so; a prompt's versions do."""
    guarded.tables.prompts.add("p")
    refused(lambda: guarded.protection.version_may_have(HERE, "m", "x", [PROMPT_TAG]), "a version of m")
    guarded.protection.version_may_have(HERE, "p", "x", [PROMPT_TAG])
    guarded.protection.version_may_have(HERE, "m", "x", ["slipway.manifest"])


def test_prompts_are_left_alone(guarded: Guarded):
    """Whatever their aliases are called."""
    guarded.tables.prompts.add("p")
    guard = guarded.protection
    guard.tags_may_change(HERE, "p", "p", ["slipway.stage"])
    for manager in (
        guard.alias_may_move(HERE, "p", "production", to=1),
        guard.label_may_change(HERE, "p", 1, "Production"),
        guard.version_may_go(HERE, "p", 1),
        guard.model_may_go(HERE, "p"),
    ):
        enter(manager)


@pytest.mark.parametrize(
    "path", ["0/models/m-2/MLmodel", "0/models/m-2", "0/models", "", "0/r/slipway/x", "0/r/holdout"]
)
def test_bytes_in_a_stage_stay(guarded: Guarded, path: str):
    """Those of the model, and those of its run that verdicts rest on; whatever is around them is not deleted."""
    place = place_of(f"mlflow-artifacts:/{path}", destination="s3://bucket")
    refused(lambda: guarded.protection.require_free(place), "m/2 is in production (as production)")


@pytest.mark.parametrize("path", ["0/models/m-4/MLmodel", "0/models/m-3", "0/r/plots/x.png", "1/a"])
def test_other_bytes_are_free(guarded: Guarded, path: str):
    """Of versions in no stage, of runs."""
    guarded.protection.require_free(place_of(f"mlflow-artifacts:/{path}", destination="s3://bucket"))


def test_uploads_past_the_proxy_are_held_to_the_same(guarded: Guarded):
    """Where the server writes by what a run says of itself."""
    may = guarded.protection.run_file_may_change
    refused(lambda: may("run2", "holdout/rows.parquet"), "m/2")
    may("run2", "plots/a.png")


@pytest.mark.parametrize("path", ["0/models/m-3/slipway-kept/ab/x", "0/models/m-3/slipway-kept", "slipway-kept/x"])
def test_nobody_writes_where_the_server_keeps_its_copies(guarded: Guarded, path: str):
    """Of whatever version, there or not: nor does a run have its artifacts there."""
    place = place_of(f"mlflow-artifacts:/{path}", destination="s3://bucket")
    refused(lambda: guarded.protection.require_free(place), "slipway-kept is where")
    refused(lambda: guarded.protection.location_may_be_used(f"s3://bucket/{path}", HERE), "slipway-kept is where")
    guarded.tables.root = f"s3://bucket/{path}"
    refused(lambda: guarded.protection.run_file_may_change("run9", "x.txt"), "slipway-kept is where")


LOGGED_AT = "mlflow-artifacts:/0/models/m-2/artifacts"


def test_what_is_served_is_the_copy_of_what_was_chosen(guarded: Guarded):
    """In a stage and when it has left it; what has no copy is where it was logged."""
    at = guarded.protection.served_location
    assert [at(HERE, "m", number, LOGGED_AT) for number in (1, 2, 3)] == [LOGGED_AT] * 3
    copy = guarded.protection.copies.made[LOGGED_AT, CHOSEN] = f"{LOGGED_AT}/copy"
    assert [at(HERE, "m", number, LOGGED_AT) for number in (1, 2, 3)] == [copy, copy, LOGGED_AT]
    guarded.desk.decisions.demote(parse_ref("m/2"), "done", to=None, dry_run=False)
    assert at(HERE, "m", 2, LOGGED_AT) == copy
    assert at(HERE, "none", 2, LOGGED_AT) == LOGGED_AT


def test_no_experiment_writes_into_a_version(guarded: Guarded):
    """One around it may be."""
    may = guarded.protection.location_may_be_used
    refused(lambda: may("s3://bucket/0/models/m-2/deep", HERE), "no experiment keeps its artifacts")
    may("s3://bucket/0", HERE)
    may("s3://other", HERE)


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket/0/models/m-2/../../zzz",
        "s3://bucket/0/m%6fdels/m-9",
        "mlflow-artifacts:/0//x",
        "mlflow-artifacts:/c;d",
        "slipway+s3://bucket/x",
        "SLIPWAY+file:///x",
    ],
)
def test_no_experiment_lies_where_it_does_not_seem_to(guarded: Guarded, location: str):
    """Whether anything is protected there or not."""
    with pytest.raises(NotApproved) as found:
        guarded.protection.location_may_be_used(location, HERE)
    assert found.value.code == "unclear-location"


@pytest.mark.parametrize("location", ["file:///etc", "/usr/lib/python3/mlflow/server/js/build/static", "relative"])
def test_no_experiment_has_the_server_write_into_folders_of_its_own(guarded: Guarded, location: str):
    """What somebody uploads to a run would lie there: a page beside those of MLflow's UI."""
    with pytest.raises(NotApproved) as found:
        guarded.protection.location_may_be_used(location, HERE)
    assert found.value.code == "kept-elsewhere"
    trusting = replace(guarded.protection, others=("/etc",))
    if location == "file:///etc":
        trusting.location_may_be_used(location, HERE)


@pytest.mark.parametrize("kept", ["0/mod%65ls/m-2", "0/mod%2565ls/m-2", "0/./models//m-2"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_version_is_guarded_wherever_its_source_may_lead(guarded: Guarded, kept: str, number: int):
    """One that is there already: at what is written, and at what it is decoded to."""
    kept = kept.replace("m-2", f"m-{number}")
    guarded.tables.locations[number] = f"mlflow-artifacts:/{kept}"
    guarded.protection = replace(
        guarded.protection, kept=Kept(guarded.tables, guarded.desk.history, lambda: "s3://bucket")
    )
    for path in (f"0/models/m-{number}/MLmodel", f"{kept}/MLmodel"):
        place = place_of(f"s3://bucket/{path}", destination=None)
        refused(lambda: guarded.protection.require_free(place), f"m/{number}")  # noqa: B023


def test_an_upload_is_guarded_wherever_its_run_may_lead(guarded: Guarded):
    """A run that was made before such locations were refused."""
    may = guarded.protection.run_file_may_change
    for root in ("s3://bucket/0/m%6fdels/m-2", "s3://bucket/0/models/m-2/../../zzz", "s3://bucket/9/../0/models/m-2"):
        guarded.tables.root = root
        refused(lambda: may("run9", "x.txt"), "m/2")


@pytest.mark.parametrize(
    "source",
    ["mlflow-artifacts:/0/r/artifacts/mod%65l", "s3://bucket/0/../1", "models:/m-1/", "runs:/r/model/", "s3://b/a;b"],
)
def test_no_version_is_made_of_what_some_decode(guarded: Guarded, source: str):
    """Others would write what it is made of."""
    with pytest.raises(NotApproved) as found:
        guarded.protection.version_may_have(HERE, "m", source, [])
    assert found.value.code == "unclear-location"
    guarded.protection.version_may_have(HERE, "m", "mlflow-artifacts:/0/r/artifacts/model", [])


def test_no_version_is_made_of_anothers_files_by_where_the_server_keeps_them(guarded: Guarded):
    """MLflow asks whose they are only where they are called as the server passes them on, and shows them to anybody."""
    guarded.tables.roots[32 * "a"] = OWNED
    may = guarded.protection.version_may_have
    for source in (OWNED, f"{OWNED}/model", "s3://bucket/8/other", "s3://bucket", "S3://Bucket/8/other"):
        with pytest.raises(NotApproved) as found:
            may(HERE, "m", source, [], model_id=32 * "b")
        assert found.value.code == "kept-by-the-server"
    may(HERE, "m", f"{OWNED}/model", [], run_id=32 * "a")
    for elsewhere in ("s3://another/7", "mlflow-artifacts:/8/other", "models:/m/1", "runs:/x/model", "dummy-source"):
        may(HERE, "m", elsewhere, [])


OWNED = "s3://bucket/7/" + 32 * "a" + "/artifacts"


def test_no_version_names_a_run_that_did_not_store_its_files(guarded: Guarded):
    """That run would be held for it, and its owner could neither end nor delete it; a copy names the original's."""
    run = 32 * "a"
    guarded.tables.roots[run] = OWNED.replace("s3://bucket", "mlflow-artifacts:")
    guarded.tables.locations[2] = f"{guarded.tables.roots[run]}/model"
    may = guarded.protection.version_may_have
    for source in (f"{guarded.tables.roots[run]}/model", "models:/m-2", "models:/m/2"):
        may(HERE, "x", source, [], run_id=run)
    for source in ("mlflow-artifacts:/8/other", "models:/m-1", "models:/m/1", "s3://another/7", "dummy"):
        with pytest.raises(NotApproved) as found:
            may(HERE, "x", source, [], run_id=run)
        assert found.value.code == "anothers-run"
        may(HERE, "x", source, [], run_id="unknown")


@pytest.mark.parametrize("below", ["", "/deep", "/" + 32 * "b" + "/artifacts"])
def test_no_experiment_lies_among_the_artifacts_of_a_run(guarded: Guarded, below: str):
    """Its runs would add files to another's, promoted or not; beside them is free."""
    guarded.tables.roots[32 * "a"] = OWNED
    with pytest.raises(NotApproved) as found:
        guarded.protection.location_may_be_used(OWNED.replace("s3://bucket", "mlflow-artifacts:") + below, HERE)
    assert found.value.code == "anothers-artifacts"
    assert OWNED in found.value.message
    for free in ("s3://bucket/7", "s3://bucket/8/" + 32 * "a" + "/artifacts", OWNED + "-more"):
        guarded.protection.location_may_be_used(free, HERE)


def test_tags_that_say_a_stage_are_known():
    """A copy of a version does not carry them along."""
    desk = Desk()
    desk.promote(1, "staging")
    tags = {tag for tag in desk.registry.versions("m")[-1].tags if tag.startswith("slipway.")}
    assert STAGE_TAG in tags
    assert tags | {"slipway.head"} == PROJECTED_TAGS


def test_slipways_own_report_lies_in_no_version_that_is_protected(guarded: Guarded):
    """Also not in one that only was in its stage; beside their files is where it belongs."""
    report = "slipway/gate/x-1/1/staging-2.json"
    guarded.protection.require_outside_versions("r", report)
    for number, where in ((2, "r"), (2, ""), (1, "r"), (2, "r/slipway"), (2, "r/slipway/gate/x-1")):
        guarded.tables.locations = {number: f"mlflow-artifacts:/0/{where}"}
        with pytest.raises(NotApproved, match=rf"of run r is not stored: m/{number} "):
            replace(
                guarded.protection, kept=Kept(guarded.tables, guarded.desk.history, lambda: "s3://bucket")
            ).require_outside_versions("r", report)
