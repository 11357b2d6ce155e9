"""What is safe to load: what MLflow writes is, and everything that would have a loader do something else is not."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from slipway.registry.errors import NotApproved
from slipway.registry.gate.mlflow_model import load_as_served, load_model
from slipway.registry.gate.safety.judged_loading import held_to_its_format
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from tests.generators.hostile_models import (
    ATTACKS,
    HARMLESS,
    ROWS,
    Attack,
    change,
    good_model,
    onnx_model,
    payload,
    unpickle,
    write,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model as MLflow writes it."""
    return good_model(tmp_path_factory.mktemp("good") / "model")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """Return a copy of the model that the test may harm."""
    return Path(shutil.copytree(good, tmp_path / "stored" / "model"))


def formats(folder: Path) -> set[str]:
    """Return the formats that a policy would have to allow."""
    return {part.format for part in risky_parts(folder, untrusted_types)}


def test_what_mlflow_writes_is_safe(folder: Path):
    """With examples, requirements, an extra file and the note that a registry leaves."""
    (folder / "registered_model_meta").write_text("model_name: churn\nmodel_version: '1'\n")
    assert formats(folder) == set()
    assert list(load_as_served(folder).predict(ROWS)) == list(load_model(str(folder)).model.predict(ROWS))


@pytest.mark.parametrize("made", HARMLESS, ids=lambda made: made.__name__)
def test_formats_of_numbers_and_structure_are_safe(folder: Path, made: Attack):
    """Those of the loaders that have one of their own."""
    made(folder, folder.parent / "canary")
    assert formats(folder) == set()


def test_tensors_beside_an_onnx_model_are_declared_by_it(folder: Path):
    """In the folder, under a plain name."""
    (folder / "weights.bin").write_bytes(bytes(4))
    onnx_model(folder, data="weights.bin")
    assert formats(folder) == set()


@pytest.mark.parametrize("data", ["registered_model_meta", "missing.bin", "../weights.bin"])
def test_tensors_that_are_not_among_the_files_are_not_safe(folder: Path, data: str):
    """MLflow writes one such file by itself, whatever it held; judged is a copy without it."""
    onnx_model(folder, data=data)
    assert formats(folder) == {"unproven"}


@pytest.mark.parametrize(
    ("format", "attack"),
    [pytest.param(name, attack, id=attack.__name__) for name, attacks in ATTACKS.items() for attack in attacks],
)
def test_whatever_would_have_a_loader_do_something_else_is_not_safe(folder: Path, format: str, attack: Attack):
    """It needs the policy's word by its kind, and to judge it runs nothing of it."""
    canary = folder.parent / "canary"
    attack(folder, canary)
    assert format in formats(folder)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("labels.txt", b"cat\ndog\nbird\n", None),
        ("rows.json", b"[1, 2]", None),
        ("rows.parquet", b"PAR1" + bytes(16) + b"PAR1", None),
        ("hook.py", b"x = 1", "unproven"),
        ("model.bin", b"\x00\x01", "unproven"),
        ("labels.txt", payload(Path("x")), "unproven"),
        ("labels.txt", payload(Path("x"), 1), "unproven"),
    ],
)
def test_declared_extra_files_are_data(folder: Path, name: str, content: bytes, format: str | None):
    """Text, JSON or Parquet by their content; a text that an unpickler would run is none."""
    (folder / "extra_files" / name).write_bytes(content)
    listed = [{"path": "extra_files/profile.json"}, {"path": f"extra_files/{name}"}]
    change(folder, sklearn={"extra_files": listed})
    assert formats(folder) == ({format} if format else set())


def test_what_may_run_code_anyway_is_not_asked_about_its_other_files(folder: Path):
    """A policy that allows pickles has allowed what lies beside them; a name outside the folder it has not."""
    (folder / "notes.md").write_text("how it was trained")
    unpickle(folder, "model.skops")
    assert formats(folder) == {"pickle"}
    unpickle(folder, "../model.skops")
    assert formats(folder) == {"pickle", "unproven"}


@pytest.mark.parametrize("content", ["", "- a\n", "flavors: [1]\n", "flavors: {1: {}}\n", "a: [\n"])
def test_an_mlmodel_that_says_nothing_is_not_safe(folder: Path, content: str):
    """Nor one that is not there."""
    (folder / "MLmodel").write_text(content)
    assert formats(folder) == {"unknown"}
    (folder / "MLmodel").unlink()
    assert formats(folder) == {"unknown"}


def test_an_example_that_is_no_mapping_is_not_safe(folder: Path):
    """MLmodel is whatever somebody wrote."""
    write(folder, {"saved_input_example_info": "../somewhere"})
    assert formats(folder) == {"unproven"}


def test_what_was_judged_safe_cannot_unpickle(folder: Path):
    """Should a loader take a way that the judgement does not know, the interpreter stops it; others may go on."""
    canary = folder.parent / "canary"
    with pytest.raises(NotApproved, match="was about to unpickle"), held_to_its_format(folder):
        pickle.loads(payload(canary, 4))
    assert not canary.exists()
    unpickle(folder, "model.skops")
    with held_to_its_format(folder) as risky:
        assert pickle.loads(pickle.dumps(json.JSONDecodeError)) is json.JSONDecodeError
    assert [part.format for part in risky] == ["pickle"]


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_the_method_that_is_served_is_known(folder: Path, method: str):
    """It is another's word, in `MLmodel`, which of a model's methods answers callers."""
    change(folder, python_function={"predict_fn": method})
    stored = load_model(str(folder))
    assert stored.method == method
    assert np.array_equal(getattr(stored.model, method)(ROWS), load_as_served(folder).predict(ROWS))


def test_what_is_measured_is_what_a_scoring_server_loads(folder: Path, tmp_path: Path):
    """Where scikit-learn's flavor names another file than the one for scoring servers."""
    other = good_model(tmp_path / "other", 1e-6)
    shutil.copy(other / "model.skops", folder / "other.skops")
    change(folder, python_function={"model_path": "other.skops"})
    measured, served = load_model(str(folder)).model, load_as_served(folder)
    assert np.array_equal(measured.predict(ROWS), served.predict(ROWS))
    assert measured.C == 1e-6
