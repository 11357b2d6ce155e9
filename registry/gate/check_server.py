"""The server that the processes of checks come from: it has imported the heavy libraries once, and has no threads.

Starting a process is cheap so, and native code is safe after the fork. It imports for seconds, and this module next to
nothing: a command that judges starts it before it imports what it needs itself.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from multiprocessing.forkserver import ensure_running
from pathlib import Path

from slipway.registry.gate.confinement import environment_for_checks, take_environment

ARTIFACT = "slipway.registry.gate.checks.artifact"
UNTRUSTED_TYPES = "slipway.registry.gate.safety.skops_untrusted_types"
FOR_FILES = (UNTRUSTED_TYPES, ARTIFACT)
FOR_ALL = (
    *FOR_FILES,
    "slipway.registry.gate.mlflow_model",
    "slipway.registry.gate.checks.champion",
    "slipway.registry.gate.checks.contract",
    "slipway.registry.gate.checks.slices",
    "sklearn.ensemble",
)
CONTEXT = multiprocessing.get_context("forkserver")


def warm_up(preloaded: Sequence[str] = FOR_ALL) -> None:
    """Start the server, so that it imports beside whoever will ask it for processes; a second call does nothing.

    It never has the variables of this process: what they were can be read in /proc and in the memory of every process
    that was forked from it.
    """
    CONTEXT.set_forkserver_preload(list(preloaded))
    ours = dict(os.environ)
    take_environment(environment_for_checks(ours, (), Path(tempfile.gettempdir())))
    try:
        ensure_running()
    finally:
        take_environment(ours)
