"""Which model is meant: a name can be given away and given again, an identity cannot.

An identity is workspace, creation time and the name at the ledger's first event. A renamed model keeps its creation
time and so its identity; a deleted and re-created one has another, though its versions start at 1 again.
"""

from dataclasses import dataclass

from registry.history import History


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredModel:
    """A model as the registry has it now: its name, when it was created (Unix time, ms), and its workspace."""

    name: str
    created_ms: int
    workspace: str


def uid_of(model: RegisteredModel, history: History) -> str:
    """Return the model's identity: the one that the ledger knows it by, or a new one."""
    prefix = f"{model.workspace}/{model.created_ms}/"
    known = history.model_uids(prefix=prefix)
    mine = f"{prefix}{model.name}"
    return mine if mine in known or len(known) != 1 else known[0]
