"""Columns of text that say something else than categories are named with what to do; categories are not."""

import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.training.data import load
from slipway.training.dataset import Dataset
from slipway.training.quality import refuse_target, warnings_for
from slipway.training.text_columns import TextKind, kind_of_text
from tests.generators.datasets import sources

ROWS = 60


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TextKind.DATES, ["2024-01-31", "2024-02-01 12:00"]),
        (TextKind.DATES, ["31.1.24", None, "01.02.2024"]),
        (TextKind.NUMBERS, ["1.234,5", "7"]),
        (TextKind.NUMBERS, ["12 %", "3 %", "k.A."]),
        (TextKind.NUMBERS, ["€ 5", "-3,50 €", "CHF 1'200"]),
        (TextKind.MEASURES, ["01:30", "0:05:00"]),
        (TextKind.MEASURES, ["1 days 02:00:00", "3 days"]),
        (TextKind.MEASURES, ["PT1H30M", "P2D"]),
        (TextKind.MEASURES, ["2 h 5 min", "45min", "3 Std."]),
        (TextKind.MEASURES, ["5 kg", "12,5kg", "1 km/h"]),
        (TextKind.PROSE, [f"the customer said number {i} on the phone" for i in range(9)]),
        (TextKind.CATEGORIES, ["red", "green"]),
        (TextKind.CATEGORIES, ["12a", "4x4", "A 12", "3-4"]),
        (TextKind.CATEGORIES, ["1", "k.A.", "n.b."]),
        (TextKind.CATEGORIES, ["one of the five first words", "another of those very few words"] * 9),
        (TextKind.CATEGORIES, [None, None]),
        (TextKind.CATEGORIES, ["+49 170 12345", "+49 30 123"]),
    ],
)
def test_what_text_says_is_told(kind: TextKind, values: list[str | None]):
    """By all of its values; what could be a name or a code stays a category."""
    assert kind_of_text(pd.Series(values, dtype="str")) is kind


def table(tmp_path, **columns: list[str]) -> Dataset:
    """Return a table of some columns of text, repeated to sixty rows."""
    rows = {name: (values * ROWS)[:ROWS] for name, values in columns.items()}
    pd.DataFrame({**rows, "n": range(ROWS), "y": [0, 1] * (ROWS // 2)}).to_csv(tmp_path / "rows.csv", index=False)
    return load(str(tmp_path / "rows.csv"), "y", sources=sources(), reading=Reading(dtypes={"plz": "string"}))


def test_each_is_named_with_what_to_do(tmp_path):
    """Once, and those that were said to be text not at all."""
    prose = [f"a long text about nobody number {i}" for i in range(ROWS)]
    columns = {"preis": ["€ 5", "€ 1.234,50", "k.A."], "dauer": ["1:30", "2:00"], "am": ["1.2.2024"], "notiz": prose}
    dataset = table(tmp_path, **columns, plz=["01234", "80331"], farbe=["rot", "blau"])
    notes = [note for note in warnings_for(dataset, dataset.schema) if "identifiers" not in note]
    assert notes[-4] == (
        "text columns that look like dates, taken as categories: 'am'; dates=expand makes features of them, drop=am "
        "leaves it out"
    )
    assert notes[-3] == (
        "column 'preis' holds numbers written as text, such as '€ 5', and is taken as categories; dtype=preis=number "
        "reads them as numbers, and missing=k.A. if that is what 'k.A.' means"
    )
    assert notes[-2] == (
        "durations or numbers with a unit, taken as categories: 'dauer', such as '1:30'; write them as numbers of one "
        "unit, or drop=dauer leaves it out"
    )
    assert notes[-1] == "free text, of which each value is a category of its own: 'notiz'; drop=notiz leaves it out"
    assert not any(f"'{name}'" in note for note in notes for name in ("plz", "farbe"))


def test_a_target_of_numbers_written_as_text_is_refused(tmp_path):
    """Hundreds of amounts would be hundreds of classes."""
    target = pd.Series([f"{i},50 €" for i in range(ROWS)], name="preis", dtype="str")
    for classification in (True, False):
        with pytest.raises(
            InvalidInput, match="target 'preis' holds numbers written as text, such as '0,50 €'"
        ) as error:
            refuse_target(target, classification=classification)
        assert error.value.hint == "dtype=preis=number reads them as numbers"
    refuse_target(pd.Series(["10 %", "20 %"] * 9, name="stufe", dtype="str"), classification=True)
