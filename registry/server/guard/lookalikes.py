"""Which names look like another one: an alias `productіon` with a Cyrillic letter beside `production`.

Unicode's UTS #39 compares names by a table of 6,000 characters that changes with each version of Unicode. Protected
stages are plain ASCII words, so the question here is narrower, and is answered without a table: what is left of a name
without what cannot be seen, and could each letter that is none of ASCII's be drawn as one?
"""

import re
import unicodedata

# Scripts that UTS #39 lets stand beside Latin (its level "highly restrictive"): nobody takes these for Latin letters.
UNLIKE_LATIN = ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL")
UNSEEN = ("FILLER", "BLANK")
MARKS = ("Mn", "Me", "Mc", "Cf", "Cc", "Cs", "Co", "Cn", "Zs", "Zl", "Zp")
DRAWN_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})


def looks_like(asked: str, known: str) -> bool:
    """Return whether a name could be read as another one, which is plain ASCII; every name looks like itself.

    Compared without case, accents, invisible characters, and separators at either end. A letter of another script may
    stand for any one letter, unless its script is one that nobody takes for Latin.

    >>> looks_like("productіon", "production"), looks_like("ＰＲＯＤＵＣＴＩＯＮ", "production")
    (True, True)
    >>> looks_like("pr0ducti\u200bon ", "production"), looks_like("prodüction", "production")
    (True, True)
    >>> looks_like("production-old", "production"), looks_like("本番", "production")
    (False, False)
    """
    pattern = "".join(map(_pattern_of, _seen(asked)))
    return re.fullmatch(pattern, _seen(known)) is not None


def is_plain(name: str) -> bool:
    """Return whether a name has nothing but printed ASCII characters, and no space at either end."""
    return name.isascii() and name.isprintable() and name == name.strip()


def _seen(name: str) -> str:
    """Return what is seen of a name, its letters folded to one of each that are drawn alike."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    letters = "".join(letter for letter in apart if not _is_unseen(letter)).strip("-_. ")
    return letters.translate(DRAWN_ALIKE).replace("rn", "m")


def _is_unseen(letter: str) -> bool:
    name = unicodedata.name(letter, "")
    return unicodedata.category(letter) in MARKS or any(word in name for word in UNSEEN)


def _pattern_of(letter: str) -> str:
    if letter.isascii() or unicodedata.name(letter, "").startswith(UNLIKE_LATIN):
        return re.escape(letter)
    return "."
