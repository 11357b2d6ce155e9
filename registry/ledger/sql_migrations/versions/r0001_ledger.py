"""The ledger: events that are only ever added, and how far each model's are applied."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

REFUSE_SQLITE = (
    "CREATE TRIGGER slipway_events_no_{what} BEFORE {what} ON slipway_events "
    "BEGIN SELECT RAISE(ABORT, 'slipway_events is append-only'); END"
)
REFUSE_POSTGRESQL = (
    "CREATE FUNCTION slipway_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'slipway_events is append-only'; END $$",
    "CREATE TRIGGER slipway_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON slipway_events "
    "FOR EACH STATEMENT EXECUTE FUNCTION slipway_events_refuse()",
)


def upgrade() -> None:
    """Create both tables, and have the database refuse changes of what was added."""
    op.create_table(
        "slipway_events",
        sa.Column("model_uid", sa.String(600), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("model", sa.String(256), nullable=False, index=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("slipway_events_by_kind", "slipway_events", ["model_uid", "kind"])
    op.create_index("slipway_events_by_version", "slipway_events", ["model_uid", "version"])
    op.create_table(
        "slipway_applied",
        sa.Column("model_uid", sa.String(600), primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(REFUSE_SQLITE.format(what=what))
    else:
        for statement in REFUSE_POSTGRESQL:
            op.execute(statement)


def downgrade() -> None:
    """Refuse: the ledger is not thrown away by a command."""
    raise NotImplementedError("the ledger cannot be taken back; drop its tables by hand if you mean it")
