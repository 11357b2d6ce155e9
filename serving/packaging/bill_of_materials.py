"""The bill of materials of an image, in CycloneDX 1.6: every distribution of Python's in it, and of Debian's.

Without a time, and with a serial number that follows from what it lists: the same image has the same bill.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from slipway.serving.packaging.base_image import Base
from slipway.serving.packaging.wheelhouse import Wheel

PLACE = "usr/share/slipway/sbom.cdx.json"
DEBIAN = "debian-12"


def bill_of(environment: Path, wheels: Sequence[Wheel], base: Base, *, architecture: str) -> bytes:
    """Return the bill of what is installed in a folder, with the hash of each wheel, and of what the base has."""
    hashes = {wheel.name: wheel.sha256 for wheel in wheels}
    components = [*_python(environment, hashes), *_debian(base.packages, architecture)]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": base.name, "version": base.digest}},
        "components": components,
    }
    text = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, text)}"
    return json.dumps(document, sort_keys=True, indent=1).encode()


def _python(environment: Path, hashes: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    found = {str(canonicalize_name(each.name)): each.version for each in distributions(path=[str(environment)])}
    for name, version in sorted(found.items()):
        sha256 = [{"alg": "SHA-256", "content": hashes[name]}] if name in hashes else []
        yield _component(name, version, f"pkg:pypi/{name}@{quote(version)}", {"hashes": sha256} if sha256 else {})


def _debian(packages: Mapping[str, str], architecture: str) -> Iterable[dict[str, Any]]:
    for name, version in sorted(packages.items()):
        place = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro={DEBIAN}"
        yield _component(name, version, place, {})


def _component(name: str, version: str, purl: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, **more}
