"""Which SQL may read training data: one SELECT or WITH, and nothing beside it.

Rules over text. They give bad statements a clear answer; what keeps a database unchanged is the read-only transaction
that `slipway.training.sql_data` reads in.
"""

import re
from itertools import pairwise

from slipway.registry.errors import InvalidInput

TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<text>'(?:[^']|'')*'|(?P<tag>\$\w*\$).*?(?P=tag))"
    r'|(?P<name>"(?:[^"]|"")*"|`[^`]*`)'
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<mark>[;(])"
    r"|(?P<other>\s+|.)",
    re.DOTALL,
)
READS = ("select", "with")
# What acts outside of the transaction, or reaches beyond the database's tables: no rollback takes it back.
REACHES_OUT = re.compile(
    r"pg_(read|ls|stat)_(file|binary_file|\w*dir)|pg_file_\w+|lo_\w+|dblink\w*|pg_(terminate|cancel)_backend"
    r"|pg_(reload_conf|rotate_logfile|promote|switch_wal|create_restore_point|logical_emit_message)"
    r"|(query|cursor)_to_xml\w*"  # they run what a text says
    r"|(nextval|setval|set_config|load_extension|writefile|readfile|edit|load_file|sys_exec|sys_eval|xp_\w+|openrowset)"
)
# What databases read in two ways, or by another name than is written: nobody could say what is called.
UNCLEAR = re.compile(r"""\\['"]|(?<![\w$])[uU]&["']""")
CHANGES = frozenset({"insert", "update", "delete", "merge", "truncate", "call", "exec", "execute"})


def only_statement(text: str) -> str:
    """Return the one SELECT or WITH that a text holds, without a semicolon at its end.

    Raises
    ------
    InvalidInput
        It is another statement, or several, or it writes a table, or calls a function that acts outside of tables.
    """
    if unclear := UNCLEAR.search(text):
        raise _refused(f"{unclear[0]} is read in more than one way; double a quote, and write letters as they are")
    tokens = [(match.lastgroup, match[0], match.end()) for match in TOKEN.finditer(text)]
    code = [token for token in tokens if token[0] != "comment" and not token[1].isspace()]
    while code and code[-1][1] == ";":
        code.pop()
    words = [word.lower() for kind, word, _ in code if kind == "word"]
    first = next((found.lower() for _, found, _ in code if found != "("), "")
    if first not in READS:
        raise _refused(f"it begins with '{_shortened(first)}'" if first else "it is empty")
    if any(mark == ";" for kind, mark, _ in code if kind == "mark"):
        raise _refused("there is more than one statement")
    if "into" in words:
        raise _refused("SELECT … INTO writes")
    if reaching := _reaching_out(code):
        raise _refused(f"'{reaching}' acts on more than the rows of tables")
    return text[: code[-1][2]]


def changing_word(statement: str) -> str | None:
    """Return a word of a statement that stands for a change, for databases that know no read-only transaction."""
    found = (match["word"].lower() for match in TOKEN.finditer(statement) if match["word"])
    return next((word for word in found if word in CHANGES), None)


def refuse_change(word: str) -> InvalidInput:
    """Return the error for a statement that would change something."""
    return _refused(f"it holds '{word.upper()}'")


def _reaching_out(code: list[tuple[str | None, str, int]]) -> str | None:
    called = (
        found.strip('"`').lower()
        for (kind, found, _), (_, following, _) in pairwise(code)
        if kind in ("word", "name") and following == "("
    )
    return next((name for name in called if REACHES_OUT.fullmatch(name)), None)


def _shortened(word: str) -> str:
    return word if len(word) <= 20 else f"{word[:20]}…"


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"data is read by one SELECT or WITH, and this is none: {why}",
        code="not-one-select",
        hint="write sql:CONNECTION:SELECT … FROM …; changes are made with the database's own client",
    )
