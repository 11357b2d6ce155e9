"""Whose word an engine's is: the user who first wrote it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table; engines that are known already are bound by their next word."""
    op.create_table(
        "slipway_engines",
        sa.Column("engine", sa.String(200), primary_key=True),
        sa.Column("owner", sa.String(256), nullable=False),
    )


def downgrade() -> None:
    """Drop the table: engines bind themselves again."""
    op.drop_table("slipway_engines")
