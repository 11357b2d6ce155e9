"""Where a version comes from: what is known of it, how it is written down, and what is different afterwards."""

import json
import math
from datetime import UTC, datetime

import pytest

from slipway.registry.ledger.events import EventKind
from slipway.registry.model_registry import Given, Measured, Origin
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.provenance import (
    RECORDED_AS,
    Provenance,
    changes_since,
    gather_provenance,
    provenance_from,
    provenance_of,
    recorded_provenance,
)
from tests.doubles.fakes import FakeModelRegistry, logged_model
from tests.unit.registry.ledger.test_history import chain, event

VERSION = Version(
    model="m",
    number=1,
    run_id="r",
    source="s",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    mlflow_stage=None,
    aliases=frozenset(),
    tags={},
)


def known(**metrics: float) -> Provenance:
    """Return where a version with these metrics comes from."""
    run = Measured(metrics=metrics, params={}, status="FINISHED", user="ann", experiment_id="0")
    return provenance_of(VERSION, run, Origin(run_id="r", experiment_id="0"), "sha256:rows")


@pytest.mark.parametrize("value", [0.5, math.nan, math.inf, -math.inf, 1e308])
def test_what_is_written_down_is_read_again(value: float):
    """As strict JSON, whatever a metric is; and it is no change by itself."""
    before = known(a=value)
    text = json.dumps(before.to_document(), allow_nan=False)
    after = provenance_from(json.loads(text))
    assert (after.digest, changes_since(after, before), changes_since(before, after)) == (before.digest, (), ())


def test_the_first_record_counts():
    """A later one says what the run was made into meanwhile; an old event says nothing."""
    events = [
        event(EventKind.VERSION_REGISTERED, details={"manifest": "[]"}),
        event(EventKind.VERSION_REGISTERED, details={RECORDED_AS: known(a=1.0).to_document()}),
        event(EventKind.VERSION_ADOPTED, details={RECORDED_AS: known(a=2.0).to_document()}),
    ]
    assert recorded_provenance(chain(*events)) == known(a=1.0)
    assert recorded_provenance(chain(events[0])) is None


def test_only_so_many_changes_are_named():
    """And how many more there are."""
    before = known(**{f"m{i}": 0.0 for i in range(8)})
    found = changes_since(before, known(**{f"m{i}": 1.0 for i in range(8)}))
    assert (len(found), found[0], found[-1]) == (6, "m0 was 0 and is 1 now", "and 3 more")


def test_what_the_machine_did_is_no_metric_of_the_model():
    """MLflow goes on to write it while the run is open."""
    assert known(**{"system/cpu": 1.0, "a": 1.0}).metrics == {"a": 1.0}


@pytest.mark.parametrize(
    ("context", "counts"), [("training", True), ("train", True), (None, True), ("evaluation", False), ("test", False)]
)
def test_data_is_what_the_run_was_given_to_train_on(context: str | None, counts: bool):
    """A dataset for evaluation is not."""
    run = Measured(metrics={}, params={}, status="FINISHED", inputs=(Given(name="d", digest="1", context=context),))
    assert provenance_of(VERSION, run, None, None).data == (("d 1",) if counts else ())


def test_everybody_behind_a_version_is_known(tmp_path):
    """Who ran its run, who ran the one that stored its files, who logged them, and who made the version."""
    registry = FakeModelRegistry(folder=tmp_path)
    tags = {"slipway.registered_by": "rita", "mlflow.user": "tag"}
    registry.create_version(logged_model(run_id="borrowed"), model="m", description="", tags=tags)
    registry.recorded["borrowed"] = Measured(
        metrics={}, params={}, tags={"mlflow.user": "tag"}, status="FINISHED", user="bo"
    )
    registry.recorded["own"] = Measured(metrics={}, params={}, status="FINISHED", user="otto")
    registry.origins["models:/m-1"] = Origin(run_id="own", experiment_id="0", people=("lou",))
    found = gather_provenance(registry.version(VersionRef(model="m", number=1)), "models:/m-1", registry)
    assert found.people == ("bo", "lou", "otto", "rita")
    assert found.misfit == "its files were stored by run own, and it names run borrowed"
