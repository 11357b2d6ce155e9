"""Which Parquet files are plain; that MLflow agrees is tested in contract/test_scoring_agrees."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.mlflow.parquet import ParquetDecoder, compile_parquet_decoder

SIGNATURE = Signature(
    inputs=(
        Field(name="a", type="double"),
        Field(name="s", type="string"),
        Field(name="n", type="long"),
        Field(name="b", type="double", required=False),
        Field(name="ok", type="boolean", required=False),
    ),
    outputs=(),
    params=(Field(name="t", type="double", default=1, required=False),),
)


def decoder(signature: Signature = SIGNATURE) -> ParquetDecoder:
    made = compile_parquet_decoder(signature)
    assert made is not None
    return made


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2], "a": [1.5, None], "s": ["x", "y"], **columns})


@pytest.mark.parametrize("written", [frame().to_parquet(), frame(more=["p", "q"]).to_parquet(index=False)])
def test_a_frame_becomes_a_table(written: bytes):
    """Columns come in any order, more of them are ignored, a missing number is NaN, one left out is, too."""
    plain = decoder().decode(written)
    np.testing.assert_array_equal(plain.rows.numbers, [[1.5, np.nan], [np.nan, np.nan]])
    assert {name: array.tolist() for name, array in plain.rows.others.items()} == {"s": ["x", "y"], "n": [1, 2]}
    assert len(plain.rows.absent) == 1
    assert (plain.params, plain.method) == ({"t": 1.0}, "predict")


def test_a_file_may_come_from_elsewhere():
    """What pyarrow, Spark or DuckDB writes has no word of pandas in it."""
    target = io.BytesIO()
    pq.write_table(pa.table({"a": [1.5], "s": ["x"], "n": [2], "b": [0.5], "ok": [True]}), target)
    table = decoder().decode(target.getvalue()).rows
    assert (table.numbers.tolist(), table.others["ok"].tolist()) == ([[1.5, 0.5]], [True])


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"PAR1 and no more PAR1",
        frame().to_parquet()[:-1],
        frame().head(0).to_parquet(),
        frame().drop(columns="a").to_parquet(),
        frame().set_index("n").to_parquet(),
        frame().set_axis(["p", "q"]).to_parquet(),
        frame().to_parquet(index=True),
        frame().set_axis(range(5, 7)).to_parquet(),
        frame().rename_axis("row").to_parquet(),
        frame(n=np.array([1, 2], dtype="int32")).to_parquet(),
        frame(n=pd.array([1, 2], dtype="Int64")).to_parquet(),
        frame(s=["x", None]).to_parquet(),
        frame(s=pd.Categorical(["x", "y"])).to_parquet(),
        frame(ok=[True, None]).to_parquet(),
        frame(a=np.array([1, 2], dtype="float32")).to_parquet(),
        frame(a=[1, 2]).to_parquet(),
        frame(a=pd.array([1.5, None], dtype="Float64")).to_parquet(),
        pd.DataFrame([[1.5]]).to_parquet(),
    ],
)
def test_other_files_are_for_mlflow(written: bytes):
    """Broken, empty, of types that are near or of pandas' own, with labels that a model may see: not for us."""
    assert decoder().decode(written) is None


def test_a_model_without_plain_requests_has_no_plain_files():
    """The same models as for JSON."""
    assert compile_parquet_decoder(None) is None
    assert compile_parquet_decoder(Signature(inputs=(Field(name="w", type="datetime"),), outputs=(), params=())) is None
