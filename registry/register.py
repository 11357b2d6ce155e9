"""The step register: a logged model becomes a version with a manifest, or nothing at all."""

from datetime import datetime

from registry.events import Event, EventKind
from registry.history import History
from registry.identity import uid_of
from registry.manifest import Manifest, manifest_of
from registry.model_registry import ModelRegistry
from registry.version import LoggedModel, Version

MANIFEST_PATH = "slipway/manifest.json"
MANIFEST_TAG = "slipway.manifest"


def register(
    logged: LoggedModel, *, model: str, registry: ModelRegistry, history: History, actor: str, now: datetime
) -> Version:
    """Register a logged model as the next version of a model.

    Reads the stored files once and records their manifest: whole among the run's artifacts and in the ledger,
    its digest as the version's tag. A second call makes a second version. If anything fails, no version is left.
    """
    manifest = manifest_of(registry.stored_files(logged.model_uri))
    registry.log_text(logged.run_id, manifest.to_json(), MANIFEST_PATH)
    tags = {**logged.tags, MANIFEST_TAG: manifest.digest}
    version = registry.create_version(logged, model=model, description=describe(logged), tags=tags)
    try:
        _record(version, manifest, registry=registry, history=history, actor=actor, now=now)
    except BaseException:
        registry.delete_version(version)
        raise
    return version


def _record(
    version: Version, manifest: Manifest, *, registry: ModelRegistry, history: History, actor: str, now: datetime
) -> None:
    uid = uid_of(registry.model(version.model), history, registry.model)
    with history.lock(uid):
        event = Event(
            kind=EventKind.VERSION_REGISTERED,
            model_uid=uid,
            model=version.model,
            version=version.number,
            stage=None,
            actor=actor,
            actor_authenticated=False,
            at=now,
            reason="trained",
            digests={"manifest": manifest.digest, "run": version.run_id or ""},
            details={"manifest": manifest.to_json()},
        )
        head = history.head(uid)
        history.append(event, after_seq=head.seq if head else 0)


def describe(logged: LoggedModel) -> str:
    """Return the version's description in Markdown: what was trained, and the headline metrics."""
    lines = [f"{logged.tags.get('slipway.estimator', 'model')}, {logged.task}", "", "| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:.4g} |" for name, value in logged.headline.items()]
    return "\n".join(
        [*lines, "", f"Data: {logged.tags.get('slipway.data_source', 'unknown')}. Run: `{logged.run_id}`."]
    )
