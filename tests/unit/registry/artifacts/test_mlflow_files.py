"""Stored files in S3: fetched once for what is listed, and anew where a twin may have come under the same name."""

from pathlib import Path

import pytest

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.artifacts.mlflow_files import Cached, MlflowFiles


class Folder:
    """A folder in S3 that counts how often it is fetched."""

    fingerprint, size_bytes = "f", 1

    def __init__(self, *, came_in_parts: bool) -> None:
        self.came_in_parts, self.fetched = came_in_parts, 0

    def download(self, into: Path) -> None:
        self.fetched += 1
        (into / "MLmodel").write_text("flavors: {}")


@pytest.mark.parametrize(
    ("came_in_parts", "parts_anew", "times"), [(False, False, 1), (True, False, 1), (False, True, 1), (True, True, 2)]
)
def test_a_server_reads_anew_what_came_in_parts(tmp_path: Path, came_in_parts: bool, parts_anew: bool, times: int):
    """S3's time of it is that of its beginning; whoever reads by the manifest need not."""
    folder = Folder(came_in_parts=came_in_parts)
    cached = Cached(
        cache=ArtifactCache(tmp_path, max_bytes=2**20), look_in_s3=lambda uri: folder, parts_anew=parts_anew
    )
    for _ in range(2):
        MlflowFiles(None, cached).folder_of("s3://bucket/1/models/m/artifacts")
    assert folder.fetched == times
