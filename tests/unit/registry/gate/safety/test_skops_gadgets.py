"""No value of a skops file says what scikit-learn calls, and what people store stays safe without a policy's word."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel, VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import ElasticNetCV, LinearRegression, LogisticRegression, PoissonRegressor, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.judged_loading import held_to_its_format, require_allowed
from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.registry.policy.policy import default_policy
from slipway.registry.version import Version
from slipway.training.dataset import ColumnKind, ColumnSchema
from slipway.training.estimators import RECIPES, choose_estimator
from slipway.training.fit import fit
from slipway.training.pipeline import build_pipeline
from slipway.training.spec import Task
from tests.generators.hostile_models import good_model
from tests.generators.hostile_skops import GADGETS, REWRITTEN, STRANGE, ZIP, Document, edited, writer

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame(
    {
        "a": RANDOM.uniform(size=60),
        "b": RANDOM.uniform(size=60),
        "c": RANDOM.choice(["x", "y", None], size=60),
        "flag": RANDOM.uniform(size=60) > 0.5,
    }
)
NUMBERS, TEXTS = ROWS[["a", "b"]], pd.Series(["spam and ham", "ham alone", "eggs"] * 20)
CLASSES, VALUES = np.where(ROWS["a"] > ROWS["b"], "yes", "no"), (ROWS["a"] + ROWS["b"]).to_numpy()
TYPED = ColumnTransformer(
    [
        ("scaled", StandardScaler(), ["a", "b"]),
        ("coded", OneHotEncoder(handle_unknown="ignore", dtype=np.float64), ["c"]),
        ("flag", "passthrough", ["flag"]),
    ]
)
ORDINARY: tuple[tuple[BaseEstimator, object, object], ...] = (
    (make_pipeline(TYPED, LogisticRegression()), ROWS, CLASSES),
    (make_pipeline(make_column_transformer((OneHotEncoder(dtype=np.float32), ["c"])), GaussianNB()), ROWS, CLASSES),
    (make_pipeline(ColumnTransformer([("a", PCA(1), slice(0, 2)), ("b", "drop", [1])]), SVC()), NUMBERS, CLASSES),
    (make_pipeline(ColumnTransformer([("c", OrdinalEncoder(), [2])], remainder="passthrough")), ROWS, CLASSES),
    (make_pipeline(ColumnTransformer([("c", TargetEncoder(), ["c"])]), LogisticRegression()), ROWS, CLASSES),
    (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LinearSVC()), NUMBERS, CLASSES),
    (make_pipeline(KNNImputer(), RandomForestClassifier(5)), NUMBERS, CLASSES),
    (make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), NUMBERS, CLASSES),
    (
        make_pipeline(
            FunctionTransformer(np.sqrt, inverse_func=np.square, feature_names_out="one-to-one"), LinearRegression()
        ).set_output(transform="pandas"),
        NUMBERS,
        VALUES,
    ),
    (make_pipeline(FunctionTransformer(None), FunctionTransformer(kw_args={}), GaussianNB()), NUMBERS, CLASSES),
    (TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1), NUMBERS, VALUES),
    (TransformedTargetRegressor(SVR(), transformer=StandardScaler()), NUMBERS, VALUES),
    (make_pipeline(TfidfVectorizer(), LogisticRegression()), TEXTS, CLASSES),
    (make_pipeline(CountVectorizer(dtype=np.int64, ngram_range=(1, 2)), SGDClassifier(random_state=0)), TEXTS, CLASSES),
    (make_pipeline(HashingVectorizer(n_features=16), TruncatedSVD(2), DecisionTreeClassifier()), TEXTS, CLASSES),
    (make_pipeline(FeatureUnion([("pca", PCA(1)), ("as", "passthrough")]), LogisticRegression()), NUMBERS, CLASSES),
    (make_pipeline(SelectFromModel(RandomForestClassifier(5)), LogisticRegression()), NUMBERS, CLASSES),
    (make_pipeline(SelectFromModel(LinearSVC(), importance_getter="coef_"), GaussianNB()), NUMBERS, CLASSES),
    (make_pipeline(RFE(LogisticRegression(), n_features_to_select=1), LogisticRegression()), NUMBERS, CLASSES),
    (make_pipeline(VarianceThreshold(), PowerTransformer(), PolynomialFeatures(), ElasticNetCV()), NUMBERS, VALUES),
    (make_pipeline(QuantileTransformer(n_quantiles=10), KBinsDiscretizer(3), LogisticRegression()), NUMBERS, CLASSES),
    (KNeighborsClassifier(weights="distance", metric="manhattan"), NUMBERS, CLASSES),
    (MLPClassifier((4,), max_iter=5), NUMBERS, CLASSES),
    (GradientBoostingClassifier(n_estimators=3, random_state=np.random.RandomState(0)), NUMBERS, CLASSES),
    (HistGradientBoostingRegressor(max_iter=3, loss="poisson"), NUMBERS, VALUES),
    (HistGradientBoostingClassifier(max_iter=3, early_stopping=True), NUMBERS, CLASSES),
    (BaggingClassifier(LogisticRegression(), n_estimators=3), NUMBERS, CLASSES),
    (AdaBoostClassifier(n_estimators=3), NUMBERS, CLASSES),
    (ExtraTreesRegressor(5), NUMBERS, VALUES),
    (IsolationForest(n_estimators=3), NUMBERS, None),
    (OneVsRestClassifier(LogisticRegression()), NUMBERS, CLASSES),
    (MultiOutputClassifier(LogisticRegression()), NUMBERS, np.c_[CLASSES, CLASSES]),
    (ClassifierChain(LogisticRegression()), NUMBERS, np.c_[VALUES > 1, VALUES > 0.8]),
    (FixedThresholdClassifier(LogisticRegression(), threshold=0.3, pos_label="yes"), NUMBERS, CLASSES),
    (PoissonRegressor(), NUMBERS, VALUES),
    (LogisticRegression(class_weight={"no": 1.0, "yes": 2.0}), NUMBERS, CLASSES),
    (DummyClassifier(), NUMBERS, CLASSES),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model as MLflow writes it."""
    return good_model(tmp_path_factory.mktemp("good") / "model")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """Return a copy of the model whose file the test may exchange."""
    return Path(shutil.copytree(good, tmp_path / "stored" / "model"))


