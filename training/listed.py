"""How names are listed in messages: in quotes, the first ten and how many more."""

from collections.abc import Sequence

NAMED_AT_MOST = 10


def listed(names: Sequence[str]) -> str:
    """Return names in quotes, the first ten and how many more.

    >>> listed(["age", "city"])
    "'age', 'city'"
    """
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED_AT_MOST]) + more
