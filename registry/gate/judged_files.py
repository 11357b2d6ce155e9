"""How a server has stored files judged: by a program of its own (`registry.gate.judge_process`).

A server takes the word of whoever vouches for a verdict, but not that files run no code: an engine that follows the
stage loads them beside everybody's models.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from registry.errors import Unavailable
from registry.gate.confinement import environment_for_checks
from registry.gate.verdict import Finding, finding_from
from registry.manifest import Manifest
from registry.policy.policy import ArtifactRule
from registry.version import Version

STARTS_WITHIN_S = 120
SAID_CHARACTERS = 500
AT_ONCE = threading.BoundedSemaphore(2)


def judged_files(version: Version, folder: Path, manifest: Manifest | None, rule: ArtifactRule) -> tuple[Finding, ...]:
    """Return what the check artifact finds in a folder.

    Raises
    ------
    Unavailable
        The program did not say: it died, or took too long.
    """
    asked = pickle.dumps((version, folder, manifest, rule))
    with AT_ONCE, tempfile.TemporaryDirectory(prefix="slipway-judged-") as home:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "registry.gate.judge_process"],
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
