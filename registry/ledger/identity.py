"""Which model is meant: a name can be given away and given again, an identity cannot.

An identity is workspace, creation time and the name at the ledger's first event. A renamed model keeps its creation
time and so its identity; a deleted and re-created one has another, though its versions start at 1 again.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from slipway.registry.errors import Conflict, InvalidInput, NotFound
from slipway.registry.ledger.chain import HEAD_TAG, Head, parse_head
from slipway.registry.ledger.history import History, leads_to
from slipway.registry.nearest import did_you_mean
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.text import require_name

UID_CHARACTERS = 600  # the ledger's column


def uid_of(model: RegisteredModel, history: History, find: Callable[[str], RegisteredModel]) -> str:
    """Return the model's identity: the one that the ledger knows it by, or a new one.

    A model keeps its tags when it is renamed, so the chain that leads to the head which it notes is its own, whoever
    had its name before and was registered in the same millisecond; one that notes none is new. Only where no chain
    leads there, since the ledger was cut or the tag written over, names have to tell: the model's own, or one that no
    model of that creation time has now. `find` returns the model that has a name, or raises.
    """
    prefix = f"{model.workspace}/{model.created_ms}/"
    mine = f"{prefix}{model.name}"
    if HEAD_TAG not in model.tags:
        return mine
    noted = _noted(model)
    if noted and leads_to(noted, mine, history):
        return mine
    known = history.model_uids(prefix=prefix)
    if noted and (own := next((uid for uid in known if leads_to(noted, uid, history)), None)):
        return own
    if mine in known:
        return mine
    if under_this_name := history.model_uids(prefix=prefix, model=model.name):
        return under_this_name[0]
    renamed = [uid for uid in known if not _is_there(uid.removeprefix(prefix), model.created_ms, find)]
    return renamed[0] if len(renamed) == 1 else mine


def _noted(model: RegisteredModel) -> Head | None:
    """Return the head of its chain that a model notes; `None` where what it notes is none."""
    try:
        return parse_head(model.tags[HEAD_TAG])
    except InvalidInput:
        return None


def name_now(
    model_uid: str,
    history: History,
    find: Callable[[str], RegisteredModel],
    models: Callable[[], Iterable[RegisteredModel]],
) -> str:
    """Return the name that the model of an identity has now; of one that is gone, the name it was last known by.

    The history learns of a rename when something is next decided. `find` returns the model that has a name, or raises;
    `models` returns all, and is asked only where the model is not found by the name that the history knows.
    """
    _, created, first = model_uid.split("/", 2)
    last = history.name_of(model_uid) or first
    there = _found(last, find)
    if there and there.created_ms == int(created) and uid_of(there, history, find) == model_uid:
        return last
    born_then = (each for each in models() if each.created_ms == int(created))
    return next((each.name for each in born_then if uid_of(each, history, find) == model_uid), last)


def require_uid(text: str) -> str:
    """Return an identity that is written as one: workspace, time and name.

    Raises
    ------
    InvalidInput
        It is none that any model could have.
    """
    if not re.fullmatch(r"[^/]+/[0-9]{1,18}/.+", text, re.DOTALL) or len(text) > UID_CHARACTERS:
        raise InvalidInput("a model's identity is WORKSPACE/TIME/NAME", code="not-an-identity", hint=None)
    require_name(text.split("/", 2)[2], "the model's name")
    require_name(text.split("/", 1)[0], "the workspace")
    return text


def uid_named(model: str, history: History, find: Callable[[str], RegisteredModel], *, prefix: str = "") -> str:
    """Return the identity that a name means, or that is written as one itself.

    The model that has the name now has it, whoever had it before. Where none has, it is that of the last one known by
    it. `find` returns the model that has a name, or raises; identities begin with `prefix`.

    Raises
    ------
    InvalidInput
        The name is none that a model could have.
    NotFound
        The history knows no such model.
    """
    if "/" in model and model.startswith(prefix) and model in history.model_uids(prefix=require_uid(model)):
        return model
    require_name(model, "the model's name")
    try:
        uid = uid_of(find(model), history, find)
    except (NotFound, Conflict):  # nobody has the name, or a prompt
        return uid_last_named(model, history, prefix=prefix)
    if history.head(uid) is None:
        raise NotFound(
            f"nothing was decided yet about the model that is called '{model}' now",
            code="unknown-model",
            hint=f'slipway adopt {model}@production --reason "…" begins its history; that of a model that had the name '
            "before is found by that model's identity, or by the name that it has now",
        )
    return uid


def uid_last_named(model: str, history: History, *, prefix: str = "") -> str:
    """Return the identity that was last known by a name, without asking which model has it now.

    Those that are known by another name since come after those that are not.

    Raises
    ------
    NotFound
        The history knows no such model.
    """
    known = history.model_uids(prefix=prefix, model=require_name(model, "the model's name"))
    if not known:
        names = {uid.rpartition("/")[2] for uid in history.model_uids(prefix=prefix)}
        raise NotFound(
            f"the history knows no model '{model}'{did_you_mean(model, names)}",
            code="unknown-model",
            hint=f'slipway versions {model}; slipway adopt {model}@production --reason "…" begins a history',
        )

    return last_known_by(model, known, history)


def last_known_by(model: str, uids: Sequence[str], history: History) -> str:
    """Return the identity, of some that were known by a name, that was last: first of those that still are."""

    def last(uid: str) -> tuple[bool, datetime]:
        records = history.records(uid)
        return records[-1].model == model, max(each.event.at for each in records if each.model == model)

    return uids[0] if len(uids) == 1 else max(uids, key=last)


def _is_there(name: str, created_ms: int, find: Callable[[str], RegisteredModel]) -> bool:
    there = _found(name, find)
    return there is not None and there.created_ms == created_ms


def _found(name: str, find: Callable[[str], RegisteredModel]) -> RegisteredModel | None:
    try:
        return find(name)
    except (NotFound, Conflict):  # nobody has the name, or a prompt
        return None
