"""What serving engines say of themselves: rows that are overwritten, apart from the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "slipway_heartbeats",
        sa.Column("engine", sa.String(200), primary_key=True),
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("stage", sa.String(256), primary_key=True),
        sa.Column("version", sa.Integer),
        sa.Column("since", sa.String(40)),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("runner", sa.String(40)),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("problem", sa.Text),
    )


def downgrade() -> None:
    """Drop the table: it says nothing about the past."""
    op.drop_table("slipway_heartbeats")
