"""What the preparing child runs: fetch a version's files, compare them with the ledger, make and verify its runner.

A process of its own, since loading a model may take all memory, crash, or stall an event loop for seconds. It reads a
job as JSON from its argument and writes one JSON object to standard output: what was prepared, or the error.
"""

import skops.io  # noqa: F401 - it looks through all modules that are there, a second long once MLflow is among them

# isort: split
import os
from pathlib import Path

import pandas as pd

from slipway.registry.artifacts.artifact_cache import FILES, ArtifactCache
from slipway.registry.decisions.wiring import open_ledger
from slipway.registry.errors import Conflict
from slipway.registry.gate.holdout_record import rows_as_stored
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.manifest import Manifest
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.aliases import identity_of
from slipway.registry.versions.file_integrity import place_to_read, recorded_manifest, records_about
from slipway.registry.versions.provenance import holdout_digest, recorded_provenance
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.preparation.preparing import PrepareJob
from slipway.serving.preparation.preparing_child import answer_by
from slipway.serving.registry_doors import open_aliases
from slipway.serving.runtimes.prepare import prepare_runner


def main() -> None:
    """Run the job of this process."""
    answer_by(prepare)


def prepare(job: PrepareJob) -> Prepared:
    """Return a version that can be opened.

    Raises
    ------
    Conflict
        The registry does not show the version that was seen, or its files are not those that were chosen.
    Corrupt
        Its files are not as they were registered.
    NotFound
        Its files are gone.
    Unavailable
        The registry does not answer.
    """
    # MLflow makes an empty database where one is missing; this look makes none, and raises.
    open_aliases(os.environ).models_with("")
    ledger = open_ledger(os.environ, Path.cwd())
    version = ledger.registry.version(VersionRef(model=job.model, number=job.number))
    workspace, created_ms = job.identity.split("/")[0], round(version.created_at.timestamp() * 1000)
    if job.identity != identity_of(workspace, created_ms, version.model, version.source):
        raise Conflict(f"{version} is another one now", code="version-changed", hint=None)
    manifest, folder = _files(version, ledger, ArtifactCache(Path(job.cache) / FILES, max_bytes=job.cache_max_bytes))
    if job.manifest not in (None, manifest.digest):
        raise Conflict(
            f"{version} is registered with the files {manifest.digest}, and those that were chosen are {job.manifest}",
            code="other-files-chosen",
            hint=f"decide anew: slipway history {version.model}",
        )
    index = PreparedVersions(Path(job.cache), registry=job.registry, accelerate=job.accelerate)
    rows = _held_out(version, ledger)
    place, runner = index.make(
        manifest.digest, lambda draft: prepare_runner(folder, draft, accelerate=job.accelerate, rows=rows)
    )
    prepared = Prepared(
        identity=job.identity,
        number=job.number,
        digest=manifest.digest,
        folder=str(folder),
        runner=str(place),
        runner_digest=runner,
    )
    index.keep(prepared)
    return prepared


def _files(version: Version, ledger: Ledger, cache: ArtifactCache) -> tuple[Manifest, Path]:
    """Return a version's manifest and a folder with its files, compared with what the ledger recorded, if it did."""
    about = records_about(version, ledger)
    recorded, location = recorded_manifest(about), place_to_read(version, about, ledger.registry)

    def fetch(into: Path) -> None:
        ledger.registry.fetch_files(location, into, recorded)

    return cache.adopt(fetch) if recorded is None else (recorded, cache.obtain(recorded, fetch))


def _held_out(version: Version, ledger: Ledger) -> pd.DataFrame | None:
    """Return the version's held-out rows, where its run has them as they were recorded.

    Rows that were rewritten since could be such that a runner which answers otherwise is not found out.
    """
    folder = ledger.registry.run_files(version.run_id, "holdout") if version.run_id else None
    recorded = recorded_provenance(records_about(version, ledger))
    if recorded is not None and recorded.holdout != holdout_digest(folder):
        return None
    return rows_as_stored(folder)


if __name__ == "__main__":
    main()
