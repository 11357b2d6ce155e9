"""A pipeline with a booster inside is safe by what its booster's own bytes are, and by nothing else."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import catboost
import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.gate.safety.skops_nodes import NotAsWrittenError, read_skops
from slipway.registry.gate.safety.skops_places import strange_values

X = np.random.default_rng(0).normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(int)
KINDS: dict[str, Callable[[], Any]] = {
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=2),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=2, verbose=-1),
    "catboost": lambda: catboost.CatBoostClassifier(n_estimators=2, verbose=0, allow_writing_files=False),
}
FITTED = {name: make().fit(X, Y) for name, make in KINDS.items()}
PICKLED = pickle.dumps(print)


def strange(content: bytes, path: Any) -> list[str]:
    """Return what is found strange of a skops file."""
    path.write_bytes(content)
    return list(strange_values(read_skops(path)))


def rewritten(content: bytes, edit: Callable[[str, bytes], bytes]) -> bytes:
    """Return a zip whose members were edited."""
    into = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(into, "w") as after:
        for name in before.namelist():
            after.writestr(name, edit(name, before.read(name)))
    return into.getvalue()


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_booster_is_safe_and_answers_as_before(name: str, tmp_path: Any):
    """With the types that were reviewed."""
    stored = skops.io.dumps(FITTED[name])
    assert strange(stored, tmp_path / "model.skops") == []
    assert set(skops.io.get_untrusted_types(data=stored)) <= set(REVIEWED_TYPES)
    opened = skops.io.loads(stored, trusted=list(REVIEWED_TYPES))
    np.testing.assert_array_equal(opened.predict_proba(X), FITTED[name].predict_proba(X))


@pytest.mark.parametrize("name", ["xgboost", "catboost"])
@pytest.mark.parametrize("content", [PICKLED, b"", b"{}", b"CBM", b"{L", json.dumps({"learner": 1}).encode()])
def test_bytes_that_are_no_model_of_the_library_are_not_safe(name: str, content: bytes, tmp_path: Any):
    """A pickle least of all, though skops would hand it over."""
    stored = rewritten(skops.io.dumps(FITTED[name]), lambda name, before: content if name.endswith(".bin") else before)
    [found] = strange(stored, tmp_path / "model.skops")
    assert "where a model in its library's own format is known" in found


def test_one_librarys_model_is_not_anothers(tmp_path: Any):
    """XGBoost's bytes in CatBoost's place are none that its loader knows."""
    other = FITTED["catboost"]._serialize_model()
    stored = rewritten(skops.io.dumps(FITTED["xgboost"]), lambda name, it: other if name.endswith(".bin") else it)
    assert len(strange(stored, tmp_path / "model.skops")) == 1


def test_a_text_that_is_no_model_of_lightgbm_is_not_safe(tmp_path: Any):
    """Its booster is a text in the schema itself."""
    text = json.dumps(FITTED["lightgbm"].booster_.model_to_string())
    stored = rewritten(
        skops.io.dumps(FITTED["lightgbm"]),
        lambda name, before: (
            before.replace(json.dumps(text)[1:-1].encode(), b'\\"/etc/passwd\\"') if name == "schema.json" else before
        ),
    )
    [found] = strange(stored, tmp_path / "model.skops")
    assert "_handle is '/etc/passwd', where a model in its library's own format is known" in found


def test_bytes_that_are_not_in_the_file_are_unproven(tmp_path: Any):
    """Skops would read what another name says, or nothing."""
    stored = rewritten(
        skops.io.dumps(FITTED["xgboost"]),
        lambda name, before: before.replace(b".bin", b".dat") if name == "schema.json" else before,
    )
    with pytest.raises(NotAsWrittenError, match="names no bytes of the file"):
        strange(stored, tmp_path / "model.skops")


def _with(estimator: BaseEstimator, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (_with(KINDS["xgboost"](), callbacks=[LogisticRegression()]), "XGBClassifier.callbacks is"),
        (_with(KINDS["xgboost"](), _Booster=LogisticRegression()), "_Booster is an object of sklearn.linear_model"),
        (_with(KINDS["xgboost"](), objective=np.add), "XGBClassifier.objective is the function"),
        (_with(LogisticRegression(), coef_=FITTED["xgboost"].get_booster()), "coef_ is an object of xgboost.core.Boo"),
        (_with(LogisticRegression(), **{"__model": b"CBM1"}), "__model is no attribute of a stored object"),
        (_with(LogisticRegression(), coef_=b"CBM1"), "coef_ is a value of the type builtins.bytes, where data is"),
        (KINDS["catboost"]().set_params(loss_function=LogisticRegression()), "loss_function is an object of"),
    ],
)
def test_what_a_booster_would_call_is_unreviewed(model: Any, said: str, tmp_path: Any):
    """Objects in its settings, a booster elsewhere, bytes where data is."""
    assert any(said in each for each in strange(skops.io.dumps(model), tmp_path / "m.skops"))
