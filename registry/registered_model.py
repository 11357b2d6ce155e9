"""A registered model as MLflow's registry shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
