"""One SELECT or WITH is told from everything else by its text."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.training.statement import changing_word, only_statement


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DROP TABLE customers", "it begins with 'drop'"),
        ("SELECT U&\"pg\\005fread_file\"('/etc/hostname')", "read in more than one way"),
        ("SELECT u&'x'", "read in more than one way"),
        ("SELECT E'\\''; COMMIT; DROP TABLE t", "read in more than one way"),
        ("SELECT query_to_xml($q$SELECT pg_read_file('/etc/hostname')$q$, true, true, '')", "'query_to_xml' acts"),
        ("-- nothing", "it is empty"),
        ("SELECT 1; SELECT 2", "there is more than one statement"),
        ("SELECT * INTO other FROM t", "SELECT … INTO writes"),
        ("SELECT pg_read_file ('/etc/passwd')", "'pg_read_file' acts on more than the rows of tables"),
        ("SELECT \"dblink_exec\"('…')", "'dblink_exec' acts on more"),
    ],
)
def test_what_is_no_single_select_is_refused_with_the_reason(text: str, said: str):
    """And with what to write instead."""
    with pytest.raises(InvalidInput, match=said) as caught:
        only_statement(text)
    assert caught.value.hint.startswith("write sql:CONNECTION:SELECT")


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("SELECT 1 ; -- end", "SELECT 1"),
        ("((SELECT 'a;b') UNION SELECT \"x;y\" FROM t)", "((SELECT 'a;b') UNION SELECT \"x;y\" FROM t)"),
        ("SELECT 'it''s; into' FROM t", "SELECT 'it''s; into' FROM t"),
        ("SELECT nextval, lo_unlink FROM t", "SELECT nextval, lo_unlink FROM t"),
    ],
)
def test_one_select_is_returned_as_it_is(text: str, statement: str):
    """Less a semicolon and comments at its end; texts and names may hold anything."""
    assert only_statement(text) == statement


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("WITH one AS (SELECT 1) DELETE FROM t", "delete"),
        ("SELECT 'delete', \"update\", REPLACE(a, 'b', 'c') FROM t -- insert", None),
    ],
)
def test_a_change_is_seen_where_no_transaction_is_read_only(statement: str, word: str | None):
    """In texts, names and comments a word changes nothing."""
    assert changing_word(statement) == word
