"""Small datasets for tests, read as training reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from slipway.registry.reading import Reading
from slipway.training.data import DataSources, load
from slipway.training.dataset import Dataset
from slipway.training.s3_data import read_object
from slipway.training.sql_data import read_statement


def sources(*, client: object = None, connections: Mapping[str, str] | None = None) -> DataSources:
    """Return sources over the real SQL door and the given S3 client."""
    return DataSources(
        read_object=lambda uri, reading: read_object(uri, client, reading),
        read_statement=read_statement,
        connections=connections or {},
    )


def dataset_of(frame: pd.DataFrame, target: str, folder: Path, *, missing_words: Sequence[str] = ()) -> Dataset:
    """Return a frame as the dataset that reading it from Parquet gives."""
    path = folder / "rows.parquet"
    frame.to_parquet(path, index=False)
    return load(str(path), target, sources=sources(), reading=Reading(missing_words=tuple(missing_words)))


def customers(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return mixed columns with missing values and a target that can be learned."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": [f"c{i:05}" for i in range(rows)],
            "age": rng.integers(18, 90, rows),
            "city": rng.choice(["Oslo", "Rome", "Lima"], rows),
            "income": np.round(rng.normal(3e4, 1e4, rows), 2),
            "active": rng.random(rows) > 0.4,
        }
    )
    frame["churned"] = np.where((frame.age > 50) ^ (frame.city == "Rome"), "yes", "no")
    frame.loc[rng.random(rows) < 0.1, "income"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "city"] = None
    return frame


def churn(rows: int = 4_000, share: float = 0.08) -> pd.DataFrame:
    """Return customers of whom a small share leaves, most of them with a large x."""
    rng = np.random.default_rng(0)
    leaves = rng.random(rows) < share
    frame = pd.DataFrame({"x": rng.normal(size=rows) + 2 * leaves, "z": rng.normal(size=rows)})
    return frame.assign(churned=np.where(leaves, "yes", "no"))
