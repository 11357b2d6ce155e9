"""The `Aliases` of whatever registry MLflow is configured for, through its client."""

from collections.abc import Callable, Collection, Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Conflict, NotFound
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.versions.aliases import AliasHolder, Wanted, identity_of
from slipway.registry.versions.mlflow_registry import MlflowRegistry

# What MLflow (3.17) says when a model is not there, and when its alias is not.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class MlflowAliases:
    """The `Aliases` on MLflow's client."""

    def __init__(self) -> None:
        self._client = MlflowClient()

    @translated()
    def holders(self, wanted: Collection[Wanted]) -> Mapping[Wanted, AliasHolder]:
        """Return the holder of each (model, alias) that has one."""
        found = {each: self._holder(*each) for each in wanted}
        return {each: holder for each, holder in found.items() if holder is not None}

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version with the alias."""
        return tuple(model.name for model in MlflowRegistry().models() if alias in model.aliases)

    def model_names(self) -> tuple[str, ...]:
        """Return the names of all models."""
        return tuple(model.name for model in MlflowRegistry().models())

    def models(self, names: Collection[str]) -> Mapping[str, RegisteredModel]:
        """Return the models that have these names."""
        found = {name: self._model(name) for name in names}
        return {name: model for name, model in found.items() if model is not None}

    @translated()
    def numbered(self, model: str, number: int) -> AliasHolder | None:
        """Return a version by its number."""
        return self._found(lambda: self._client.get_model_version(model, str(number)))

    @staticmethod
    def _model(name: str) -> RegisteredModel | None:
        try:
            return MlflowRegistry().model(name)
        except (NotFound, Conflict):  # nobody has the name, or a prompt
            return None

    def _holder(self, model: str, alias: str) -> AliasHolder | None:
        return self._found(lambda: self._client.get_model_version_by_alias(model, alias))

    @staticmethod
    def _found(ask: Callable[[], ModelVersion]) -> AliasHolder | None:
        try:
            version = ask()
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return None
        workspace = str(getattr(version, "workspace", None) or "default")
        identity = identity_of(workspace, version.creation_timestamp, version.name, version.source)
        return AliasHolder(number=int(version.version), identity=identity)
