"""What an engine says of each variant of a target: rows that are overwritten within seconds, and made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table with the variant in its key."""
    _make_anew("engine", "model", "stage", "variant")


def downgrade() -> None:
    """Make the table without variants."""
    _make_anew("engine", "model", "stage")


def _make_anew(*key: str) -> None:
    lengths = {"engine": 200, "model": 256, "stage": 256, "variant": 40}
    op.drop_table("slipway_heartbeats")
    op.create_table(
        "slipway_heartbeats",
        *(sa.Column(name, sa.String(lengths[name]), primary_key=True) for name in key),
        sa.Column("version", sa.Integer),
        sa.Column("since", sa.String(40)),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("runner", sa.String(40)),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("problem", sa.Text),
    )
