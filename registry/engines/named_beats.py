"""Which model an engine's word is about: engines know a name, and a name may have gone to another model since."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from slipway.registry.engines.heartbeats import Heartbeat
from slipway.registry.errors import Conflict, NotFound
from slipway.registry.ledger.identity import last_known_by, name_now, uid_of
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.registered_model import RegisteredModel


def named_now(beats: Iterable[Heartbeat], ledger: Ledger) -> tuple[Heartbeat, ...]:
    """Return what engines say, each word under the name that its model has now.

    A renamed model is served on under the name that its engine was started with. What was put in place before the model
    was made that has the name now is another's. Where the history knows no such model, or it is gone, the word stays.
    """
    found = {name: _model(name, ledger) for name in {beat.model for beat in beats}}
    return tuple(replace(beat, model=_name(beat, found[beat.model], ledger)) for beat in beats)


def _model(name: str, ledger: Ledger) -> RegisteredModel | None:
    try:
        return ledger.registry.model(name)
    except (NotFound, Conflict):  # nobody has the name, or a prompt
        return None


def _name(beat: Heartbeat, has_it: RegisteredModel | None, ledger: Ledger) -> str:
    if has_it is not None and _was_there(has_it.created_ms, beat.since):
        return beat.model
    known = ledger.history.model_uids(model=beat.model)
    uids = [uid for uid in known if _was_there(int(uid.split("/")[1]), beat.since)]
    if not uids:
        return beat.model
    uid = last_known_by(beat.model, uids, ledger.history)
    name = name_now(uid, ledger.history, ledger.registry.model, ledger.registry.models)
    there = _model(name, ledger)
    is_it = there is not None and uid_of(there, ledger.history, ledger.registry.model) == uid
    return name if is_it else beat.model  # it was deleted, or is of another workspace


def _was_there(created_ms: int, since: datetime | None) -> bool:
    return since is None or created_ms <= since.timestamp() * 1000
