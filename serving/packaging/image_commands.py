"""The command image."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from slipway.registry.console import json_option, print_document, say, some_text, some_texts
from slipway.registry.decisions.wiring import open_all
from slipway.registry.errors import InvalidInput, Unavailable
from slipway.registry.version import VersionRef, parse_ref
from slipway.serving.packaging.base_image import DISTROLESS
from slipway.serving.packaging.package import Order, Package, package

ARCHIVE = "oci-archive:"
WHEELHOUSE = Path(".slipway/wheelhouse")
MB = 10**6


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
    override: str | None,
    as_json: bool,
) -> None:
    """Make an image of a version, which serves it without a registry."""
    ref = parse_ref(version)
    skopeo = _skopeo() if push else None
    opened = open_all()
    order = Order(
        ref=ref,
        output=_archive(output, ref),
        base=base,
        platform=platform,
        wheelhouse=wheelhouse.absolute(),
        baked=baked,
        offline=offline,
        name=name,
        extra=extra,
        override=override,
    )
    made = package(order, opened.ledger, opened.decisions, say)
    if push and skopeo:
        _push([skopeo, "copy", "--quiet", "--preserve-digests"], made, push)
    if as_json:
        print_document({**asdict(made), "output": str(made.output), "image": made.image.digest})
    else:
        _show(made, baked=baked)


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


def _skopeo() -> str:
    found = shutil.which("skopeo")
    if found is None:
        raise Unavailable(
            "images are pushed by skopeo, which is not installed here", code="no-skopeo", hint="apt-get install skopeo"
        )
    return found


def _push(words: Sequence[str], made: Package, place: str) -> None:
    source = f"{ARCHIVE}{made.output}:{made.image.name}"
    done = subprocess.run([*words, source, f"docker://{place}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-800:]
        raise Unavailable(
            f"the image is in {made.output} and recorded, and could not be pushed to {place}: {said}",
            code="not-pushed",
            hint=f"skopeo login, then skopeo copy {source} docker://{place}",
        )


def _show(made: Package, *, baked: bool) -> None:
    for each in made.images:
        size = f"{each.unpacked_bytes / MB:.0f} MB, {each.size_bytes / MB:.0f} MB compressed"
        click.echo(f"{each.name}  {each.digest}  {size}")
    say(f"recorded as event {made.seq}: slipway history {made.version.rpartition('/')[0]}")
    run = f"docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 8080:8080 {made.image.name}"
    say(f"next: docker load -i {made.output}{f' && {run}' if baked else ''}")
