"""The port to the model registry: what the steps need of MLflow, and no more."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from slipway.registry.manifest import Manifest
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.version import LoggedModel, Version, VersionRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A dataset that was given to a run; `context` is what for, where that was said."""

    name: str
    digest: str
    context: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a version's run recorded: metric name → value, parameter and tag name → text, how it ended, and where it is.

    `user` is who opened it: by the server's word where the server is guarded and knows its users. Tags are anybody's
    word who may edit the run. Empty, with status and experiment `None`, without a run or with a deleted one.
    """

    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    status: str | None = None
    experiment_id: str | None = None
    user: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inputs: tuple[Given, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Who stored the files at a location, as tracking knows it: a run, and for a logged model when and where to."""

    run_id: str | None
    experiment_id: str | None
    logged_at: datetime | None = None
    people: tuple[str, ...] = ()


class RegistryReader(Protocol):
    """Models, versions and aliases as they are, and what runs recorded.

    All raise `NotFound` for what does not exist, naming what does, and `Unavailable` when the registry
    does not answer. A name that is a prompt in MLflow's registry is no model: `Conflict`.
    """

    def model(self, name: str) -> RegisteredModel:
        """Return the model that has a name now."""

    def models(self) -> tuple[RegisteredModel, ...]:
        """Return all models, ordered by name; prompts are none."""

    def version(self, ref: VersionRef) -> Version:
        """Return one version."""

    def versions(self, model: str, *, at_most: int | None = None) -> tuple[Version, ...]:
        """Return the versions of a model, the newest first: all of them, or so many at most."""

    def numbered(self, model: RegisteredModel, numbers: Collection[int]) -> tuple[Version, ...]:
        """Return those of the numbered versions that there are, the newest first, asking for no others."""

    def models_with_alias(self, alias: str) -> tuple[Version, ...]:
        """Return the version that has the alias, of each model that has it, ordered by model."""

    def measured(self, version: Version) -> Measured:
        """Return what the version's run recorded."""

    def measured_each(self, versions: Sequence[Version]) -> tuple[Measured, ...]:
        """Return what each version's run recorded, in the order of the versions."""


class ModelRegistry(RegistryReader, Protocol):
    """Models, versions, aliases and tags, and the files of versions. Every write is visible to the next read."""

    def create_version(self, logged: LoggedModel, *, model: str, description: str, tags: Mapping[str, str]) -> Version:
        """Register a stored model as the next version, creating the model where it is new.

        If that fails half way, nothing is left.
        """

    def delete_version(self, version: Version) -> None:
        """Remove a version, and its model if that has no other."""

    def require_model_name(self, model: str) -> None:
        """Raise `InvalidInput` for a name that cannot be registered, `Conflict` for a prompt's."""

    def set_alias(self, model: str, alias: str, number: int) -> None:
        """Point an alias at a version, from wherever it was."""

    def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias; one that is not there is no error."""

    def set_mlflow_stage(self, model: str, number: int, label: str) -> None:
        """Set MLflow's own stage label of one version, and of no other."""

    def set_tags(self, model: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version, over earlier ones."""

    def set_model_tag(self, model: str, name: str, value: str) -> None:
        """Set a tag of the model itself."""

    def set_description(self, model: str, number: int, text: str) -> None:
        """Set a version's description, over the earlier one."""

    def location(self, version: Version) -> str:
        """Return where MLflow reads a version's files from now, as a storage location."""

    def logged_location(self, version: Version) -> str:
        """Return where a version's files were logged, also where MLflow reads a server's own copy of them."""

    def require_fixed(self, version: Version) -> None:
        """Raise `Conflict` where what MLflow reads for a version rests on a name that may come to mean something else.

        So it is where MLflow keeps a reference for it, or where its source leads elsewhere by now than MLflow reads.
        """

    def origin(self, location: str) -> Origin | None:
        """Return who stored the files at a location; `None` where no run and no logged model has them."""

    def stored_files(self, model_uri: str) -> Path:
        """Return a local folder with the model's stored files; `NotFound` where nothing is stored any more."""

    def fetch_files(self, model_uri: str, into: Path, manifest: Manifest | None) -> None:
        """Write the model's stored files below a folder, where an earlier call may have left some of them.

        Raises `NotFound` where nothing is stored any more, and may raise `Corrupt` before anything is written where
        the files cannot be the manifest's. Whoever calls compares the bytes.
        """

    def run_files(self, run_id: str, path: str) -> Path | None:
        """Return a local folder with the files below a path of a run's artifacts; `None` where there are none."""

    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Store a text among a run's artifacts.

        Raises `Conflict` where a model lies in a folder around it: it would be among that model's files.
        """
