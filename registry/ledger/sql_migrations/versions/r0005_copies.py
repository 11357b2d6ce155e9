"""Where a server keeps its own copy of files that were put into a stage: what is not here, it did not make."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "slipway_copies",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("location", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("slipway_copies")
