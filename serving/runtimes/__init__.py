"""What predicts? Runners: compiled, prepared by us and scored by their own estimator, native, or through pyfunc."""

import os

# From 1.29 on, onnxruntime for Linux tells Microsoft of every session (the graph's name, its hashes, its types) by a
# thread and a SQLite file of its own, unless this is set before it is imported. Who sets it to 0 has it their way.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
