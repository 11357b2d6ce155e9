"""The preparation of our own: scikit-learn's matrix, to the last bit."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from slipway.registry.errors import InvalidInput
from slipway.serving.runtimes.compiled.preprocessing import Preparation
from slipway.serving.runtimes.compiled.read_preprocessing import read_preparation, without_checks
from slipway.serving.runtimes.compiled.unsupported import NotCompilable
from slipway.serving.runtimes.stored import preparation_from_store, preparation_to_store
from slipway.serving.table import Table
from slipway.training.dataset import ColumnSchema, kind_of
from slipway.training.estimators import RECIPES, choose_estimator
from slipway.training.pipeline import build_pipeline
from slipway.training.spec import Task
from tests.generators.runtimes import columns_of, mixed

NUMBERS = ["width", "income"]
TEXTS = ["city"]


def ordinal(**more: Any) -> OrdinalEncoder:
    """Return an encoder that takes unseen categories."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **more)


def over(*parts: tuple[Any, Any], **more: Any) -> ColumnTransformer:
    """Return an unfitted ColumnTransformer of numbered parts."""
    return ColumnTransformer([(str(place), part, columns) for place, (part, columns) in enumerate(parts)], **more)


def constant(text: str = "none", missing: Any = np.nan) -> SimpleImputer:
    """Return an imputer of text."""
    return SimpleImputer(strategy="constant", fill_value=text, missing_values=missing)


TRANSFORMERS: dict[str, Any] = {
    "median and scaling": over((make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS)),
    "mean and range": over((make_pipeline(SimpleImputer(), MinMaxScaler((-1, 2), clip=True)), NUMBERS)),
    "most frequent": over((SimpleImputer(strategy="most_frequent"), [*NUMBERS, "visits"])),
    "constant": over((SimpleImputer(strategy="constant", fill_value=-1), ["visits", *NUMBERS])),
    "robust": over((RobustScaler(), ["income", "width"])),
    "robust without scaling": over((RobustScaler(with_scaling=False), NUMBERS)),
    "largest": over((MaxAbsScaler(), ["visits", "active", *NUMBERS])),
    "scaling of whole numbers and flags": over((StandardScaler(), ["active", "visits", "width"])),
    "scaling without the mean": over((StandardScaler(with_mean=False), NUMBERS)),
    "passthrough": over(("passthrough", ["income", "active", "width"])),
    "remainder": over((constant(), []), ("drop", TEXTS), remainder="passthrough"),
    "one hot": over((OneHotEncoder(handle_unknown="ignore"), TEXTS), ("passthrough", ["width"])),
    "one hot, dense, after an imputer": over(
        (make_pipeline(constant(), OneHotEncoder(handle_unknown="ignore", sparse_output=False)), TEXTS)
    ),
    "one hot, infrequent": over((OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3), TEXTS)),
    "one hot, first dropped": over((OneHotEncoder(drop="first", handle_unknown="ignore"), [*TEXTS, "active"])),
    "one hot, refusing": over((OneHotEncoder(), [*TEXTS, "active", "visits"])),
    "ordinal": over((ordinal(), TEXTS), ("passthrough", NUMBERS)),
    "ordinal, missing as -2": over((ordinal(encoded_missing_value=-2), TEXTS)),
    "ordinal of numbers": over((ordinal(), ["width", "visits", "active"])),
    "both kinds of missing text": over((make_pipeline(constant(), constant(missing=None), ordinal()), TEXTS)),
    "another text for missing": over((make_pipeline(constant(), constant(missing="Rome"), ordinal()), TEXTS)),
    "columns by their kind": over((StandardScaler(), make_column_selector(dtype_include=np.number))),
    "columns by place": over((StandardScaler(), [0, 4]), (ordinal(), slice(1, 2))),
    "nested pipelines": over((make_pipeline(make_pipeline(SimpleImputer()), "passthrough", RobustScaler()), NUMBERS)),
    "scaling after the columns": make_pipeline(
        over((ordinal(), TEXTS), (SimpleImputer(), NUMBERS)), StandardScaler(), MinMaxScaler()
    ),
}


def fitted(transformer: Any, frame: pd.DataFrame) -> Pipeline:
    """Return a fitted pipeline: the transformer, and some estimator that is not asked."""
    transformer.fit(frame)
    return Pipeline([("prepare", transformer), ("estimator", LogisticRegression())])


