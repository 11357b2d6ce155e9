"""How a promotion is undone whose files were changed: for the version before, if that is whole, else for none."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from slipway.registry.decisions.demote import demotion
from slipway.registry.decisions.keep_copy import keep_copy
from slipway.registry.decisions.rollback import rollback as roll_back
from slipway.registry.decisions.who import Who
from slipway.registry.errors import Conflict, Corrupt, NotFound
from slipway.registry.ledger.events import Event
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.model_state import chosen_files
from slipway.registry.ledger.situation import Situation
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.text import REASON_CHARACTERS, cleaned
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.file_integrity import recorded_manifest, require_whole


def undoing_what_was_changed(situation: Situation, stage: str, ledger: Ledger) -> Event | None:
    """Return the event that undoes a decision whose version has not the alias, and is not stored as registered.

    It is recorded under whoever decided: their own command would have undone it. `None` where the stage's alias is
    where the ledger has it, or nothing is wrong; a version that was deleted gets no alias.
    """
    number = situation.occupant(stage)
    if number is None or situation.holder(stage) == number:
        return None
    try:
        version = ledger.registry.version(VersionRef(model=situation.name, number=number))
    except NotFound:
        return None
    about = ledger.history.about(situation.model_uid, number)
    try:
        folder = require_whole(version, about, ledger.registry, else_do="promote another version")
        if recorded_manifest(about) is None:
            _as_chosen(situation, version, folder, "promote another version")
    except (Conflict, Corrupt, NotFound) as error:
        decided = next(each.event for each in situation.moves if each.seq == situation.state.stages[stage].seq)
        said = cleaned(f"undone, since its alias was elsewhere and: {error.message}", REASON_CHARACTERS)
        who = Who(actor=decided.actor, authenticated=decided.actor_authenticated, at=datetime.now(UTC), reason=said)
        aliases = {**situation.model.aliases, stage: number}  # as if it were applied: nobody moved it behind the ledger
        undone = undoing(situation.model_uid, version, stage, who, ledger)
        return undone(replace(situation, model=replace(situation.model, aliases=aliases)))
    return None


def undoing(
    model_uid: str, version: Version, stage: str, why: Who, ledger: Ledger
) -> Callable[[Situation], Event | None]:
    """Return the decision to take a version out of a stage: for the one before, if that is whole, else for none."""

    def decision(situation: Situation) -> Event | None:
        if (situation.model_uid, situation.occupant(stage)) != (model_uid, version.number):
            return None
        before = situation.state.before(stage)
        if before is not None:
            try:
                return back_to(situation, before, stage, why, ledger)
            except (Conflict, Corrupt, NotFound) as error:
                why_none = replace(why, reason=cleaned(f"{why.reason}; {error.message}", REASON_CHARACTERS))
                return demotion(situation, version, why_none, to=None)
        return demotion(situation, version, why, to=None)

    return decision


def back_to(
    situation: Situation, number: int, stage: str, why: Who, ledger: Ledger, *, skipped: Mapping[int, str] | None = None
) -> Event:
    """Return the event that goes back to a version whose stored files are those that were registered.

    Raises
    ------
    Conflict
        MLflow serves it from elsewhere than the ledger has it.
    Corrupt
        A file is missing, changed or extra.
    NotFound
        The version or its files are gone.
    """
    instead = (
        f'go on to the next good one: slipway rollback {situation.name} --stage {stage} --skip-damaged --reason "…"'
    )
    try:
        version = ledger.registry.version(VersionRef(model=situation.name, number=number))
    except NotFound as error:
        raise NotFound(error.message, code=error.code, hint=instead) from error
    about = ledger.history.about(situation.model_uid, number)
    try:
        keep_copy(number, situation, ledger)
    except (Corrupt, NotFound) as error:
        raise type(error)(error.message, code=error.code, hint=instead) from error
    folder = require_whole(version, about, ledger.registry, else_do=instead)
    manifest = recorded_manifest(about) or _as_chosen(situation, version, folder, instead)
    return roll_back(situation, version, stage, why, manifest, skipped=skipped)


def _as_chosen(situation: Situation, version: Version, folder: Path, instead: str) -> Manifest | None:
    """Return the files of a version that nobody registered; `None` where no decision named any.

    Raises
    ------
    Corrupt
        They are not those that the last decision for it named.
    """
    chosen = chosen_files(situation.moves, version.number)
    if chosen is None:
        return None
    stored = manifest_of(folder)
    if stored.digest != chosen:
        raise Corrupt(
            f"{version} is not stored as it was when it was put there", code="artifacts-changed", hint=instead
        )
    return stored
