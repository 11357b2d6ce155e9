"""Settings: `slipway.yaml` in the working folder, and above it the environment.

The file has one section for each package; a package reads its own. In the environment the section and
the keys are joined by two underscores: `registry: {mirror_stages: false}` is
`SLIPWAY_REGISTRY__MIRROR_STAGES=false`. Values are YAML in both, save that a secret in the environment is taken as it
is written.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from slipway.registry.credentials import credentials_of
from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.nearest import did_you_mean
from slipway.registry.yaml_files import document_of, is_there, parsed

FILE = "slipway.yaml"
PREFIX = "SLIPWAY_"
SECTIONS = ("training", "registry", "serving")
DEFAULT_STORE = "sqlite:///mlflow.db"


class Section(BaseModel):
    """A package's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RegistrySettings(Section):
    """Where policy, history and cached files are, and whether MLflow's own stage label follows the stages.

    Without `history_uri` the history is in the database of MLflow's registry. The cache keeps the files of versions
    that are not stored on this disk, at most so many MiB; by default it is the one that the serving engine fills.
    `artifact_places` are folders and buckets, beside what a server keeps itself, whose versions may enter a stage:
    nobody writes there behind the server's back. `server` is a section of its own, for the commands that prepare,
    examine and run a team's server; all others work without its secrets.
    """

    policy: Path = Path("promotion.yaml")
    mirror_stages: bool = True
    history_uri: SecretStr | None = None
    cache: Path = Path(".slipway/cache")
    cache_max_mb: int = Field(20_000, ge=1)
    artifact_places: tuple[str, ...] = ()
    server: Any = None


def tracking_uri(environ: Mapping[str, str]) -> str:
    """Return where MLflow keeps runs, by MLflow's own rules and without importing it."""
    return environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE


def registry_uri(environ: Mapping[str, str]) -> str:
    """Return where MLflow's registry is, by the same rules."""
    return environ.get("MLFLOW_REGISTRY_URI") or tracking_uri(environ)


def registry_view(environ: Mapping[str, str], folder: Path) -> str:
    """Return a digest that tells a working folder's view of a registry from every other.

    A name means another model in another workspace, under another history, or in a database file of another folder; and
    who may read it depends on the user. A digest, since addresses hold passwords.
    """
    history = load_settings(RegistrySettings, "registry", environ=environ, folder=folder).history_uri
    places = [registry_uri(environ), history.get_secret_value() if history else ""]
    is_below = any(place.startswith("sqlite:") for place in places)
    asking = credentials_of(registry_uri(environ), environ)
    named = environ.get("MLFLOW_TRACKING_USERNAME", "")
    who = [environ.get("MLFLOW_WORKSPACE", ""), asking.user or named, asking.token or ""]
    view = json.dumps([*places, str(folder.resolve()) if is_below else "", *who])
    return hashlib.sha256(view.encode()).hexdigest()


def others_write_runs(environ: Mapping[str, str]) -> bool:
    """Return whether runs and versions come from a server, at which others store theirs as well."""
    uris = (environ.get("MLFLOW_TRACKING_URI") or "", registry_uri(environ))
    return any(uri.startswith(("http://", "https://")) for uri in uris)


def decided_at_server(environ: Mapping[str, str], folder: Path) -> bool:
    """Return whether decisions are made at a tracking server: the registry is one, and no database is named."""
    return names_server(load_settings(RegistrySettings, "registry", environ=environ, folder=folder), environ)


def names_server(settings: RegistrySettings, environ: Mapping[str, str]) -> bool:
    """Return whether decisions are made at a tracking server, by settings that were loaded before."""
    return settings.history_uri is None and registry_uri(environ).startswith(("http://", "https://"))


