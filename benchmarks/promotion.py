"""One promotion, decided and applied: run by `benchmarks.ledger` in a process of its own, with a database's URL."""

import json
import statistics
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from tests.generators.deciding import MODEL, Place, prepare, promote

MADE = 10
PROMOTIONS = 11


def main(url: str, versions: int) -> None:
    """Register versions, promote some of them in turn, and print the median time of one promotion in seconds."""
    place = Place(folder=Path.cwd(), uri=url)
    prepare(place, MADE)
    _more_versions(url, versions - MADE)
    ledger, taken = place.ledger(), []
    for number in [2, 3] * PROMOTIONS:
        started = time.perf_counter()
        promote(ledger, f"{MODEL}/{number}", "staging")
        taken.append(time.perf_counter() - started)
    print(json.dumps(statistics.median(taken)))


def _more_versions(url: str, count: int) -> None:
    """Copy the last version's row: making each through MLflow takes longer than all that is measured."""
    if count <= 0:
        return
    engine = sa.create_engine(url)
    table = sa.Table("model_versions", sa.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        row = connection.execute(sa.select(table).order_by(table.c.version.desc()).limit(1)).mappings().one()
        connection.execute(sa.insert(table), [{**row, "version": row["version"] + i} for i in range(1, count + 1)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