def judged(folder: Path, content: bytes) -> dict[str, list[str]]:
    """Return what is found of a file, by what a policy would have to allow."""
    (folder / "model.skops").write_bytes(content)
    found: dict[str, list[str]] = {}
    for part in risky_parts(folder, untrusted_types):
        found.setdefault(part.format, []).append(part.what)
    return found


@pytest.mark.parametrize(("where", "model"), GADGETS, ids=[f"{n}-{where}" for n, (where, _) in enumerate(GADGETS)])
def test_a_value_that_says_what_is_called_is_unreviewed(folder: Path, where: str, model: BaseEstimator):
    """By the value and its place, though skops knows each type."""
    found = judged(folder, skops.io.dumps(model))
    assert set(untrusted_types(folder / "model.skops")) <= set(REVIEWED_TYPES)
    assert found.keys() == {"unreviewed"}
    assert any(where in what for what in found["unreviewed"])


def test_a_set_is_unreviewed(folder: Path):
    """Each process has another order of it: categories that are a set would be numbered otherwise by each."""
    encoder = OrdinalEncoder().fit(np.array([["no"], ["yes"]], dtype=object))
    encoder.categories_ = [{"no", "yes"}]
    found = judged(folder, skops.io.dumps(encoder))
    assert any("[0] is a set, whose order is another in each process" in what for what in found["unreviewed"])


@pytest.mark.parametrize(("said", "edit"), STRANGE, ids=lambda each: getattr(each, "__name__", ""))
def test_kinds_of_values_that_no_estimator_needs_are_unreviewed(
    folder: Path, said: str, edit: Callable[[Document], None]
):
    """Also where skops would let them be."""
    found = judged(folder, edited(edit))
    assert found.keys() == {"unreviewed"}
    assert any(said in what for what in found["unreviewed"])


