"""Text is sorted as the time that it says, by one recorded format, or refused."""

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput
from slipway.training.times import times_of

IN_ORDER = [
    (["12/31/2022", "01/06/2023", "06/01/2023"], "%m/%d/%Y"),
    (["31.12.2022", "2.1.2023", "10.1.2023"], "%d.%m.%Y"),
    (["31/12/2022", "06/01/2023", "01/06/2023"], "%d/%m/%Y"),
    (["12-31-2022", "01-06-2023"], "%m-%d-%Y"),
    (["2023.01.02", "2023.10.01"], "%Y.%m.%d"),
    (["31.12.99", "1.1.00"], "%d.%m.%y"),
    (["9/1/2023", "9/13/2023", "10/2/2023"], "%m/%d/%Y"),
    (["2022-12-31", "2023-01-01", "2023-1-10"], "ISO8601"),
    (["2023/01/02", "2023/10/01"], "ISO8601"),
    (["2023-01", "2023-10"], "ISO8601"),
    (["2023-01-01T10:00:00+09:00", "2023-01-01T02:00:00Z", "2023-01-01T00:00:00-05:00"], "ISO8601"),
    (["2023-01-01", "2023-01-01T10:00", "2023-01-01 10:00:01.5"], "ISO8601"),
    (["2023-01-02 10:00:00 UTC", "2023-01-13 09:00:00 UTC"], "%Y-%m-%d %H:%M:%S %Z"),
    (["2023-01-02 10:00:00 +0900", "2023-01-02 02:00:00 +0000"], "ISO8601"),
    (["02.01.2023 10:00:00 +0900", "13.01.2023 02:00:00 +0000"], "%d.%m.%Y %H:%M:%S %z"),
    (["Dec 31 2022", "Jan 5 2023", "Jan 10 2023"], "%b %d %Y"),
    (["December 31, 2022", "January 5, 2023"], "%B %d, %Y"),
    (["31-Dec-22", "05-Jan-23"], "%d-%b-%y"),
    (["Sat, 31 Dec 2022 23:00:00 GMT", "Thu, 05 Jan 2023 10:00:00 GMT"], "%a, %d %b %Y %H:%M:%S %Z"),
    (["12/31/2022 9:30 PM", "1/5/2023 10:15 AM", "1/5/2023 9:15 PM"], "%m/%d/%Y %I:%M %p"),
    (["31.12.2022 10:00", "01.01.2023 09:00"], "%d.%m.%Y %H:%M"),
    (["31.12.2022, 10:00:00.25", "01.01.2023, 09:00:00.5"], "%d.%m.%Y, %H:%M:%S.%f"),
    (["12/2022", "01/2023"], "%m/%Y"),
    (["999999999", "1700000000"], None),
    (["2022", "2023"], None),
]


@pytest.mark.parametrize(("values", "time_format"), IN_ORDER, ids=[values[0] for values, _ in IN_ORDER])
def test_text_sorts_as_the_time_that_it_says(values: list[str], time_format: str | None):
    """Whatever the order of rows; the format is inferred from all values, and recorded."""
    for order in (range(len(values)), reversed(range(len(values)))):
        column = pd.Series(values, name="t").iloc[list(order)]
        found = times_of(column, time_format=None)
        assert found.format == time_format
        assert np.argsort(found.order, kind="stable").tolist() == np.argsort(list(column.index)).tolist()


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_datetime(["2023-01-02", "2023-10-01"])),
        pd.Series(pd.to_datetime(["2023-01-02T10:00+09:00", "2023-01-02T02:00+00:00"], utc=True)),
        pd.Series([20221231, 20230101]),
        pd.Series([1.5, 1.7e9]),
        pd.Series([-3, 12]),
    ],
)
def test_dates_and_numbers_sort_by_themselves(column: pd.Series):
    """Without any format."""
    found = times_of(column.rename("t"), time_format=None)
    assert found.format is None
    assert found.order[0] < found.order[1]


REFUSED = [
    (["01/06/2023", "02/06/2023"], "can be read in more than one way: '01/06/2023' by %d/%m/%Y or by %m/%d/%Y"),
    (["01.06.2023", "02.06.2023"], "can be read in more than one way"),
    (["01/02/03", "04/05/06"], "can be read in more than one way"),
    (
        ["31.12.2022", "2023-01-05", "5.1.2023"],
        "1 of 3 values are no dates by the format %d.%m.%Y: '2023-01-05' in row 2",
    ),
    (["2022-12-31", "soon", "now", "today"], "3 of 4 values are no dates .*: 'soon' in row 2, 'now' in row 3, 'today'"),
    (["unknown", "31.12.2022", "1.1.2023"], "'unknown' in row 1"),
    (["12/31/2022", "31/12/2022"], "1 of 2 values are no dates by the format"),
    (["30.02.2023", "31.12.2022"], "'30.02.2023' in row 1"),
    (["a", "b"], "2 of 2 values are no dates in any format known here"),
    (["Monday", "Tuesday"], "no dates in any format"),
    (["2023-01-01T10:00Z", "2023-01-01T10:00"], "names a zone in some values .* and none in others"),
    (["1 days", "10 days"], "no dates in any format"),
    (["2023-01-01", None], "is missing in 1 rows"),
    (["2023-01-01", ""], "'' in row 2"),
    ([True, False], "holds truth values"),
    ([1.0, np.inf], "is infinite in 1 rows"),
    ([31122022, 1012023], "dates as numbers with the year last, such as 31122022"),
    ([123122, 10623], "dates as numbers with the year last, such as 123122"),
    (["31122022", "01012023"], "dates as numbers with the year last"),
]


@pytest.mark.parametrize(("values", "said"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_what_does_not_sort_as_dates_is_refused(values: list, said: str):
    """With the first rows that stand against it, and with what to do."""
    with pytest.raises(InvalidInput, match=said) as caught:
        times_of(pd.Series(values, name="t"), time_format=None)
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("values", "time_format", "order"),
    [
        (["01/06/2023", "02/05/2023"], "%d/%m/%Y", [1, 0]),
        (["01/06/2023", "02/05/2023"], "%m/%d/%Y", [0, 1]),
        ([1062023, 2052023], "%d%m%Y", [1, 0]),
        (["2023|31|12", "2023|01|12"], "%Y|%d|%m", [1, 0]),
        (["2023-01-02", "2023-01-01"], "ISO8601", [1, 0]),
    ],
)
def test_the_format_can_be_said(values: list, time_format: str, order: list[int]):
    """Where it cannot be told, or is one of one's own."""
    found = times_of(pd.Series(values, name="t"), time_format=time_format)
    assert np.argsort(found.order).tolist() == order
    assert found.format == time_format


@pytest.mark.parametrize(
    ("values", "time_format", "said"),
    [
        (["01/06/2023", "02.05.2023"], "%d/%m/%Y", "by the format %d/%m/%Y: '02.05.2023' in row 2"),
        (["2023"], "%Q", "time_format='%Q': 'Q' is a bad directive"),
        (pd.to_datetime(["2023-01-01"]), "%Y", "holds dates, and time_format is for text"),
        ([1.5], "%Y", "holds fractions, and time_format is for text"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(values: list, time_format: str, said: str):
    """It is never put aside in silence."""
    with pytest.raises(InvalidInput, match=said):
        times_of(pd.Series(values, name="t"), time_format=time_format)
