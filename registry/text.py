"""What people may write, and how what they wrote is shown and stored.

What is recorded for good cannot be taken back, so it is checked before: `require_…` refuse it at the edges. What was
recorded before there were such rules, and what programs say, is made harmless where it goes: `cleaned` for stores,
`shown` and `one_line` for consoles.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.registry.errors import InvalidInput

NAME_CHARACTERS = 256  # MLflow 3.17's columns for the names of models, aliases and users
REASON_CHARACTERS = 4_000
DESCRIPTION_CHARACTERS = 5_000  # MLflow 3.17's column for the description of a version; PostgreSQL refuses more
DETAILS_CHARACTERS = 100_000
DETAILS_DEPTH = 20
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
CUT = "…"
LINE_BREAKING = "\n\t"
# They change the direction of what follows: a text reads as another than it is (CVE-2021-42574).
TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def require_reason(text: str, what: str) -> str:
    """Return a text of lines that people wrote, without space around it and with line feeds alone between its lines.

    Raises
    ------
    InvalidInput
        It holds nothing that can be read, a control character (NUL, an escape sequence), half of a surrogate pair, or
        more than `REASON_CHARACTERS`.
    """
    kept = text.replace("\r\n", "\n").strip()
    _require(kept, what, at_most=REASON_CHARACTERS, controls=LINE_BREAKING)
    if not any(unicodedata.category(character)[0] not in "ZC" for character in kept):
        raise InvalidInput(f"{what} needs words, and none were given", code="wrong-text", hint=None)
    return kept


def require_name(text: str, what: str) -> str:
    """Return a name that can be asked for in every database.

    MLflow lets models have names with line breaks and more: they are found, and `require_new_name` makes no others.

    Raises
    ------
    InvalidInput
        It is empty, holds NUL or half of a surrogate pair, or more than `NAME_CHARACTERS`.
    """
    if not text:
        raise InvalidInput(f"{what} is empty", code="wrong-text", hint=None)
    _require(text, what, at_most=NAME_CHARACTERS, controls=None)
    return text


def can_be_asked_for(name: str | None) -> bool:
    """Return whether a name can be one in any database; PostgreSQL raises for others instead of finding nothing.

    >>> can_be_asked_for("ann"), can_be_asked_for("an\\x00n"), can_be_asked_for(None)
    (True, False, True)
    """
    return name is None or _is_storable(name)


def require_new_name(text: str, what: str) -> str:
    """Return a name that somebody may give.

    Raises
    ------
    InvalidInput
        `require_name` refuses it, or it holds a control character or one that turns the direction of reading.
    """
    require_name(text, what)
    _require(text, what, at_most=NAME_CHARACTERS, controls="")
    if TURNING & set(text):
        raise InvalidInput(f"{what} holds characters that turn the direction of reading", code="wrong-text", hint=None)
    return text


def require_storable(values: Mapping[str, Any], what: str) -> None:
    """Refuse plain JSON values that no database would take, wherever in them.

    Raises
    ------
    InvalidInput
        A text in them holds NUL or half of a surrogate pair, or they are nested deeper than `DETAILS_DEPTH`.
    """
    for place, depth, value in _inside(values):
        if depth > DETAILS_DEPTH:
            raise InvalidInput(
                f"{what} is nested too deeply", code="wrong-text", hint=f"{DETAILS_DEPTH} levels at most"
            )
        if isinstance(value, str) and not _is_storable(value):
            raise _holds(f"{what}: {cleaned(place, NAME_CHARACTERS)}", value, None)


def cleaned(text: str, at_most: int) -> str:
    """Return a text that every store takes: without control characters but line breaks, and cut to so many characters.

    >>> cleaned("a\\x00b", 10), cleaned("abcdef", 4)
    ('a\ufffdb', 'abc…')
    """
    kept = "".join(each if _is_plain(each, LINE_BREAKING) else REPLACEMENT for each in text[: at_most + 1])
    return kept if len(kept) <= at_most else kept[: at_most - len(CUT)] + CUT


def cleaned_values(value: Any, at_most: int) -> Any:
    """Return plain JSON values with every text in them `cleaned`."""
    if isinstance(value, str):
        return cleaned(value, at_most)
    if isinstance(value, Mapping):
        return {cleaned(str(key), at_most): cleaned_values(inner, at_most) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned_values(inner, at_most) for inner in value]
    return value


def shown(text: str) -> str:
    """Return a text for a terminal: what would move its cursor, colour it or turn it round is written out.

    >>> shown("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(
        each if _is_plain(each, LINE_BREAKING) and each not in TURNING else ascii(each)[1:-1] for each in text
    )


def counted(count: int, noun: str) -> str:
    """Return a number of things, in as many words as one says.

    >>> counted(1, "event"), counted(1200, "event")
    ('1 event', '1,200 events')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def one_line(text: str) -> str:
    """Return a text for the middle of a line, its own line breaks as spaces.

    >>> one_line("a\\n  b")
    'a b'
    """
    return shown(" ".join(text.split()))


def _require(text: str, what: str, *, at_most: int, controls: str | None) -> None:
    """Refuse what is too long or holds control characters; `None` stands for all of them but NUL."""
    if len(text) > at_most:
        raise InvalidInput(
            f"{what} has {len(text):,} characters, and {at_most:,} are the most",
            code="text-too-long",
            hint="say it shorter, and refer to where the rest is",
        )
    if not _is_storable(text) or (controls is not None and not all(_is_plain(each, controls) for each in text)):
        raise _holds(what, text, controls)


def _holds(what: str, text: str, controls: str | None) -> InvalidInput:
    bad = next(each for each in text if not (_is_plain(each, controls) if controls is not None else _is_storable(each)))
    name = "NUL" if bad == "\0" else f"the character {ascii(bad)[1:-1]}"
    return InvalidInput(f"{what} holds {name}, which cannot be kept", code="wrong-text", hint="write it without")


def _is_storable(text: str) -> bool:
    """Return whether UTF-8 and PostgreSQL have the text."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _is_plain(character: str, controls: str) -> bool:
    return character in controls or unicodedata.category(character) not in ("Cc", "Cs")


def _inside(value: Any) -> Iterator[tuple[str, int, Any]]:
    """Yield every value and every name in plain JSON values, with where it is and how deep, without recursion."""
    left: list[tuple[str, int, Any]] = [("", 0, value)]
    while left:
        place, depth, found = left.pop()
        yield place, depth, found
        if depth > DETAILS_DEPTH:
            continue
        if isinstance(found, Mapping):
            left += [(f"{place}.{key}".lstrip("."), depth + 1, inner) for key, inner in found.items()]
            left += [(place, depth + 1, str(key)) for key in found]
        elif isinstance(found, list | tuple):
            left += [(place, depth + 1, inner) for inner in found]
