"""Settings of training: named database connections, and how many held-out rows are stored."""

from pydantic import Field, SecretStr

from slipway.registry.settings import Section


class TrainingSettings(Section):
    """`connections`: name → database URL. `holdout_rows_max_bytes`: above it, only row ids are stored."""

    connections: dict[str, SecretStr] = Field(default={})
    holdout_rows_max_bytes: int = Field(default=50_000_000, ge=0)
