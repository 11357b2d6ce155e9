"""The step register: a logged model becomes a version with a manifest, or nothing at all."""

from collections.abc import Callable

from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.text import DESCRIPTION_CHARACTERS, cleaned
from slipway.registry.version import LoggedModel, Version

MANIFEST_PATH = "slipway/manifest.json"
MANIFEST_TAG = "slipway.manifest"


def register(
    logged: LoggedModel, *, model: str, registry: ModelRegistry, note: Callable[[Version, Manifest], object]
) -> Version:
    """Register a logged model as the next version of a model.

    Reads the stored files once and records their manifest: whole among the run's artifacts and, by `note`, in the
    ledger, its digest as the version's tag. A second call makes a second version. If anything fails, no version is
    left.
    """
    manifest = manifest_of(registry.stored_files(logged.model_uri))
    registry.log_text(logged.run_id, manifest.to_json(), MANIFEST_PATH)
    tags = {**logged.tags, MANIFEST_TAG: manifest.digest}
    described = cleaned(describe(logged), DESCRIPTION_CHARACTERS)  # a source may be a query of any length
    version = registry.create_version(logged, model=model, description=described, tags=tags)
    try:
        note(version, manifest)
    except BaseException:
        registry.delete_version(version)
        raise
    return version


def describe(logged: LoggedModel) -> str:
    """Return the version's description in Markdown: what was trained, and the headline metrics."""
    lines = [f"{logged.tags.get('slipway.estimator', 'model')}, {logged.task}", "", "| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:.4g} |" for name, value in logged.headline.items()]
    return "\n".join(
        [*lines, "", f"Data: {logged.tags.get('slipway.data_source', 'unknown')}. Run: `{logged.run_id}`."]
    )
