"""Decide how a version is run, make sure that it answers as its model does, and write what opening it needs.

Runs in a child process of bounded memory, since loading and compiling import much and may use much. The best kind that
holds is taken: `compiled`, `prepared`, `native` for scikit-learn's models over columns; `pyfunc` for all others; `isolated`
for models that ship code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from registry.errors import NotApproved
from registry.profile import Profile
from serving.runtimes.columns import Columns
from serving.runtimes.compile import compiled_to_store
from serving.runtimes.estimator_parts import EstimatorParts
from serving.runtimes.hard_rows import HardRows, Known, hard_rows, take
from serving.runtimes.measure import UNKNOWN_S, median_s, resident_growth
from serving.runtimes.mlflow_loaded import Loaded, load_model, ships_code
from serving.runtimes.open import open_runner
from serving.runtimes.preparation import Preparation
from serving.runtimes.read_estimator import read_estimator
from serving.runtimes.read_preparation import Prepared, read_preparation, without_checks
from serving.runtimes.runner import PREDICT, Runner, RunnerReport
from serving.runtimes.stored import Stored, preparation_to_store, write_stored
from serving.runtimes.unsupported import NotCompilable, type_name
from serving.runtimes.verify import verify
from serving.table import Table

PROFILE = Path("extra_files") / "profile.json"
MOST_ROWS = 20_000
SEED = 20_260_101
