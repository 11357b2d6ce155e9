"""The ledger's tables and how they came to be: Alembic migrations beside MLflow's own."""
