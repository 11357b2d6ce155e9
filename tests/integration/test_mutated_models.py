"""No number that a file can hold leads compiled code out of its arrays: it is refused, or asking it ends no process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.registry.gate.safety.reviewed_estimators import BY_MODULE

ROOT = Path(__file__).parents[2]
SEED = 0
# In whom faults were found so.
OFTEN = ("KMeans", "PolynomialFeatures", "RadiusNeighborsClassifier")
# No file holds what these are: they take nothing to be fitted on, or stand before another estimator alone.
NEVER_FITTED = {"FrozenEstimator"}


def mutated(most: int, *names: str) -> dict[str, Any]:
    """Return what came of changing and asking models, in a process of one thread: it forks."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tests.generators.mutated_models", str(SEED), str(most), *names]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | one_thread, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="arrays are guarded by what Linux has")
def test_a_changed_model_is_refused_or_answers_within_its_arrays():
    """A few changes of some estimators: some are refused, and others are asked."""
    found = mutated(30, *OFTEN)
    assert found["ended"] == []
    assert set(found["fitted"]) == set(OFTEN)
    assert found["refused"] > 50
    assert found["asked"] > 150


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="arrays are guarded by what Linux has")
def test_no_change_of_any_estimator_ends_a_process():
    """Every estimator that is listed as reviewed was fitted, looked through as fitted, changed, and asked."""
    found = mutated(40)
    assert found["ended"] == []
    assert set(found["fitted"]) == {name for names in BY_MODULE.values() for name in names.split()} - NEVER_FITTED
    assert found["asked"] > 8_000
