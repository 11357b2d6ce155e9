"""What is written into the cache is read again as it was, and anything else is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from slipway.registry.errors import Corrupt
from slipway.serving.runtimes.open import open_runner
from slipway.serving.runtimes.stored import ARRAYS, DOCUMENT, StoredRunner, read_stored, write_stored
from tests.generators.runtimes import report


def stored(**more: object) -> StoredRunner:
    return StoredRunner(report=report(), opener="formulas", opening={"a": [1, None]}, arrays={"x": np.eye(2)}, **more)


def test_a_runner_is_read_as_it_was_written(tmp_path: Path):
    """Report, document, arrays and bytes."""
    before = stored(trees=b"trees", estimator=b"estimator")
    write_stored(before, tmp_path / "new")
    after = read_stored(tmp_path / "new")
    assert (after.report, after.opener, after.opening) == (before.report, before.opener, before.opening)
    assert (after.trees, after.estimator) == (b"trees", b"estimator")
    np.testing.assert_array_equal(after.arrays["x"], np.eye(2))


def test_a_runner_of_fewer_files_leaves_none_of_the_one_before(tmp_path: Path):
    """Preparing again over an earlier kind is as preparing into an empty folder."""
    write_stored(stored(trees=b"trees"), tmp_path)
    write_stored(StoredRunner(report=report("native"), opener="mlflow"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [DOCUMENT]
    assert read_stored(tmp_path).trees == b""


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"report": {"methods": []}}), "null"])
def test_a_document_that_is_not_ours_is_corrupt(tmp_path: Path, text: str):
    """A cut or foreign file is said, with what to do."""
    write_stored(stored(), tmp_path)
    (tmp_path / DOCUMENT).write_text(text)
    with pytest.raises(Corrupt, match="cannot be read"):
        read_stored(tmp_path)


def test_a_kind_of_another_release_is_corrupt(tmp_path: Path):
    """It is prepared again, not guessed at."""
    write_stored(StoredRunner(report=report(), opener="quantum"), tmp_path)
    with pytest.raises(Corrupt, match="kind 'quantum', which is not known here"):
        open_runner(tmp_path, tmp_path)


def test_arrays_that_would_run_code_are_not_loaded(tmp_path: Path):
    """Pickled arrays are refused: opening what is cached runs nothing."""
    write_stored(stored(), tmp_path)
    np.savez(tmp_path / ARRAYS, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Corrupt):
        read_stored(tmp_path)
