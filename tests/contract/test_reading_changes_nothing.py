"""Training data in a database is read by one SELECT, and the database is afterwards what it was."""

from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from slipway.registry.errors import InvalidInput, SlipwayError
from slipway.training.data import load
from slipway.training.sql_data import read_statement
from tests.generators.datasets import sources

ROWS = pd.DataFrame({"n": [1, 2, 3], "at": ["12:30", ":now", "a;b"], "y": ["a", "b", "a"]})


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a database of each kind with a table and a counter of its own."""
    if request.param == "postgresql":
        made = request.getfixturevalue("postgres").create_database()
    else:
        made = f"sqlite:///{tmp_path}/wh.db"
    engine = sa.create_engine(made)
    ROWS.to_sql("customers", engine, index=False)
    if request.param == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SEQUENCE counter")
            connection.exec_driver_sql("SELECT lo_create(4711)")
    engine.dispose()
    return made


def content(url: str) -> list:
    """Return the tables, their rows, and the counter and large objects where there are any."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
        found: list = [(name, pd.read_sql_table(name, connection).to_dict("list")) for name in tables]
        if connection.dialect.name == "postgresql":
            for query in ("SELECT last_value, is_called FROM counter", "SELECT oid FROM pg_largeobject_metadata"):
                found.append(connection.exec_driver_sql(query).all())
    engine.dispose()
    return found


CHANGES = [
    "DROP TABLE customers",
    "DELETE FROM customers",
    "  -- a comment\n DELETE FROM customers",
    "/* SELECT */ UPDATE customers SET n = 0",
    "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
    "WITH one AS (SELECT 1) DELETE FROM customers",
    "SELECT * INTO other FROM customers",
    "SELECT * FROM customers; DROP TABLE customers",
    "SELECT * FROM customers; COMMIT; DROP TABLE customers",
    "SELECT 1; SELECT * FROM customers",
    "COMMIT; DROP TABLE customers",
    "SELECT nextval('counter')",
    "SELECT \"nextval\"('counter')",
    "SELECT lo_unlink(4711)",
    "SELECT pg_read_file('/etc/passwd')",
    "CREATE TABLE other AS SELECT * FROM customers",
    "EXPLAIN ANALYZE DELETE FROM customers",
    "ATTACH DATABASE 'other.db' AS other",
    "PRAGMA query_only = OFF",
    "VACUUM",
    "",
    ";",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_a_statement_that_changes_something_changes_nothing(url: str, statement: str):
    """It is refused in words, and in fact."""
    before = content(url)
    with pytest.raises(InvalidInput) as caught:
        read_statement("wh", url, statement)
    assert content(url) == before
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("statement", ["WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone"])
def test_a_change_that_no_rule_over_text_sees_is_refused_by_the_database(url: str, statement: str):
    """The transaction is read-only: the message is the database's own."""
    with pytest.raises(InvalidInput, match=r"refuses the statement: .*(read-only transaction|syntax error)"):
        read_statement("wh", url, statement)


def test_several_statements_that_hide_from_the_rules_are_refused_by_the_database(postgres):
    """A string in PostgreSQL's own notation hides the semicolon from us; a prepared statement is one statement."""
    url = postgres.create_database()
    engine = sa.create_engine(url)
    ROWS.to_sql("customers", engine, index=False)
    hidden = "SELECT /* /* */ ' */ 1; COMMIT; DROP TABLE customers -- ' "
    with pytest.raises(SlipwayError):
        read_statement("wh", url, hidden)
    assert sa.inspect(engine).has_table("customers")
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM customers",
        "select * from customers;",
        " /* all */ SELECT * FROM customers -- the end",
        "SELECT * FROM customers ; -- the end\n",
        "WITH mine AS (SELECT * FROM customers) SELECT * FROM mine",
        "SELECT n, at, y FROM customers WHERE at <> ';' AND at <> ':none' AND y NOT LIKE '%drop%'",
        "SELECT n, at, y AS \"y\" FROM customers WHERE y IN ('a', 'b')",
    ],
)
def test_what_only_reads_is_read(url: str, statement: str):
    """Comments, a last semicolon, colons and signs of per cent in texts are no reason to refuse."""
    assert read_statement("wh", url, statement).to_dict("list") == ROWS.to_dict("list")


def test_casts_and_parentheses_are_read(postgres):
    """PostgreSQL's own notations: a cast by colons, a slice of an array, texts in dollars."""
    url = postgres.create_database()
    found = read_statement("wh", url, "(SELECT '12:30'::time::text AS a, (ARRAY[1,2,3])[1:2] AS b, $x$;$x$ AS c)")
    assert found.to_dict("list") == {"a": ["12:30:00"], "b": [[1, 2]], "c": [";"]}


def test_a_missing_file_is_not_made(tmp_path: Path):
    """A mistyped path is an error, and no empty database beside the right one."""
    with pytest.raises(SlipwayError):
        load("sql:wh:SELECT 1", "y", sources=sources(connections={"wh": f"sqlite:///{tmp_path}/none.db"}))
    assert list(tmp_path.iterdir()) == []
