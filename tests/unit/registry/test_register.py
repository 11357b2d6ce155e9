"""A logged model becomes a version with a manifest of its files, or nothing."""

from pathlib import Path

import pytest

from registry.errors import Unavailable
from registry.manifest import Manifest, manifest_of
from registry.register import MANIFEST_PATH, register
from tests.fakes import FakeModelRegistry, logged_model


def test_a_version_carries_the_manifest_of_what_is_stored(tmp_path: Path):
    """The digest is a tag, the whole is among the run's artifacts."""
    (tmp_path / "MLmodel").write_text("flavors: {}")
    registry = FakeModelRegistry(folder=tmp_path)
    version = register(logged_model(), model="iris", registry=registry)
    assert str(version) == "iris/1"
    assert version.tags["slipway.manifest"] == manifest_of(tmp_path).digest
    assert version.tags["slipway.data_source"] == "sklearn:iris"
    assert Manifest.from_json(registry.texts["r1", MANIFEST_PATH]) == manifest_of(tmp_path)


def test_creating_the_version_is_the_last_write(tmp_path: Path):
    """So that a failure before it leaves no version."""

    class Full(FakeModelRegistry):
        def log_text(self, run_id: str, text: str, path: str) -> None:
            raise Unavailable("no space", code="full", hint=None)

    registry = Full(folder=tmp_path)
    with pytest.raises(Unavailable):
        register(logged_model(), model="iris", registry=registry)
    assert registry.known == {}


def test_the_description_shows_the_headline_metrics(tmp_path: Path):
    """What MLflow's UI shows beside the version."""

    class Remembering(FakeModelRegistry):
        def create_version(self, logged, *, model, description, tags):
            self.description = description
            return super().create_version(logged, model=model, description=description, tags=tags)

    registry = Remembering(folder=tmp_path)
    register(logged_model(), model="iris", registry=registry)
    assert "| holdout_accuracy | 0.9666 |" in registry.description
