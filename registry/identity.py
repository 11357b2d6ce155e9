"""Which model is meant: a name can be given away and given again, an identity cannot.

An identity is workspace, creation time and the name at the ledger's first event. A renamed model keeps its creation
time and so its identity; a deleted and re-created one has another, though its versions start at 1 again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.history import History


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredModel:
    """A model as the registry has it now.

    `created_ms` is Unix time in milliseconds; `aliases` is alias → version; `labels` is MLflow's stage label → the
    highest version that has it.
    """

    name: str
    created_ms: int
    workspace: str
    aliases: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def uid_of(model: RegisteredModel, history: History) -> str:
    """Return the model's identity: the one that the ledger knows it by, or a new one."""
    prefix = f"{model.workspace}/{model.created_ms}/"
    mine = f"{prefix}{model.name}"
    if history.head(mine) is not None:
        return mine
    known = history.model_uids(prefix=prefix)
    return known[0] if len(known) == 1 else mine
