"""The door to MLflow's model registry."""

import posixpath
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, FileInfo, LifecycleStage, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowModel
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from slipway.registry.artifacts.kept_copies import is_copy
from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.artifacts.mlflow_files import Cached, MlflowFiles
from slipway.registry.artifacts.mlflow_location import location_of, require_fixed_location
from slipway.registry.errors import Conflict, InvalidInput, NotFound
from slipway.registry.manifest import Manifest
from slipway.registry.mlflow_races import repeated_after_races
from slipway.registry.model_registry import Given, Measured, Origin
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.stages import MLFLOW_NONE
from slipway.registry.text import require_name, require_new_name
from slipway.registry.version import LoggedModel, Version, VersionRef
from slipway.registry.versions.mlflow_origin import origin_of_location
from slipway.registry.versions.not_there import aliased, is_a_prompt, no_model, no_version

PAGE = 1000
PLAIN_ID = re.compile(r"[\w-]{1,64}")
MODEL_FILE = "MLmodel"
Found = TypeVar("Found")


class LightClient(MlflowClient):
    """MLflow's client without a look at all of a model's versions before each write.

    To refuse prompts MLflow 3.17 gets the registered model, which reads every version of it: at 10,000 versions that is
    most of a promotion. Who writes here has found the model by a search, which finds no prompts. Where a later MLflow
    asks in another way, this has no effect.
    """

    def _raise_if_prompt(self, name: str) -> None:
        """Ask nothing."""


