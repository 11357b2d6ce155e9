"""A real registry of images for tests: Debian's docker-registry on loopback, without TLS."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import answers, free_port, process, wait_for

PROGRAMS = ("docker-registry", "skopeo")
CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
# How a client's upload of a blob ends, with its digest.
UPLOADED = re.compile(r'"PUT /v2/\S+/blobs/uploads/\S*digest=sha256%3A([0-9a-f]{64})\S* HTTP/1.1" 201')


def missing_programs() -> list[str]:
    """Return what has to be installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@dataclass(frozen=True)
class ImageRegistry:
    """A registry: where it is, and its log of requests."""

    host: str
    log: Path

    def uploads(self) -> set[str]:
        """Return the digests of all blobs that were sent to it so far."""
        return {f"sha256:{each}" for each in UPLOADED.findall(self.log.read_text())}


@contextmanager
def image_registry(folder: Path) -> Iterator[ImageRegistry]:
    """Run a registry until the block ends."""
    port = free_port()
    (folder / "registry.yml").write_text(CONFIGURATION.format(folder=folder, port=port))
    log = folder / "registry.log"
    with process("docker-registry", "serve", str(folder / "registry.yml"), folder=folder, log=log):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/v2/"), within_s=30, log=log)
        yield ImageRegistry(f"127.0.0.1:{port}", log)
