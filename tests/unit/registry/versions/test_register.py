"""A logged model becomes a version with a manifest of its files, or nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.registry.decisions.ledger_decisions import LedgerDecisions
from slipway.registry.decisions.who import say_why
from slipway.registry.errors import Unavailable
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.policy.policy import DEFAULT, PolicyBook
from slipway.registry.policy.roles import anybody
from slipway.registry.text import DESCRIPTION_CHARACTERS
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.file_integrity import recorded_manifest
from slipway.registry.versions.register import MANIFEST_PATH, register
from tests.doubles.fakes import FakeHistory, FakeModelRegistry, logged_model


def recorded(registry: FakeModelRegistry, history: FakeHistory | None = None) -> Version:
    """Register a logged model as a version of iris."""
    decisions = LedgerDecisions(
        ledger=Ledger(
            registry=registry,
            history=history or FakeHistory(),
            policies=lambda: PolicyBook(DEFAULT, source="test"),
            mirror_stages=False,
        ),
        who=lambda reason: say_why("ann", authenticated=False, at=datetime(2026, 1, 1, tzinfo=UTC), reason=reason),
        may=anybody,
    )

    def note(version: Version, manifest: Manifest) -> None:
        decisions.register(VersionRef(model="iris", number=version.number), "trained", manifest)

    return register(logged_model(), model="iris", registry=registry, note=note)


def test_a_version_carries_the_manifest_of_what_is_stored(tmp_path: Path):
    """The digest is a tag, the whole is among the run's artifacts."""
    (tmp_path / "MLmodel").write_text("flavors: {}")
    registry = FakeModelRegistry(folder=tmp_path)
    version = recorded(registry)
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
        recorded(registry)
    assert registry.known == {}


def test_the_description_shows_the_headline_metrics(tmp_path: Path):
    """What MLflow's UI shows beside the version."""

    class Remembering(FakeModelRegistry):
        def create_version(self, logged, *, model, description, tags):
            self.description = description
            return super().create_version(logged, model=model, description=description, tags=tags)

    registry = Remembering(folder=tmp_path)
    recorded(registry)
    assert "| holdout_accuracy | 0.9666 |" in registry.description


def test_a_description_is_no_longer_than_the_registry_keeps(tmp_path: Path):
    """A source may be a query of any length, and a training that is done is not to be lost for it."""
    registry = FakeModelRegistry(folder=tmp_path)
    long = logged_model(tags={"slipway.data_source": f"sql:wh:SELECT {'x' * 9_000}"})
    made = register(long, model="iris", registry=registry, note=lambda *_: None)
    assert len(made.description) == DESCRIPTION_CHARACTERS
    assert "| holdout_accuracy | 0.9666 |" in made.description


def test_the_ledger_has_the_manifest(tmp_path: Path):
    """Whole, so that a changed file is found even where the run is gone."""
    (tmp_path / "MLmodel").write_text("flavors: {}")
    history = FakeHistory()
    version = recorded(FakeModelRegistry(folder=tmp_path), history)
    (record,) = history.records("default/1/iris")
    assert (record.kind, record.version, record.event.actor) == ("VersionRegistered", version.number, "ann")
    assert recorded_manifest([record]) == manifest_of(tmp_path)


def test_a_version_that_the_ledger_refuses_is_taken_back(tmp_path: Path):
    """No version is left that nobody recorded."""

    class Down(FakeHistory):
        def append(self, event, *, after_seq):
            raise Unavailable("the database is down", code="down", hint=None)

    registry = FakeModelRegistry(folder=tmp_path)
    with pytest.raises(Unavailable):
        recorded(registry, Down())
    assert registry.known == {}
