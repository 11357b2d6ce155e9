"""What Alembic runs: the migrations, on the connection that `slipway.registry.ledger.sql_migrate` hands over."""

from alembic import context

from slipway.registry.ledger.sql_tables import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
