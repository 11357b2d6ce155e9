"""Sums of trees over rows, by onnxruntime, in float64 and in the trees' order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from slipway.serving.runtimes.compiled.preprocessing import Matrix

OUTPUTS = ["Y"]
QUIET = 3


@dataclass(slots=True)
class _Slot:
    """Buffers of one row that onnxruntime reads and writes in place: it costs half of passing arrays."""

    row: Matrix
    sums: Matrix
    binding: Any


class Trees:
    """An opened tree ensemble; threads may share it."""

    def __init__(self, model: bytes, *, n_features: int, n_targets: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = QUIET
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._shape = (n_features, n_targets)
        # Appending to a list and taking from it are atomic, so that each thread has a slot of its own.
        self._slots = [self._slot()]

    def sums(self, X: Matrix) -> Matrix:
        """Return shape (n, targets) for shape (n, features)."""
        if len(X) != 1:
            found: Matrix = self._session.run(OUTPUTS, {"X": X})[0]
            return found
        try:
            slot = self._slots.pop()
        except IndexError:
            slot = self._slot()
        slot.row[:] = X
        self._session.run_with_iobinding(slot.binding)
        sums = slot.sums.copy()
        self._slots.append(slot)
        return sums

    def _slot(self) -> _Slot:
        n_features, n_targets = self._shape
        row, sums = np.zeros((1, n_features)), np.zeros((1, n_targets))
        binding = self._session.io_binding()
        # On the CPU an OrtValue is the array's own memory, not a copy.
        binding.bind_ortvalue_input("X", onnxruntime.OrtValue.ortvalue_from_numpy(row))
        binding.bind_ortvalue_output("Y", onnxruntime.OrtValue.ortvalue_from_numpy(sums))
        return _Slot(row, sums, binding)
