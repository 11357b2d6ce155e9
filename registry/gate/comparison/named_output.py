"""Which column of an answer is compared? The one that the policy names, of models that answer with a table.

Callers get the whole table; what is measured is one value a row. So models and engines are asked as ever, and of each
answer one column is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.gate.comparison.answers import WrongAnswers, columns_of
from slipway.registry.gate.evidence import Model, Rehearsing, Tools
from slipway.registry.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class ColumnOf:
    """Takes the column `output` of what a version answers."""

    output: str
    version: str

    def __call__(self, answered: Any) -> npt.NDArray[Any]:
        """Return the column, shape (n,).

        Raises
        ------
        WrongAnswers
            The answer is no table, or one without that column.
        """
        names = columns_of(answered)
        if self.output not in names:
            said = f"the columns {', '.join(names)}" if names else "with no table"
            near = did_you_mean(self.output, names)
            raise WrongAnswers(f"{self.version} answers {said}, and the policy compares output: {self.output}{near}")
        if isinstance(answered, pd.DataFrame):
            return np.asarray(answered.rename(columns=str)[self.output])
        if isinstance(answered, Mapping):
            return np.asarray(answered[self.output])
        return np.asarray([row.get(self.output) for row in answered])


class ModelWithOutput:
    """A loaded model that answers with one column of its table; it has no probabilities."""

    def __init__(self, stored: Model, column: ColumnOf) -> None:
        self._stored, self._column = stored, column
        self.method, self.columns, self.optional = stored.method, stored.columns, stored.optional

    @property
    def model(self) -> "ModelWithOutput":
        """Return what predicts."""
        return self

    def predict(self, features: pd.DataFrame) -> npt.NDArray[Any]:
        """Return the column of what the model predicts."""
        return self._column(self._stored.model.predict(features))

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the features in the types that its signature declares."""
        return self._stored.fitting(features)

    def called(self, features: pd.DataFrame) -> Any:
        """Return the column of what callers get who send the features as JSON; `None` where they are refused."""
        answered = self._stored.called(features)
        return None if answered is None else self._column(answered)


class RehearsingWithOutput:
    """A model as the serving engine would have it, of whose answers one column is taken."""

    methods = ("predict",)

    def __init__(self, engine: Rehearsing, column: ColumnOf) -> None:
        self._engine, self._column = engine, column
        self.kind = engine.kind

    def answer(self, body: bytes) -> Any:
        """Return the column of what callers get for a JSON body; `None` where they are refused."""
        answered = self._engine.answer(body)
        return None if answered is None else self._column(answered)

    def is_chosen(self, held_out: pd.DataFrame | None) -> bool:
        """Return whether an engine may choose it."""
        return self._engine.is_chosen(held_out)


def tools_for(output: str, tools: Tools, versions: Mapping[Path, str]) -> Tools:
    """Return tools whose models answer with one column; `versions` names what is in each folder."""

    def load(folder: str) -> Model:
        return ModelWithOutput(tools.load(folder), ColumnOf(output, versions[Path(folder)]))

    @contextmanager
    def rehearse(folder: Path) -> Iterator[Sequence[Rehearsing]]:
        with tools.rehearse(folder) as engines:
            yield [RehearsingWithOutput(engine, ColumnOf(output, versions[folder])) for engine in engines]

    return replace(tools, load=load, rehearse=rehearse)