@pytest.mark.parametrize(("said", "edit"), REWRITTEN, ids=lambda each: getattr(each, "__name__", ""))
def test_a_schema_that_skops_would_not_write_is_unproven(folder: Path, said: str, edit: Callable[[Document], None]):
    """It may mean one thing here and another where it is loaded."""
    found = judged(folder, edited(edit, **{"zip.npy": ZIP}))
    assert found.keys() == {"unproven"}
    assert said in found["unproven"][0]


def test_a_chain_of_known_types_that_writes_a_file_is_refused_everywhere(folder: Path, tmp_path: Path):
    """It does write where it is asked; the check, evaluation and the engine judge it by the same code."""
    canary = tmp_path / "canary"
    stored = skops.io.dumps(writer(canary, b"written"))
    assert untrusted_types(_file(tmp_path / "model.skops", stored)) == []
    with pytest.raises(Exception):  # noqa: B017, PT011 - what comes after the write makes no difference
        skops.io.loads(stored).predict(NUMBERS[["a"]])
    assert canary.read_bytes() == b"written"
    canary.unlink()
    found = judged(folder, stored)
    assert found.keys() == {"unreviewed"}
    with held_to_its_format(folder) as risky:
        assert {part.format for part in risky} == {"unreviewed"}
    version = Version(
        model="m",
        number=1,
        run_id="r",
        source="s",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        mlflow_stage=None,
        aliases=frozenset(),
        tags={},
    )
    with pytest.raises(NotApproved, match=r"stack_method_\[0\] is 'tofile'|func would be called") as refused:
        require_allowed(version, folder, default_policy().default)
    assert "artifact: {allow: [unreviewed]}" in refused.value.hint
    assert not canary.exists()


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_found_is_told_in_part(folder: Path):
    """A file of a thousand such values does not fill the ledger."""
    steps = [(str(place), FunctionTransformer(list)) for place in range(1000)]
    assert len(judged(folder, skops.io.dumps(make_pipeline(*[step for _, step in steps])))["unreviewed"]) == 20


@pytest.mark.parametrize(("model", "rows", "targets"), ORDINARY, ids=[str(n) for n in range(len(ORDINARY))])
def test_ordinary_pipelines_are_safe(tmp_path: Path, model: BaseEstimator, rows: object, targets: object):
    """As MLflow stores them with the types that were reviewed, and without a policy's word."""
    mlflow.sklearn.save_model(
        model.fit(rows, targets),
        tmp_path / "model",
        serialization_format="skops",
        skops_trusted_types=list(REVIEWED_TYPES),
        pip_requirements=[],
    )
    assert risky_parts(tmp_path / "model", untrusted_types) == ()


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("name", RECIPES)
def test_what_training_makes_is_safe(folder: Path, name: str, task: Task):
    """Every estimator with a short name, behind the preparation of columns of every kind."""
    if not (RECIPES[name].classifier if task is Task.CLASSIFICATION else RECIPES[name].regressor):
        return
    chosen = choose_estimator(name, {}, task=task, seed=0)
    kinds = {"a": ColumnKind.NUMERIC, "b": ColumnKind.NUMERIC, "c": ColumnKind.CATEGORICAL, "flag": ColumnKind.BOOLEAN}
    columns = [ColumnSchema(name=column, kind=kind) for column, kind in kinds.items()]
    targets = CLASSES if task is Task.CLASSIFICATION else VALUES
    model = build_pipeline(columns, chosen, ["NA"])
    fit(model, ROWS, pd.Series(targets))
    assert judged(folder, skops.io.dumps(model)) == {}


def test_no_estimator_that_skops_knows_can_be_called():
    """So that an estimator, in whatever place, answers by its methods alone."""
    assert [each for _, each in all_estimators() if any("__call__" in vars(base) for base in each.__mro__)] == []
