"""Where a version comes from: its run, the people behind it, its data and code, and its held-out rows.

Metrics, tags and files of a run can be rewritten by whoever may edit it. What they were when the version was registered
is therefore in the ledger, and that is what checks use; what differs now is told by `changes_since`.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from slipway.registry.json_values import finite
from slipway.registry.ledger.chain import Record
from slipway.registry.manifest import manifest_of
from slipway.registry.model_registry import Measured, ModelRegistry, Origin
from slipway.registry.version import Version

REGISTERED_BY = "slipway.registered_by"
RECORDED_AS = "provenance"
# MLflow's own record of the machine, which goes on while a run is open and is no measurement of the model.
OF_THE_MACHINE = "system/"
# A run's times are by the clock of whoever ran it, those of what it logged by the server's.
CLOCKS_DIFFER = timedelta(minutes=1)
NAMED_AT_MOST = 5
NOT_TRAINING = ("eval", "valid", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What was known of a version's origin at one time.

    `people` trained, logged or created it, as far as the tracking server knows. `data` names the datasets that the run
    was given, each with its digest. `stored_by` is the run that stored the files, and `misfit` says why that is not the
    version's own run. `holdout` names the content of the run's `holdout/`.
    """

    run_id: str | None
    status: str | None
    people: tuple[str, ...]
    metrics: Mapping[str, float]
    data: tuple[str, ...]
    git_commit: str | None
    git_dirty: str | None
    task: str | None
    stored_by: str | None
    misfit: str | None
    holdout: str | None

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = finite(asdict(self))
        return document

    @property
    def digest(self) -> str:
        """Return `sha256:…` of all of it."""
        return f"sha256:{hashlib.sha256(json.dumps(self.to_document(), sort_keys=True).encode()).hexdigest()}"


def provenance_from(document: Mapping[str, Any]) -> Provenance:
    """Return the provenance that `to_document` wrote."""
    metrics = {name: float(value) for name, value in document["metrics"].items()}
    lists = {name: tuple(document[name]) for name in ("people", "data")}
    return Provenance(**{**document, **lists, "metrics": metrics})


def recorded_provenance(about: Sequence[Record]) -> Provenance | None:
    """Return what was recorded first of a version's origin; `None` where nobody recorded it, or an old Slipway did.

    Whatever is recorded later says what the run was made into meanwhile.
    """
    found = (record.event.details.get(RECORDED_AS) for record in about)
    return next((provenance_from(document) for document in found if document), None)


def gather_provenance(version: Version, location: str, registry: ModelRegistry) -> Provenance:
    """Ask the registry where a version comes from; its files lie at a location."""
    holdout = registry.run_files(version.run_id, "holdout") if version.run_id else None
    origin = origin_of(version, location, registry)
    return provenance_of(version, registry.measured(version), origin, holdout_digest(holdout))


def holdout_digest(folder: Path | None) -> str | None:
    """Return the name of what a run says of its held-out rows, whole: rows, row ids, scheme and target."""
    return manifest_of(folder).digest if folder else None


def origin_of(version: Version, location: str, registry: ModelRegistry) -> Origin | None:
    """Return who stored the files at a location; where that was another run than the version's, with its user."""
    origin = registry.origin(location)
    if origin is None or origin.run_id in (None, version.run_id):
        return origin
    other = registry.measured(replace(version, run_id=origin.run_id))
    return replace(origin, people=(*origin.people, *([other.user] if other.user else [])))


def provenance_of(version: Version, run: Measured, origin: Origin | None, holdout: str | None) -> Provenance:
    """Return the provenance of a version with this run, files of this origin, and held-out rows of this digest."""
    tags = {**run.tags, **version.tags}
    people = [run.user, version.tags.get(REGISTERED_BY), *(origin.people if origin else ())]
    return Provenance(
        run_id=version.run_id if run.status else None,
        status=run.status,
        people=tuple(sorted({person for person in people if person})),
        metrics={name: value for name, value in run.metrics.items() if not name.startswith(OF_THE_MACHINE)},
        data=tuple(sorted(f"{each.name} {each.digest}" for each in run.inputs if _is_trained_on(each.context))),
        git_commit=tags.get("slipway.git_commit") or tags.get("mlflow.source.git.commit"),
        git_dirty=tags.get("slipway.git_dirty"),
        task=version.tags.get("slipway.task"),
        stored_by=origin.run_id if origin else None,
        misfit=_misfit(version, run, origin) if origin else None,
        holdout=holdout,
    )


def changes_since(recorded: Provenance, now: Provenance) -> tuple[str, ...]:
    """Return one line for each thing that checks use and that is not any more what was recorded.

    A deleted run has no metrics to compare; those of the registration still hold.
    """
    found = []
    if now.status is not None:
        found = [line for name in recorded.metrics if (line := metric_change(name, recorded, now.metrics))]
    if recorded.holdout is not None and now.holdout != recorded.holdout:
        found.append(f"the files of its held-out rows were {'changed' if now.holdout else 'removed'}")
    elif recorded.holdout is None and now.holdout is not None:
        found.append("files of held-out rows were added")
    more = len(found) - NAMED_AT_MOST
    return (*found[:NAMED_AT_MOST], *([f"and {more} more"] if more > 0 else []))


def metric_change(name: str, recorded: Provenance, metrics: Mapping[str, float]) -> str | None:
    """Return how a metric differs from what was recorded, in words; `None` where it does not."""
    before, now = recorded.metrics[name], metrics.get(name)
    if now is None:
        return f"{name} was {before:.6g} and is gone"
    same = before == now or (math.isnan(before) and math.isnan(now))
    return None if same else f"{name} was {before:.6g} and is {now:.6g} now"


def _is_trained_on(context: str | None) -> bool:
    """Return whether a dataset was given to a run for training: one without a context was, one for evaluation not."""
    return not (context or "").lower().startswith(NOT_TRAINING)


def _misfit(version: Version, run: Measured, origin: Origin) -> str | None:
    """Return why files of this origin are not those of the version's run."""
    if origin.run_id is None or run.status is None:
        return None
    if origin.run_id != version.run_id:
        return f"its files were stored by run {origin.run_id}, and it names run {version.run_id}"
    if origin.experiment_id not in (None, run.experiment_id):
        return f"its files were logged into experiment {origin.experiment_id}, and its run is in {run.experiment_id}"
    if origin.logged_at is None:
        return None
    if run.started_at and origin.logged_at < run.started_at - CLOCKS_DIFFER:
        return "its files were logged before its run began"
    if run.ended_at and origin.logged_at > run.ended_at + CLOCKS_DIFFER:
        return "its files were logged after its run had ended"
    return None
