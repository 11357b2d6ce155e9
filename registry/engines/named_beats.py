"""Which model an engine's word is about: engines know a name, and a name may have gone to another model since."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cache

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
    named = _Named(ledger)
    return tuple(replace(beat, model=named.name(beat)) for beat in beats)


class _Named:
    """Names by registry and ledger, each asked once for all that many engines say."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._model = cache(self._ask_model)
        self._uids = cache(lambda name: ledger.history.model_uids(model=name))
        self._name_now = cache(self._ask_name_now)

    def name(self, beat: Heartbeat) -> str:
        """Return the name that the model has now which an engine speaks of."""
        has_it = self._model(beat.model)
        if has_it is not None and _was_there(has_it.created_ms, beat.since):
            return beat.model
        uids = tuple(uid for uid in self._uids(beat.model) if _was_there(int(uid.split("/")[1]), beat.since))
        return self._name_now(beat.model, uids) if uids else beat.model

    def _ask_model(self, name: str) -> RegisteredModel | None:
        try:
            return self._ledger.registry.model(name)
        except (NotFound, Conflict):  # nobody has the name, or a prompt
            return None

    def _ask_name_now(self, said: str, uids: tuple[str, ...]) -> str:
        history, registry = self._ledger.history, self._ledger.registry
        uid = last_known_by(said, uids, history)
        name = name_now(uid, history, registry.model, registry.models)
        there = self._model(name)
        is_it = there is not None and uid_of(there, history, registry.model) == uid
        return name if is_it else said  # it was deleted, or is of another workspace


def _was_there(created_ms: int, since: datetime | None) -> bool:
    return since is None or created_ms <= since.timestamp() * 1000