def history_place(settings: RegistrySettings, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return the database URL of the history, and whether MLflow's tables are in the same database.

    Found without MLflow, by the same rules: the registry's URI, else the tracking URI, else `mlflow.db` in the
    working folder.

    Raises
    ------
    InvalidInput
        The registry is a server, and no other place is named.
    """
    if settings.history_uri is not None:
        return settings.history_uri.get_secret_value(), False
    uri = registry_uri(environ)
    if not uri.startswith(("sqlite:", "postgresql")):
        raise InvalidInput(
            f"the registry is at {uri}, and its history cannot be kept there",
            code="no-history-place",
            hint="name a database: SLIPWAY_REGISTRY__HISTORY_URI=postgresql://… or sqlite:////path/to/history.db",
        )
    return uri, True


def history_url(environ: Mapping[str, str], folder: Path) -> str:
    """Return the database URL of the history of a working folder; raises as `history_place` does."""
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    return history_place(settings, environ)[0]


def policy_place(settings: RegistrySettings, folder: Path) -> Path:
    """Return where the policy is; there may be none where nobody named a place.

    Raises
    ------
    NotFound
        A file is named, and is not there: the default policy in its place would be another than was meant.
    """
    place = folder / settings.policy
    if "policy" in settings.model_fields_set and not is_there(place):
        raise NotFound(
            f"the settings name the policy {place}, and there is no such file",
            code="no-policy-file",
            hint="write it, or take `registry: {policy: …}` out of slipway.yaml (SLIPWAY_REGISTRY__POLICY)",
        )
    return place


SectionT = TypeVar("SectionT", bound=Section)


def load_settings(kind: type[SectionT], section: str, *, environ: Mapping[str, str], folder: Path) -> SectionT:
    """Return a package's settings.

    Raises
    ------
    InvalidInput
        All bad keys at once: each with its source, its value (never that of a connection) and what is expected.
    """
    _refuse_unread(environ, kind, section)
    in_file = _file_section(folder / FILE, section)
    in_environment = _environment_section(environ, kind, section)
    try:
        return kind.model_validate(_merged(in_file, in_environment))
    except ValidationError as error:
        wrong = "; ".join(_one_wrong(problem, kind, section, in_environment) for problem in error.errors())
        raise InvalidInput(
            f"wrong settings: {wrong}",
            code="wrong-settings",
            hint=f"in {FILE} they stand under their section, in the environment as {PREFIX}SECTION__KEY",
        ) from None


def _file_section(path: Path, section: str) -> dict[str, Any]:
    try:
        document = document_of(path)
    except ValueError as error:
        raise _unreadable(path, str(error)) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _unreadable(path, f"it has no sections; known: {', '.join(SECTIONS)}")
    for key, found in document.items():
        if key not in SECTIONS:
            raise InvalidInput(
                f"{path} has an unknown section '{key}'{did_you_mean(str(key), SECTIONS)}; "
                f"known: {', '.join(SECTIONS)}",
                code="wrong-settings",
                hint=None,
            )
        if not isinstance(found, dict | None):
            raise _unreadable(path, f"{key} is no mapping of settings")
    return document.get(section) or {}


def _unreadable(path: Path, why: str) -> InvalidInput:
    hint = "mend the file, or move it away: without it the environment and the defaults hold"
    return InvalidInput(f"wrong settings in {path}: {why}", code="wrong-settings", hint=hint)


def _refuse_unread(environ: Mapping[str, str], kind: type[Section], section: str) -> None:
    """Refuse variables that somebody meant for us and that would not be read.

    Others may begin with the prefix: Kubernetes makes some for a service that is called slipway.
    """
    for name in environ:
        asked, mark, _ = name.removeprefix(PREFIX).partition("__")
        if name.startswith(PREFIX) and mark and asked.lower() not in SECTIONS:
            raise InvalidInput(
                f"{name} has an unknown section '{asked.lower()}'{did_you_mean(asked, SECTIONS)}; "
                f"known: {', '.join(SECTIONS)}",
                code="wrong-settings",
                hint=None,
            )
    for key in kind.model_fields:
        if (single := f"{PREFIX}{section}_{key}".upper()) in environ:
            raise InvalidInput(
                f"{single} is not read: section and key are joined by two underscores",
                code="wrong-settings",
                hint=f"{PREFIX}{section}__{key}".upper(),
            )


def _environment_section(environ: Mapping[str, str], kind: type[Section], section: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    prefix = f"{PREFIX}{section.upper()}__"
    for name, text in environ.items():
        if name.startswith(prefix):
            *parents, key = keys = name.removeprefix(prefix).lower().split("__")
            place = found
            for parent in parents:
                place = place.setdefault(parent, {})
            place[key] = text if "Secret" in str(_kind_of(kind, keys)) else _value(text)
    return found


def _value(text: str) -> Any:
    """Return what is written, as YAML where it is that."""
    try:
        return parsed(text.encode(), by_hand=True)
    except ValueError:
        return text


def _kind_of(model: type[BaseModel], keys: Sequence[str]) -> Any:
    """Return the annotation of a key, or of the last on the way to it that a model has; `None` for an unknown one."""
    found: Any = model
    for key in keys:
        within = _model_in(found)
        if within is None:
            return found
        found = within.model_fields[key].annotation if key in within.model_fields else None
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _one_wrong(problem: Mapping[str, Any], kind: type[Section], section: str, in_environment: Mapping[str, Any]) -> str:
    keys = [str(part) for part in problem["loc"]]
    in_file, variable = ".".join([section, *keys]), f"{PREFIX}{'__'.join([section, *keys]).upper()}"
    if problem["type"] == "missing":
        return f"{FILE}: {in_file} is missing, and so is {variable}"
    name = variable if _is_in(in_environment, keys) else f"{FILE}: {in_file}"
    if problem["type"] == "extra_forbidden":
        known = (_model_in(_kind_of(kind, keys[:-1])) or kind).model_fields
        return f"{name} is unknown{did_you_mean(keys[-1], known)}; known: {', '.join(known)}"
    found = _kind_of(kind, keys)
    value = "(hidden)" if "Secret" in str(found) or _model_in(found) else repr(problem["input"])
    return f"{name}={value}: {problem['msg'].removeprefix('Value error, ')}"


def _is_in(found: Any, keys: Sequence[str]) -> bool:
    """Return whether the environment names a key, or what it lies in."""
    for key in keys:
        if not isinstance(found, dict):
            return True
        if key not in found:
            return False
        found = found[key]
    return True
