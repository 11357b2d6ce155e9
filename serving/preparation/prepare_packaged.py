"""What the preparing child runs in an image: compare the files there with their card, make and verify their runner.

Nothing is fetched and nobody is asked. The files are served from where they lie: they are read here byte by byte, and
once more by each worker that opens them. Held-out rows are in no image: a compiled runner is verified with the rows
that the model itself leads to.
"""

from pathlib import Path

from slipway.registry.errors import Conflict, Corrupt
from slipway.registry.manifest import differences, manifest_of
from slipway.serving.preparation.packaged import packaged_version
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.preparation.preparing import PrepareJob
from slipway.serving.preparation.preparing_child import answer_by
from slipway.serving.runtimes.prepare import prepare_runner

NAMED_AT_MOST = 5


def prepare(job: PrepareJob) -> Prepared:
    """Return the version of an image, ready to be opened.

    Raises
    ------
    Conflict
        The image has another version than was seen there.
    Corrupt
        Its files are not those of its card.
    """
    folder = Path(job.image or "")
    version = packaged_version(folder)
    digest = version.manifest.digest
    if (version.identity, version.number, digest) != (job.identity, job.number, job.manifest):
        raise Conflict(f"{folder} has another version now", code="version-changed", hint=None)
    differing = differences(version.manifest, manifest_of(folder))
    if differing:
        raise Corrupt(
            f"{folder} is not as {version.model}/{version.number} was packaged: {'; '.join(differing[:NAMED_AT_MOST])}",
            code="artifacts-changed",
            hint="pull the image anew by its digest, or package the version again",
        )
    index = PreparedVersions(Path(job.cache), registry=job.registry, accelerate=job.accelerate)
    place, runner = index.make(
        digest, lambda draft: prepare_runner(folder, draft, accelerate=job.accelerate, rows=None)
    )
    prepared = Prepared(
        identity=job.identity,
        number=job.number,
        digest=digest,
        folder=str(folder),
        runner=str(place),
        runner_digest=runner,
    )
    index.keep(prepared)
    return prepared


def main() -> None:
    """Run the job of this process."""
    answer_by(prepare)


if __name__ == "__main__":
    main()
