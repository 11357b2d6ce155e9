"""Models that answer with a table are compared by the column that the policy names."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipway.registry.gate.checks import champion, slices
from slipway.registry.gate.comparison.answers import WrongAnswers
from slipway.registry.gate.comparison.named_output import ColumnOf
from slipway.registry.gate.verdict import Outcome
from slipway.registry.policy.policy import ChampionRule, SlicesRule
from tests.unit.registry.gate.checks.test_champion import Answers, evidence_of, numbers
from tests.unit.registry.gate.checks.test_checks import only


def priced(factor: float) -> Answers:
    """Return a model that answers with a price, and with what it says of every row."""
    return Answers(
        lambda features: pd.DataFrame({"price": factor * features.x, "model": "ours"}, index=features.index), classes=()
    )


@pytest.mark.parametrize(("factor", "outcome"), [(10.0, Outcome.PASS), (8.0, Outcome.FAIL)])
def test_the_named_column_is_compared(tmp_path: Path, factor: float, outcome: Outcome):
    """Over all rows, and in slices."""
    frame = numbers(2000).assign(side=lambda rows: np.where(rows.id % 2, "left", "right"))
    given = evidence_of(tmp_path, frame, priced(factor), priced(10.0), kind="regression")
    assert only(champion.check(given, ChampionRule(metric="mae", output="price"))).outcome is outcome
    by_side = SlicesRule(columns=("side",), metric="mae", output="price")
    assert only(slices.check(given, by_side)).outcome is outcome


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (ChampionRule(), "m/1 answers each row with price, model, and one value a row can be compared: name one in"),
        (ChampionRule(output="prise"), "and the policy compares output: prise (did you mean 'price'?)"),
        (ChampionRule(output="model"), "the answers of m/1 are not all numbers"),
    ],
)
def test_another_column_than_one_of_values_is_told(tmp_path: Path, rule: ChampionRule, said: str):
    """With the columns that there are."""
    given = evidence_of(tmp_path, numbers(500), priced(10.0), priced(10.0), kind="regression")
    found = only(champion.check(given, rule))
    assert found.outcome in (Outcome.ERROR, Outcome.INCONCLUSIVE)
    assert said in found.reason


@pytest.mark.parametrize(
    "answered",
    [
        pd.DataFrame({"a": [1, 2], "b": [3, 4]}),
        {"a": np.array([1, 2]), "b": np.array([3, 4])},
        [{"a": 1, "b": 3}, {"a": 2, "b": 4}],
    ],
)
def test_every_form_of_a_table_has_its_columns(answered: Any):
    """As a model gives it, and as JSON shows it."""
    assert ColumnOf("b", "m/1")(answered).tolist() == [3, 4]


@pytest.mark.parametrize("answered", [np.array([1, 2]), [1, 2], []])
def test_what_is_no_table_has_no_column(answered: Any):
    """A model that answers with values does so whatever the policy names."""
    with pytest.raises(WrongAnswers, match="m/1 answers with no table, and the policy compares output: b"):
        ColumnOf("b", "m/1")(answered)


class Engine:
    """An engine that answers with records of a price."""

    kind, methods = "compiled", ("predict",)

    def __init__(self, price: float) -> None:
        self.price = price

    def answer(self, body: bytes) -> Any:
        sent = json.loads(body)["dataframe_split"]
        return [
            {"price": self.price * x, "model": "ours"} for x in pd.DataFrame(sent["data"], columns=sent["columns"]).x
        ]

    def is_chosen(self, held_out: pd.DataFrame | None) -> bool:
        return True


@pytest.mark.parametrize(("price", "outcome"), [(10.0, Outcome.PASS), (9.0, Outcome.ERROR)])
def test_the_engine_is_held_to_the_same_column(tmp_path: Path, price: float, outcome: Outcome):
    """What callers get of it is what was measured."""

    @contextmanager
    def rehearse(_: Path) -> Iterator[Sequence[Engine]]:
        yield [Engine(price)]

    given = evidence_of(tmp_path, numbers(500), priced(10.0), priced(10.0), kind="regression")
    given = replace(given, tools=replace(given.tools, rehearse=rehearse))
    assert only(champion.check(given, ChampionRule(metric="mae", output="price"))).outcome is outcome
