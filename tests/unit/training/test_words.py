"""Only an empty field is missing, or a word that was declared so: in training and wherever the model predicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.training.data import load
from slipway.training.dataset import Dataset
from slipway.training.file_data import read_file
from slipway.training.spec import parse_spec
from slipway.training.train import train
from tests.generators.datasets import sources

WORDS = ("NA", "None", "null", "nan", "N/A", "NULL", "NaN", "n/a")
MISSING = ("NA", "?")


def csv(folder: Path, *, missing: tuple[str, ...] = ()) -> Dataset:
    """Read countries, of which Namibia's code is NA, and incomes, of which some are unknown."""
    rng = np.random.default_rng(0)
    countries, members = rng.choice(["DE", "FR", "NA", "", "?"], 200), rng.choice(["True", "False", "NA"], 200)
    incomes = ["NA" if i % 10 == 0 else f"{i}.5" for i in range(200)]
    rows = [f"{countries[i]},{incomes[i]},{members[i]},{i % 2}" for i in range(200)]
    (folder / "rows.csv").write_text("\n".join(["country,income,member,y", *rows, ",,,1"]) + "\n")
    return load(str(folder / "rows.csv"), "y", sources=sources(), reading=Reading(missing_words=missing))


def test_only_the_empty_field_is_missing(tmp_path: Path):
    """Every word stays what it says, in files of every kind."""
    frame = pd.DataFrame({"word": [*WORDS, None], "y": [0, 1] * 4 + [1]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        found = load(str(tmp_path / name), "y", sources=sources()).frame["word"]
        assert found.dropna().tolist() == list(WORDS)
        assert found.isna().tolist() == [False] * 8 + [True]


def test_numbers_among_which_a_word_stands_are_text_and_that_is_said(tmp_path: Path):
    """With the column, the word, how often, and what to write if it means missing."""
    dataset = csv(tmp_path)
    assert str(dataset.frame["income"].dtype) == "str"
    assert (
        "column 'income' holds numbers and 'NA' (20 rows), and is taken as text; if that means missing: missing=NA"
        in dataset.notes
    )
    assert any(
        "column 'country' holds 'NA' (" in note and "is a value and not missing" in note for note in dataset.notes
    )


def test_a_declared_word_is_missing_among_numbers_and_stays_in_text(tmp_path: Path):
    """There the pipeline maps it, so that whoever serves the model does too."""
    dataset = csv(tmp_path, missing=MISSING)
    assert [str(dtype) for dtype in dataset.frame.dtypes[["country", "income", "member"]]] == [
        "str",
        "float64",
        "float64",
    ]
    assert dataset.frame["income"].isna().sum() == 21
    assert {"NA", "?"} <= set(dataset.frame["country"])
    assert dataset.notes == ()


@pytest.mark.parametrize("estimator", ["logistic", "random_forest", "hist_gradient_boosting"])
def test_a_declared_word_is_predicted_as_missing(tmp_path: Path, estimator: str):
    """Whether training saw it or not, like null; an undeclared one is a category."""
    for missing, same in ((MISSING, True), ((), False)):
        dataset = csv(tmp_path, missing=missing)
        small = {"n_estimators": 5} if estimator == "random_forest" else {}
        spec = {
            "data": "d",
            "target": "y",
            "model": "m",
            "estimator": estimator,
            "params": small,
            "missing": ",".join(missing),
        }
        trained = train(dataset, parse_spec(spec))
        row = dataset.frame.drop(columns="y").iloc[[1]]
        answers = [
            trained.pipeline.predict_proba(row.assign(country=pd.Series([value], index=row.index, dtype=object)))
            for value in (None, np.nan, "NA", "?")
        ]
        assert np.array_equal(answers[0], answers[1])
        assert all(np.array_equal(answers[0], answer) for answer in answers[2:]) is same


def test_words_in_the_target_and_in_the_key_are_missing_too(tmp_path: Path):
    """Both are refused, with how many rows."""
    frame = pd.DataFrame({"x": range(40), "k": ["NA", *map(str, range(39))], "y": ["NA", "a"] + ["a", "b"] * 19})
    frame.to_parquet(tmp_path / "rows.parquet")
    dataset = load(str(tmp_path / "rows.parquet"), "y", sources=sources(), reading=Reading(missing_words=("NA",)))
    spec = {"data": "d", "target": "y", "model": "m", "missing": "NA"}
    with pytest.raises(InvalidInput, match="target 'y' is missing in 1 of 40 rows"):
        train(dataset, parse_spec(spec))
    good = load(str(tmp_path / "rows.parquet"), "x", sources=sources(), reading=Reading(missing_words=("NA",)))
    with pytest.raises(InvalidInput, match="key 'k' is missing in 1 of 40 rows"):
        train(good, parse_spec({**spec, "target": "x", "key": "k"}))


def test_the_words_are_a_list_between_commas():
    """Spaces and repetitions do not count; numbers cannot be words."""
    given = {"data": "d", "target": "t", "model": "m"}
    assert parse_spec({**given, "missing": " NA, null ,NA,,#N/A"}).missing == ("NA", "null", "#N/A")
    with pytest.raises(InvalidInput, match="missing='NA,-999': -999 is a number"):
        parse_spec({**given, "missing": "NA,-999"})


def test_a_large_file_is_read_in_one_piece(tmp_path: Path):
    """In pieces, one word far down would leave numbers in the first piece and text in the last."""
    lines = [f"{i:06},{i % 2}" for i in range(400_000)]
    (tmp_path / "rows.csv").write_text("\n".join(["code,y", *lines, "x,1"]))
    found = load(str(tmp_path / "rows.csv"), "y", sources=sources()).frame["code"]
    assert (found.iloc[0], found.iloc[-1]) == ("000000", "x")


def test_a_word_that_is_a_number_hides_no_number(tmp_path: Path):
    """A version's record says which words meant missing in it; where it is asked, a number is a number."""
    (tmp_path / "rows.csv").write_text("x,y\n1,a\n2,b\n?,a\n3,b\n")
    frame = read_file(tmp_path / "rows.csv", Reading(missing_words=("?", "1", "2.0", " 3"))).frame
    assert frame["x"].tolist()[:2] + frame["x"].tolist()[3:] == [1.0, 2.0, 3.0]
    assert np.isnan(frame["x"].iloc[2])


@pytest.mark.parametrize("word", ["0_0", "\u0660", "\u00a00", "0\u2003", "1e0_0", "\uff11", "-0", "inf", " 1_0 "])
def test_nor_does_one_that_only_python_reads_as_a_number(word: str, tmp_path: Path):
    """Pandas takes for missing whatever `float` makes of a word, by value."""
    (tmp_path / "rows.csv").write_text("x,y\n0,a\n1,b\n?,a\n10,b\n")
    frame = read_file(tmp_path / "rows.csv", Reading(missing_words=("?", word))).frame
    assert frame["x"].tolist()[:2] + frame["x"].tolist()[3:] == [0.0, 1.0, 10.0]
    assert np.isnan(frame["x"].iloc[2])
