"""The tables as they are now. In the ledger's, beside text and hash every column is derived from the text."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

VERSION_TABLE = "slipway_alembic_version"
REVISION = "0005"
METADATA = MetaData()
VERSION = Table(VERSION_TABLE, METADATA, Column("version_num", String(32), primary_key=True))
EVENTS = Table(
    "slipway_events",
    METADATA,
    Column("model_uid", String(600), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("model", String(256), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Index("slipway_events_by_kind", "model_uid", "kind"),
    Index("slipway_events_by_version", "model_uid", "version"),
)
APPLIED = Table(
    "slipway_applied",
    METADATA,
    Column("model_uid", String(600), primary_key=True),
    Column("seq", Integer, nullable=False),
)
HEARTBEATS = Table(
    "slipway_heartbeats",
    METADATA,
    Column("engine", String(200), primary_key=True),
    Column("model", String(256), primary_key=True),
    Column("stage", String(256), primary_key=True),
    Column("variant", String(40), primary_key=True),
    Column("version", Integer),
    Column("since", String(40)),
    Column("at", String(40), nullable=False),
    Column("runner", String(40)),
    Column("address", String(400), nullable=False),
    Column("problem", Text),
)
ENGINES = Table(
    "slipway_engines",
    METADATA,
    Column("engine", String(200), primary_key=True),
    Column("owner", String(256), nullable=False),
)
COPIES = Table(
    "slipway_copies",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("location", Text, nullable=False),
)
