"""The step package: a version becomes an image.

Reads the history, the version's files and the wheels; writes an archive, whole or not at all, and records the image's
digest. A second call makes the same bytes, and records nothing new; only a signature is another one each time.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path

from slipway.registry.decisions.decisions import Decisions
from slipway.registry.decisions.package import ImageMade, require_packable, version_to_package
from slipway.registry.distribution import DISTRIBUTION
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.manifest import Manifest
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.aliases import identity_of
from slipway.registry.versions.file_integrity import recorded_manifest, records_about, require_whole
from slipway.registry.versions.provenance import recorded_provenance
from slipway.serving.packaging.base_image import open_base
from slipway.serving.packaging.bill_of_materials import PLACE, bill_of
from slipway.serving.packaging.costs import costs_of
from slipway.serving.packaging.environment import add_ours, compile_imported, environment_files, our_files
from slipway.serving.packaging.image_names import image_name
from slipway.serving.packaging.layers import LayerFile, write_layer
from slipway.serving.packaging.oci_layout import Packed, Platform, write_archive, write_layout
from slipway.serving.packaging.parts import Runtime, images_of, model_layer
from slipway.serving.packaging.requirements import wanted
from slipway.serving.packaging.signature import require_signing, signature_layer
from slipway.serving.packaging.wheelhouse import gather, install, machine_of
from slipway.serving.preparation.packaged import PackagedVersion

REQUIREMENTS = "requirements.txt"
Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is to be made: an image of a version, for a platform, on a base, into an archive.

    With `baked` one image serves and holds the version; else one serves and another holds it. `extra` are requirements
    beside those that the engine and the version have; `wheelhouse` is where wheels are kept, and `offline` says that
    they all are there. `override` is why a version is packaged that no gate passed; `key` is the file of a private key
    that signs it.
    """

    ref: VersionRef
    output: Path
    base: str
    platform: str
    wheelhouse: Path
    baked: bool = False
    offline: bool = False
    name: str | None = None
    extra: tuple[str, ...] = ()
    override: str | None = None
    key: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """What was made: the images in the archive, the one that holds the version last, and where it is recorded."""

    version: str
    manifest: str
    images: tuple[Packed, ...]
    output: Path
    seq: int

    @property
    def image(self) -> Packed:
        """Return the image that holds the version."""
        return self.images[-1]


def package(order: Order, ledger: Ledger, decisions: Decisions, say: Say) -> Package:
    """Make an image of a version and record it; `say` is told what it takes.

    Raises
    ------
    NotApproved
        No gate passed the version, and nobody answers for it.
    Corrupt, Conflict, NotFound
        It is not as it was registered, or another one is meant by now.
    Unavailable, InvalidInput
        What it stands on cannot be had.
    """
    machine_of(order.platform)
    if order.key is not None:
        require_signing()
    version, packaged = _resolve(order, ledger, decisions)
    say(f"packaging {version}, {packaged.manifest.digest}")
    with _work_beside(order.output) as work:
        about = records_about(version, ledger)
        folder = require_whole(version, about, ledger.registry, else_do="package another version", into=work / "files")
        held = [model_layer(folder, packaged, work / "model.layer")]
        if order.key is not None:
            held.append(signature_layer(folder, packaged, order.key, work))
        runtime = _runtime(order, folder, work, say)
        images = images_of(
            packaged,
            held,
            runtime,
            name=order.name or image_name(version.model, version.number),
            created=version.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            platform=Platform(architecture=order.platform.partition("/")[2]),
            baked=order.baked,
        )
        packed = write_layout(images, work / "layout")
        made = ImageMade(
            name=packed[-1].name,
            digest=packed[-1].digest,
            config=packed[-1].config,
            manifest=packaged.manifest.digest,
            platform=order.platform,
            base=f"{runtime.base.name} {runtime.base.digest}",
        )
        # Recorded before it is there: an image that nobody finds on record would be worse than a record of one that
        # has to be made once more, which gives the same.
        noted = decisions.package(order.ref, made, order.override)
        write_archive(work / "layout", order.output)
    return Package(
        version=noted.version,
        manifest=packaged.manifest.digest,
        images=packed,
        output=order.output,
        seq=noted.seq,
    )


def _resolve(order: Order, ledger: Ledger, decisions: Decisions) -> tuple[Version, PackagedVersion]:
    """Return the version that is meant now, once and for all that follows, if it may be packaged."""
    situation = decisions.situation(order.ref.model, ledger)
    number, stage = version_to_package(order.ref, situation)
    version = ledger.registry.version(VersionRef(model=order.ref.model, number=number))
    about = ledger.history.about(situation.model_uid, number)
    manifest = recorded_manifest(about)
    require_packable(situation, version, about, manifest, stage=stage, override=order.override)
    provenance = recorded_provenance(about)
    created_ms = round(version.created_at.timestamp() * 1000)
    identity = identity_of(situation.model.workspace, created_ms, version.model, version.source)
    return version, PackagedVersion(
        model=version.model,
        number=number,
        # Its source is a path or a bucket, which is nobody's business who pulls the image.
        identity=hashlib.sha256(identity.encode()).hexdigest(),
        manifest=manifest or Manifest(files=()),
        run_id=version.run_id,
        git_commit=provenance.git_commit if provenance else None,
    )


def _runtime(order: Order, folder: Path, work: Path, say: Say) -> Runtime:
    """Make what serves: a base, the libraries, and Slipway itself with the bill of materials."""
    base = open_base(order.base, work, platform=order.platform)
    recorded = folder / REQUIREMENTS
    lines = recorded.read_text().splitlines() if recorded.is_file() else []
    lock = files("slipway").joinpath("requirements.lock").read_text()
    asked = wanted(requires(DISTRIBUTION) or (), lines, lock, extra=order.extra)
    for line in asked.unlike_lock:
        say(f"note: {line}")
    wheels = gather(asked, order.wheelhouse, work, platform=order.platform, offline=order.offline)
    for line in costs_of(folder, wheels):
        say(f"note: {line}")
    environment = work / "environment"
    install(wheels, order.wheelhouse, work, environment, platform=order.platform)
    add_ours(environment)
    imported = compile_imported(environment, work, platform=order.platform)
    if not imported:
        say("note: no bytecode is in it, since this Python or machine is not the image's; it starts some seconds later")
    architecture = order.platform.partition("/")[2]
    bill = LayerFile(path=PLACE, content=bill_of(environment, wheels, base, architecture=architecture))
    libraries = write_layer(environment_files(environment, imported), work / "libraries.layer")
    ours = write_layer([*our_files(environment), bill], work / "ours.layer")
    shutil.rmtree(environment)
    return Runtime(base=base, layers=[libraries, ours])


@contextmanager
def _work_beside(output: Path) -> Iterator[Path]:
    """Give a folder on the disk of the archive, and remove it afterwards."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".slipway-image-", dir=output.parent) as work:
        yield Path(work)