class MlflowRegistry:
    """The `ModelRegistry` on MLflow's client, without one for whatever registry MLflow is configured for.

    Without a cache, files that are not on this disk are downloaded anew each time, into temporary folders.
    """

    def __init__(self, cached: Cached | None = None, client: MlflowClient | None = None) -> None:
        self._client = client or LightClient()
        self._files = MlflowFiles(self._client, cached)

    @translated()
    def model(self, name: str) -> RegisteredModel:
        """Return the model that has a name now."""
        return _model(self._model(name))

    @translated()
    def models(self) -> tuple[RegisteredModel, ...]:
        """Return all models, ordered by name."""
        return tuple(_model(each) for each in sorted(self._models(), key=lambda each: str(each.name)))

    @translated()
    def version(self, ref: VersionRef) -> Version:
        """Return one version."""
        number = aliased(ref, self.model(ref.model).aliases) if ref.number is None else ref.number
        found = self._get_version(ref.model, number)
        if found is None:
            raise self._no_version(ref.model, number)
        return _version(found, dict.fromkeys(found.aliases, number))

    @translated()
    def versions(self, model: str, *, at_most: int | None = None) -> tuple[Version, ...]:
        """Return a model's versions, the newest first, asking for no more than are wanted."""
        registered = self._model(model)
        search = partial(
            self._client.search_model_versions,
            f"name={_quoted(model)}",
            max_results=min(PAGE, at_most or PAGE),
            order_by=["version_number DESC"],
        )
        found = islice(all_of(search), at_most)
        return tuple(_version(each, registered.aliases) for each in found if each.name == model)

    @translated()
    def numbered(self, model: RegisteredModel, numbers: Collection[int]) -> tuple[Version, ...]:
        """Return those of the numbered versions that there are, the newest first."""
        found = (self._get_version(model.name, number) for number in sorted(numbers, reverse=True))
        return tuple(_version(each, model.aliases) for each in found if each is not None)

    @translated()
    def models_with_alias(self, alias: str) -> tuple[Version, ...]:
        """Return the version that has the alias, of each model that has it."""
        models = sorted((model for model in self._models() if alias in model.aliases), key=lambda each: str(each.name))
        found = [(model, self._client.get_model_version(model.name, model.aliases[alias])) for model in models]
        return tuple(
            _version(version, model.aliases) for model, version in sorted(found, key=lambda pair: str(pair[0].name))
        )

    @translated()
    def measured(self, version: Version) -> Measured:
        """Return what the version's run recorded; nothing where it has no run, or a deleted one."""
        if not version.run_id:
            return Measured(metrics={}, params={})
        try:
            run = self._client.get_run(version.run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return Measured(metrics={}, params={})
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            return Measured(metrics={}, params={})
        return _measured(run)

    @translated()
    def measured_each(self, versions: Sequence[Version]) -> tuple[Measured, ...]:
        """Return what each version's run recorded, by a search in all experiments instead of a question for each."""
        ids = sorted({version.run_id for version in versions if version.run_id and PLAIN_ID.fullmatch(version.run_id)})
        found: dict[str, Measured] = {}
        if ids:
            experiments = all_of(partial(self._client.search_experiments, max_results=PAGE))
            search = partial(self._client.search_runs, [each.experiment_id for each in experiments], max_results=PAGE)
            for begin in range(0, len(ids), PAGE):
                named = ", ".join(_quoted(run_id) for run_id in ids[begin : begin + PAGE])
                runs = all_of(partial(search, filter_string=f"attributes.run_id IN ({named})"))
                found.update((run.info.run_id, _measured(run)) for run in runs)
        return tuple(found.get(version.run_id or "", Measured(metrics={}, params={})) for version in versions)

    @translated()
    def create_version(self, logged: LoggedModel, *, model: str, description: str, tags: Mapping[str, str]) -> Version:
        """Register a stored model as the next version, creating the model where it is new."""
        is_new = self._create_model(model)
        try:
            created = repeated_after_races(
                lambda: self._client.create_model_version(
                    name=model,
                    source=logged.model_uri,
                    run_id=logged.run_id,
                    tags=dict(tags),
                    description=description,
                    model_id=logged.model_id,
                )
            )
        except BaseException:
            if is_new and not self.versions(model, at_most=1):  # others may have registered theirs meanwhile
                self._client.delete_registered_model(model)
            raise
        return _version(created, self._model(model).aliases)

    @translated()
    def delete_version(self, version: Version) -> None:
        """Remove a version, and its model if that has no other."""
        self._client.delete_model_version(version.model, str(version.number))
        if not self.versions(version.model, at_most=1):
            self._client.delete_registered_model(version.model)

    @translated()
    def require_model_name(self, model: str) -> None:
        """Refuse names that could not be written in `NAME/NUMBER` or `NAME@ALIAS`, and those of prompts."""
        if not re.fullmatch(r"[^\s/:@.][^/:@]*", model) or model != model.strip():
            raise InvalidInput(
                f"'{model}' cannot be a model's name: it holds '/', ':' or '@', or starts with a dot or a space",
                code="wrong-model-name",
                hint="use letters, digits, '-', '_' and '.'",
            )
        require_new_name(model, "the model's name")
        try:
            self._model(model)
        except NotFound:
            return

    @translated()
    def set_alias(self, model: str, alias: str, number: int) -> None:
        """Point an alias at a version."""
        self._client.set_registered_model_alias(model, alias, str(number))

    @translated()
    def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias."""
        self._client.delete_registered_model_alias(model, alias)

    @translated()
    def set_mlflow_stage(self, model: str, number: int, label: str) -> None:
        """Set MLflow's own stage label of one version."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow deprecates stages; the mirror is a setting
            self._client.transition_model_version_stage(model, str(number), label, archive_existing_versions=False)

    @translated()
    def set_tags(self, model: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for name, value in tags.items():
            self._client.set_model_version_tag(model, str(number), name, value)

    @translated()
    def set_model_tag(self, model: str, name: str, value: str) -> None:
        """Set a tag of the model itself."""
        self._client.set_registered_model_tag(model, name, value)

    @translated()
    def set_description(self, model: str, number: int, text: str) -> None:
        """Set a version's description."""
        self._client.update_model_version(model, str(number), text)

    @translated()
    def location(self, version: Version) -> str:
        """Return where MLflow reads a version's files from now."""
        return location_of(f"models:/{version.model}/{version.number}", self._client)

    @translated()
    def logged_location(self, version: Version) -> str:
        """Return where a version's files were logged; of a copy only its source says that to a server's clients."""
        served = self.location(version)
        return location_of(version.source, self._client) if is_copy(served) else served

    @translated()
    def require_fixed(self, version: Version) -> None:
        """Refuse a version whose files MLflow finds by a name that may come to mean something else."""
        require_fixed_location(version, self._client)

    @translated()
    def origin(self, location: str) -> Origin | None:
        """Return the run or logged model that has the files at a location."""
        return origin_of_location(location, self._client)

    @translated()
    def stored_files(self, model_uri: str) -> Path:
        """Return a local folder with the model's stored files: the store itself where that is local."""
        folder = self._files.folder_of(model_uri)
        _require_model(folder, model_uri)
        return folder

    @translated()
    def fetch_files(self, model_uri: str, into: Path, manifest: Manifest | None) -> None:
        """Write the model's stored files below a folder; an earlier call that broke off is resumed."""
        self._files.fetch(model_uri, into, manifest)
        _require_model(into, model_uri)

    @translated()
    def run_files(self, run_id: str, path: str) -> Path | None:
        """Return a local folder with the files below a path of a run's artifacts."""
        try:
            return self._files.folder_of_run(run_id, path)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    @translated()
    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Store a text among a run's artifacts."""
        require_no_model_around(path, partial(self._client.list_artifacts, run_id))
        self._client.log_text(run_id, text, path)

    def _model(self, name: str) -> MlflowModel:
        """Return a model by searching for it: getting it would read all of its versions (MLflow 3.17)."""
        require_name(name, "the model's name")
        found = self._client.search_registered_models(filter_string=f"name={_quoted(name)}", max_results=PAGE)
        if mine := next((each for each in found if each.name == name), None):
            return mine
        self._refuse_prompt(name)
        raise self._unknown(name)

    def _unknown(self, name: str) -> NotFound:
        """Return the error for a name that no model has, with those that there are, for whoever may see them all."""
        return no_model(name, [str(other.name) for other in self._models()])

    def _get_version(self, model: str, number: int) -> ModelVersion | None:
        try:
            return self._client.get_model_version(model, str(number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _refuse_prompt(self, name: str) -> None:
        """MLflow's client says of a prompt that there is no such model, but lets nobody make one."""
        if self._client.search_prompts(filter_string=f"name={_quoted(name)}"):
            raise is_a_prompt(name)

    def _models(self) -> list[MlflowModel]:
        return list(all_of(partial(self._client.search_registered_models, max_results=PAGE)))

    def _create_model(self, name: str) -> bool:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return False
        return True

    def _no_version(self, model: str, number: int) -> NotFound:
        """Return what to say; raises NotFound itself where there is no such model either."""
        latest = self.versions(model, at_most=1)
        return no_version(model, number, latest[0].number if latest else None)


def require_no_model_around(path: str, files_of: Callable[[str | None], Iterable[FileInfo]]) -> None:
    """Refuse to store an artifact in a model's folder: it would be among the model's files.

    `files_of` lists what lies in a folder.

    Raises
    ------
    Conflict
        A folder around the path, the root among them, has a model.
    """
    for above in ("", *map(str, reversed(PurePosixPath(path).parents[:-1]))):
        if any(posixpath.basename(each.path) == MODEL_FILE and not each.is_dir for each in files_of(above or None)):
            raise Conflict(
                f"a model lies in {above or 'the root'} of the run's artifacts, and {path} would be among its files",
                code="inside-a-model",
                hint="log models into folders of their own: mlflow.<flavor>.log_model(…)",
            )


def all_of(search: Callable[..., PagedList[Found]]) -> Iterator[Found]:
    """Yield what a search of MLflow finds, page after page as it is asked for."""
    token: str | None = None
    while True:
        page = search(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _measured(run: Run) -> Measured:
    return Measured(
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        status=run.info.status,
        experiment_id=run.info.experiment_id,
        # MLflow's clients (3.17) say "unknown" where nobody is named.
        user=None if run.info.user_id in ("", "unknown") else run.info.user_id,
        started_at=_moment(run.info.start_time),
        ended_at=_moment(run.info.end_time),
        inputs=tuple(_given(each) for each in run.inputs.dataset_inputs) if run.inputs else (),
    )


def _given(found: DatasetInput) -> Given:
    context = next((tag.value for tag in found.tags if tag.key == MLFLOW_DATASET_CONTEXT), None)
    return Given(name=found.dataset.name, digest=found.dataset.digest, context=context)


def _moment(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _quoted(name: str) -> str:
    """Return a name for MLflow's filters (3.17), which know no escapes.

    Raises
    ------
    InvalidInput
        It has quotes of both kinds, so that the rest of it would be part of the filter: others would be found.
    """
    if '"' in name and "'" in name:
        raise InvalidInput(
            f"MLflow finds no model called {name}: its search cannot tell where the name ends",
            code="wrong-name",
            hint="rename it: a name may have quotes of one kind",
        )
    return f"'{name}'" if '"' in name else f'"{name}"'


def _require_model(folder: Path, model_uri: str) -> None:
    if not (folder / MODEL_FILE).is_file():
        raise NotFound(f"nothing is stored at {model_uri} any more", code="artifacts-gone", hint=None)


def _model(found: MlflowModel) -> RegisteredModel:
    return RegisteredModel(
        name=found.name,
        created_ms=int(found.creation_timestamp),
        workspace=str(getattr(found, "workspace", None) or "default"),
        aliases={alias: int(number) for alias, number in found.aliases.items()},
        labels={each.current_stage: int(each.version) for each in found.latest_versions},
        tags=dict(found.tags),
    )


def _version(found: ModelVersion, aliases: Mapping[str, object]) -> Version:
    number = int(found.version)
    return Version(
        model=found.name,
        number=number,
        run_id=found.run_id or None,
        source=str(found.source),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        mlflow_stage=None if found.current_stage == MLFLOW_NONE else found.current_stage,
        aliases=frozenset(alias for alias, aliased in aliases.items() if int(str(aliased)) == number),
        tags=dict(found.tags),
        description=found.description or "",
    )
