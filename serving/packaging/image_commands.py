"""The command image."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

from slipway.registry.console import json_option, print_document, say, some_text, some_texts
from slipway.registry.decisions.wiring import open_all
from slipway.registry.errors import InvalidInput
from slipway.registry.version import VersionRef, parse_ref
from slipway.serving.packaging.base_image import DISTROLESS
from slipway.serving.packaging.image_names import checked_name, checked_place, runtime_name
from slipway.serving.packaging.package import Order, Package, package
from slipway.serving.packaging.skopeo import push as push_image
from slipway.serving.packaging.skopeo import require_skopeo

ARCHIVE = "oci-archive:"
WHEELHOUSE = Path(".slipway/wheelhouse")
MB = 10**6
RUN = "--rm --read-only --tmpfs /tmp --cap-drop ALL -p 8080:8080"


@click.command("image", epilog="Example: slipway image cancer@production --baked --output oci-archive:cancer.tar")
@click.argument("version")
@click.option("--baked", is_flag=True, help="One image that serves and holds the version, instead of one for each.")
@click.option("--output", callback=some_text, metavar="oci-archive:FILE", help="[default: MODEL-N.tar, here]")
@click.option("--name", callback=some_text, metavar="NAME:TAG", help="[default: slipway/MODEL:N]")
@click.option(
    "--base",
    default=DISTROLESS,
    show_default=True,
    callback=some_text,
    metavar="BASE",
    help="distroless (Debian by mmdebstrap), docker://NAME@sha256:…, oci:FOLDER or oci-archive:FILE.",
)
@click.option("--platform", default="linux/amd64", show_default=True, callback=some_text, metavar="OS/ARCHITECTURE")
@click.option(
    "--wheelhouse",
    default=WHEELHOUSE,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where wheels are kept.",
)
@click.option("--offline", is_flag=True, help="Take wheels from the wheelhouse alone.")
@click.option(
    "--with",
    "extra",
    multiple=True,
    callback=some_texts,
    metavar="REQUIREMENT",
    help="A library more; tracking: what a registry takes.",
)
@click.option("--push", callback=some_text, metavar="NAME:TAG", help="Copy it to a registry, by skopeo.")
@click.option(
    "--sign-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A private key (PEM) that signs the version's files, for model_signing.",
)
@click.option("--override", callback=some_text, metavar="WHY", help="Package what no gate passed; it is on record.")
@json_option
def image(
    version: str,
    baked: bool,
    output: str | None,
    name: str | None,
    base: str,
    platform: str,
    wheelhouse: Path,
    offline: bool,
    extra: tuple[str, ...],
    push: str | None,
    sign_key: Path | None,
    override: str | None,
    as_json: bool,
) -> None:
    """Make an image of a version, which serves it without a registry."""
    ref = parse_ref(version)
    archive = _archive(output, ref)
    place = _place(push, archive)
    opened = open_all()
    order = Order(
        ref=ref,
        output=archive,
        base=base,
        platform=platform,
        wheelhouse=wheelhouse.absolute(),
        baked=baked,
        offline=offline,
        name=checked_name(name, "--name") if name else None,
        extra=extra,
        override=override,
        key=sign_key,
    )
    made = package(order, opened.ledger, opened.decisions, say)
    pushed = _pushed(made, place)
    if as_json:
        print_document({**asdict(made), "output": str(made.output), "image": made.image.digest, "pushed": pushed})
    else:
        _show(made, pushed)


def _archive(output: str | None, ref: VersionRef) -> Path:
    """Return where the archive goes: by default it is called after what was asked for, beside whoever asks."""
    if output is None:
        return Path(f"{str(ref).replace('/', '-').replace('@', '-')}.tar").absolute()
    kind, _, place = output.rpartition(":")
    if kind not in ("", ARCHIVE.rstrip(":")) or not place:
        raise InvalidInput(
            f"--output {output}: only archives are written", code="unknown-output", hint="write oci-archive:FILE"
        )
    return Path(place).absolute()


def _place(push: str | None, archive: Path) -> str | None:
    """Return where the image is pushed, asked before anything is built."""
    if push is None:
        return None
    place = checked_place(push)
    require_skopeo(f"pushing to {place}")
    if ":" in str(archive):
        raise InvalidInput(
            f"{archive} has a colon, at which skopeo takes its name to end",
            code="unknown-output",
            hint="--output oci-archive:FILE, without a colon in it or in a folder above it",
        )
    return place


def _pushed(made: Package, place: str | None) -> list[str]:
    """Push each image, what serves before what holds the version; return where they are, by digest."""
    if place is None:
        return []
    places = [place] if len(made.images) == 1 else [runtime_name(place), place]
    for image, at in zip(made.images, places, strict=True):
        push_image(made.output, image.name, at)
        say(f"pushed {at}")
    repository = place.rpartition(":")[0]
    return [f"{repository}@{each.digest}" for each in made.images]


def _show(made: Package, pushed: list[str]) -> None:
    for each in made.images:
        size = f"{each.unpacked_bytes / MB:.0f} MB, {each.size_bytes / MB:.0f} MB compressed"
        click.echo(f"{each.name}  {each.digest}  {size}")
    say(f"recorded as event {made.seq}: slipway history {made.version.rpartition('/')[0]}")
    load = "" if pushed else f"docker load -i {quote(str(made.output))}"
    serves = len(made.images) == 1
    run = f"docker run {RUN} {pushed[-1] if pushed else made.image.name}" if serves else ""
    say(f"next: {' && '.join(filter(None, [load, run]))}" if load or run else f"next: docker pull {pushed[0]}")
