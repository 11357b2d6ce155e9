"""How a server has stored files judged: by a program of its own (`slipway.registry.gate.judge_process`).

A server takes the word of whoever vouches for a verdict, but not that files run no code: an engine that follows the
stage loads them beside everybody's models.
"""

import json
import os
import pickle
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.registry.errors import BUSY, Unavailable
from slipway.registry.gate.confinement import environment_for_checks
from slipway.registry.gate.verdict import Finding, finding_from
from slipway.registry.manifest import Manifest
from slipway.registry.policy.policy import ArtifactRule
from slipway.registry.programs import program
from slipway.registry.version import Version

STARTS_WITHIN_S = 120
SAID_CHARACTERS = 500
AT_ONCE = threading.BoundedSemaphore(2)
WAITS_S = 5  # who waits keeps a thread from everybody else


@contextmanager
def _turn(version: Version) -> Iterator[None]:
    if not AT_ONCE.acquire(timeout=WAITS_S):
        raise Unavailable(
            f"the files of {version} are not judged now: this server judges those of others",
            code=BUSY,
            hint="record the verdict again in a minute",
        )
    try:
        yield
    finally:
        AT_ONCE.release()


def judged_files(version: Version, folder: Path, manifest: Manifest | None, rule: ArtifactRule) -> tuple[Finding, ...]:
    """Return what the check artifact finds in a folder.

    Raises
    ------
    Unavailable
        Too many ask at once; or the program did not say: it died, or took too long.
    """
    asked = pickle.dumps((version, folder, manifest, rule))
    with _turn(version), tempfile.TemporaryDirectory(prefix="slipway-judged-") as home:
        try:
            done = subprocess.run(
                program("slipway.registry.gate.judge_process"),
                input=asked,
                capture_output=True,
                cwd=home,
                env=environment_for_checks(os.environ, (), Path(home)),
                timeout=rule.timeout_s + STARTS_WITHIN_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            tail = " ".join((getattr(error, "stderr", None) or b"").decode(errors="replace").split())
            raise Unavailable(
                f"the files of {version} could not be judged: {type(error).__name__} {tail[-SAID_CHARACTERS:]}",
                code="files-not-judged",
                hint="retry",
            ) from error
    return tuple(map(finding_from, json.loads(done.stdout)))
