"""How a table was read: what a file does not say of itself, and what whoever trained said of it.

It is recorded with a run, so that other rows are read as the training rows were. Training reads by it, and the gate
asks for rows by it; from a run it is somebody else's word, and so it holds nothing but what reading knows.
"""

import codecs
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

STRING, NUMBER = "string", "number"
DATE_FORMAT = re.compile(r"(?=.*%[Yyj])[^\x00-\x1f]{2,60}|ISO8601")
SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}
# Python's codecs for something else than the bytes of a file, some of which take quadratic time.
NOT_OF_FILES = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")


def known_separator(value: str) -> str:
    """Return what stands between fields; several characters would be a pattern.

    >>> known_separator("tab") == known_separator("\\\\t") == known_separator("\\t")
    True
    """
    found = SEPARATORS.get(value, value)
    if len(found) != 1 or found.isalnum() or found in '"\r\n.':
        raise ValueError("expected one character such as ; or the word tab")
    return found


def known_encoding(value: str) -> str:
    """Return the name of an encoding of text that Python knows, as Python writes it."""
    try:
        "a".encode(value)  # refuses what does not encode text, such as hex
        found = codecs.lookup(value).name
    except (LookupError, ValueError):
        found = None
    if found is None or found.replace("-", "_") in NOT_OF_FILES:
        raise ValueError("no encoding of text files; expected one such as utf-8, cp1252 or latin-1")
    return found


def known_type(value: str) -> str:
    """Return what a column may be read as: string, number, or the format of its dates."""
    if value not in (STRING, NUMBER) and not DATE_FORMAT.fullmatch(value):
        raise ValueError("expected string, number, or a format of dates such as %d.%m.%Y")
    return value


Separator = Annotated[str, AfterValidator(known_separator)]
Decimal = Literal[".", ","]
Encoding = Annotated[str, AfterValidator(known_encoding)]
ColumnType = Annotated[str, AfterValidator(known_type)]
Form = Literal["sep", "decimal", "encoding"]


class Reading(BaseModel):
    """How a table is read; what is `None` is told from the file.

    `missing_words` mean missing. `dtypes` say what columns are read as. `dropped` are columns that were left out.
    `sniffed` names what was told from the file, and is told anew from another one.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    missing_words: tuple[str, ...] = ()
    sep: Separator | None = None
    decimal: Decimal | None = None
    encoding: Encoding | None = None
    dtypes: dict[str, ColumnType] = {}
    dropped: tuple[str, ...] = ()
    sniffed: tuple[Form, ...] = ()

    def changed(self, **fields: object) -> "Reading":
        """Return a reading with other values of some fields."""
        return Reading.model_validate({**dict(self), **fields})

    def of_another_file(self) -> "Reading":
        """Return how another file is read: by what was said of its form, and by nothing that this one showed.

        Its columns are all there: a model takes its own, and a policy may ask for slices by another.
        """
        return self.changed(**dict.fromkeys(self.sniffed), sniffed=(), dropped=())
