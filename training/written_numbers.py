"""Numbers that people write: with groups of thousands, a currency, a percent sign, or a decimal comma.

Such a column is text where it is read. Nothing turns it into numbers unless somebody says so (`dtype=price=number`),
since whoever asks the model has to know that it takes numbers.
"""

import re

import pandas as pd

BLANK = r"\s\u00a0\u2009\u202f"
MARK = rf"[{BLANK}]*(?:[€$£¥₹₽₺₩₪฿%‰]|EUR|USD|CHF|GBP|JPY|PLN|SEK|NOK|DKK|CZK)?[{BLANK}]*"
SIGN = r"(?P<{0}>[-+]?)"
OTHER = {".": ",", ",": "."}


def written_numbers(texts: pd.Series, decimal: str) -> pd.Series:
    """Return text as float64, NaN where it is no number.

    `decimal` is the decimal sign where it could be either; where some number cannot be read by it and all can be read
    by the other, the other is meant.

    >>> written_numbers(pd.Series(["1.234,5", "12 %", "€ -5", "k.A."]), ".").tolist()
    [1234.5, 12.0, -5.0, nan]
    """
    given = texts.notna()
    by_one, by_other = _read(texts, decimal), _read(texts, OTHER[decimal])
    return by_other if by_other[given].notna().sum() > by_one[given].notna().sum() else by_one


def _read(texts: pd.Series, decimal: str) -> pd.Series:
    group, point = re.escape(OTHER[decimal]), re.escape(decimal)
    form = (
        rf"{SIGN.format('before')}{MARK}{SIGN.format('after')}"
        rf"(?P<whole>\d{{1,3}}(?:[{group}'’{BLANK}]\d{{3}})+|\d*)(?P<rest>(?:{point}\d+)?)"
        rf"(?P<power>(?:[eE][-+]?\d{{1,3}})?){MARK}"
    )
    parts = texts.astype("str").str.strip().str.replace("−", "-").str.extract(f"^{form}$")
    whole = parts["whole"].str.replace(r"\D", "", regex=True)
    rest = parts["rest"].str.replace(point, ".", regex=True)
    return pd.to_numeric(parts["before"] + parts["after"] + whole + rest + parts["power"], errors="coerce")