def outcome(call: Any) -> Any:
    """Return the matrix, dense; or that it was refused."""
    try:
        found = call()
    except ValueError:
        return "refused"
    dense = found.toarray() if hasattr(found, "toarray") else found
    return dense.astype(np.float64)  # flags beside numbers are objects, until the estimator looks at them


def rows_to_try(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Return all rows, each of some rows alone, and rows with what is missing, unseen or infinite."""
    strange = []
    for name, value in [
        ("city", np.nan),
        ("city", None),
        ("city", "Paris"),
        ("city", ""),
        ("income", np.nan),
        ("income", np.inf),
        ("width", np.nan),
        ("width", -1e300),
    ]:
        row = frame.iloc[[3]].astype({"city": object})
        row[name] = pd.Series([value], index=row.index, dtype=row[name].dtype)
        strange.append(row)
    return [frame, *(frame.iloc[[place]] for place in range(20)), *strange]


def assert_same(preparation: Preparation, transformer: Any, frame: pd.DataFrame) -> None:
    columns = columns_of(mixed())
    for rows in rows_to_try(frame):
        expected = outcome(lambda rows=rows: transformer.transform(rows))
        found = outcome(lambda rows=rows: preparation.matrix(columns.table(rows)))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_matrix_is_scikit_learns_to_the_last_bit(name: str):
    """Whatever the transformers: the same numbers for the same rows, in a batch or alone, and the same refusals."""
    transformer = TRANSFORMERS[name]
    model = fitted(transformer, mixed())
    preparation = read_preparation(model, columns_of(mixed()).fields).preparation
    assert_same(preparation, transformer, mixed())


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_stored_preparation_is_the_same(name: str):
    """What is written to the cache and read again prepares as before."""
    transformer = TRANSFORMERS[name]
    model = fitted(transformer, mixed())
    document, arrays = preparation_to_store(read_preparation(model, columns_of(mixed()).fields).preparation)
    assert_same(preparation_from_store(document, arrays), transformer, mixed())


@pytest.mark.parametrize("estimator", RECIPES)
def test_what_training_builds_is_read(estimator: str):
    """Every pipeline of our own training is prepared by us, for each of its estimators."""
    frame = mixed().astype({"visits": float})
    task = Task.CLASSIFICATION if RECIPES[estimator].classifier else Task.REGRESSION
    columns = [ColumnSchema(name=name, kind=kind_of(frame[name])) for name in frame]
    transformer = build_pipeline(columns, choose_estimator(estimator, {}, task=task, seed=0))[:-1].fit(frame)
    preparation = read_preparation(
        Pipeline([*transformer.steps, ("e", LogisticRegression())]), columns_of(frame).fields
    )
    table = columns_of(frame).table(frame)
    np.testing.assert_array_equal(preparation.preparation.matrix(table), transformer.transform(frame))


def test_a_model_without_columns_takes_the_frame_as_it_is():
    """Without transformers, the matrix is the table's own: nothing is copied."""
    frame = mixed()[NUMBERS].fillna(0.0)
    model = LogisticRegression().fit(frame, frame.width > 5)
    table = columns_of(frame).table(frame)
    assert read_preparation(model, columns_of(frame).fields).preparation.matrix(table) is table.numbers


def test_a_table_is_left_as_it_was():
    """Imputing and scaling work on a copy, since the exchange is recorded after it was answered."""
    frame = mixed()[NUMBERS]
    model = make_pipeline(SimpleImputer(), StandardScaler()).fit(frame)
    model.steps.append(("estimator", LogisticRegression()))
    table = columns_of(frame).table(frame)
    before = table.numbers.copy()
    read_preparation(model, columns_of(frame).fields).preparation.matrix(table)
    np.testing.assert_array_equal(table.numbers, before)


def test_columns_that_lie_apart_are_taken_in_their_order():
    """A column's place in the signature, in the fit and in the matrix are three things."""
    frame = mixed()
    transformer = over(("passthrough", ["income"]), (ordinal(), ["city"]), ("passthrough", ["visits", "width"]))
    turned = frame[["visits", "income", "active", "city", "width"]]
    model = fitted(transformer, frame)
    preparation = read_preparation(model, columns_of(turned).fields).preparation
    found = preparation.matrix(columns_of(turned).table(turned))
    np.testing.assert_array_equal(found, transformer.transform(frame))


def test_what_a_transformer_keeps_beside_is_not_believed():
    """A stored one may be changed where scikit-learn never looks: what is read is what its `transform` reads."""
    frame = mixed()
    transformer = over((SimpleImputer(), ["width"]), (SimpleImputer(), ["income"]), ("passthrough", ["visits"]))
    model = fitted(transformer, frame)
    kept = transformer.output_indices_
    kept["0"], kept["1"] = kept["1"], kept["0"]
    assert_same(read_preparation(model, columns_of(frame).fields).preparation, transformer, frame)


def test_columns_without_names_are_taken_by_their_places():
    """A list, a slice or a mask, as scikit-learn takes them."""
    frame = mixed()[NUMBERS].fillna(0.0)
    for places in ([1, 0], slice(0, 2), [False, True], [-1]):
        transformer = ColumnTransformer([("0", StandardScaler(), places), ("1", "passthrough", [0])])
        transformer.fit(frame.to_numpy())
        model = Pipeline([("prepare", transformer), ("estimator", LogisticRegression())])
        preparation = read_preparation(model, columns_of(frame).fields).preparation
        found = preparation.matrix(columns_of(frame).table(frame))
        np.testing.assert_array_equal(found, transformer.transform(frame.to_numpy()))


@pytest.mark.parametrize(
    ("transformer", "words"),
    [
        (over((StandardScaler(), NUMBERS), transformer_weights={"0": 2.0}), "weighs '0'"),
        (over((PCA(1), ["width", "visits"])), "PCA"),
        (over(("passthrough", TEXTS)), "'city' of type string without an encoder"),
        (over((SimpleImputer(add_indicator=True), NUMBERS)), "indicator"),
        (over((make_pipeline(OneHotEncoder(), MaxAbsScaler()), ["city"])), "OneHotEncoder before MaxAbsScaler"),
        (over((OneHotEncoder(dtype=np.float32), TEXTS)), "float32"),
        (over((OneHotEncoder(dtype=np.int8), TEXTS)), "int8"),
        (over((SimpleImputer(missing_values=1, strategy="most_frequent"), ["visits"])), "missing value 1"),
        (over((over((StandardScaler(), NUMBERS)), NUMBERS)), "ColumnTransformer"),
        (over((StandardScaler(copy=False), NUMBERS)), "StandardScaler with copy=False"),
        (over((make_pipeline(SimpleImputer(copy=False, strategy="most_frequent"), OneHotEncoder()), TEXTS)), "copy="),
    ],
)
def test_what_is_not_known_is_named(transformer: Any, words: str):
    """A transformer that we cannot stand in for is said by its name, and nothing is guessed."""
    model = fitted(transformer, mixed())
    with pytest.raises(NotCompilable, match=words):
        read_preparation(model, columns_of(mixed()).fields)


def test_floats_of_32_bits_are_not_ours():
    """scikit-learn would compute in float32 there, and we would not."""
    frame = mixed()[["width"]]
    columns = columns_of(frame)
    narrow = [type(field)(name=field.name, type="float") for field in columns.fields]
    with pytest.raises(NotCompilable, match="type float"):
        read_preparation(fitted(over((StandardScaler(), ["width"])), frame), narrow)


def test_another_order_than_the_fit_is_refused_without_names():
    """An estimator that checks its columns' order would refuse the frame; so we do not take the table."""
    frame = mixed()[NUMBERS].fillna(0.0)
    model = LogisticRegression().fit(frame, frame.width > 5)
    with pytest.raises(NotCompilable, match="in their order"):
        read_preparation(model, columns_of(frame[NUMBERS[::-1]]).fields)


def test_checks_go_where_the_estimator_makes_them_but_not_before_a_clip():
    """A clipped infinity is a number like others: it has to be refused before."""
    frame = mixed()[NUMBERS].fillna(0.0)
    infinite = Table(np.array([[np.inf, 1.0]]))
    for scaler, refused in [(StandardScaler(), False), (MinMaxScaler(clip=True), True)]:
        model = fitted(over((scaler, NUMBERS)), frame)
        kept = without_checks(read_preparation(model, columns_of(frame).fields).preparation)
        assert isinstance(outcome(lambda kept=kept: kept.matrix(infinite)), str) is refused


def test_a_column_that_is_left_out_is_missed():
    """An optional column of text that the request leaves out is refused by name, as scikit-learn does."""
    model = fitted(over((ordinal(), TEXTS)), mixed())
    preparation = read_preparation(model, columns_of(mixed()).fields).preparation
    with pytest.raises(InvalidInput, match="'city'"):
        preparation.matrix(Table(np.zeros((1, 2))))
