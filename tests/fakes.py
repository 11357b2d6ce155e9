"""Stand-ins for the ports; they pass the same contract tests as the real doors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from registry.errors import Conflict, InvalidInput, NotFound
from registry.model_registry import Measured
from registry.version import LoggedModel, Version, VersionRef


@dataclass
class FakeModelRegistry:
    """A `ModelRegistry` in memory; `writes` lists the calls that changed it."""

    folder: Path
    known: dict[str, dict[int, Version]] = field(default_factory=dict)
    prompts: set[str] = field(default_factory=set)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def version(self, ref: VersionRef) -> Version:
        versions = self._of(ref.model)
        if ref.alias is not None:
            found = next((v for v in versions.values() if ref.alias in v.aliases), None)
        else:
            found = versions.get(ref.number or 0)
        if found is None:
            missing = f"alias '{ref.alias}'" if ref.alias else f"version {ref.number}; the latest is {max(versions)}"
            raise NotFound(f"model '{ref.model}' has no {missing}", code="unknown-version", hint=None)
        return found

    def versions(self, model: str) -> tuple[Version, ...]:
        return tuple(sorted(self._of(model).values(), key=lambda v: v.number, reverse=True))

    def models_with_alias(self, alias: str) -> tuple[Version, ...]:
        return tuple(v for name in sorted(self.known) for v in self.versions(name) if alias in v.aliases)

    def measured(self, version: Version) -> Measured:
        return Measured(metrics={}, params={})

    def create_version(self, logged: LoggedModel, *, model: str, description: str, tags: Mapping[str, str]) -> Version:
        self.writes.append("create_version")
        versions = self.known.setdefault(model, {})
        created = Version(
            model=model,
            number=max(versions, default=0) + 1,
            run_id=logged.run_id,
            source=logged.model_uri,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            stage=None,
            aliases=frozenset(),
            tags=dict(tags),
        )
        versions[created.number] = created
        return created

    def require_model_name(self, model: str) -> None:
        if set(model) & set("/:@") or not model:
            raise InvalidInput(f"'{model}' cannot be a model's name", code="wrong-model-name", hint=None)
        self._refuse_prompt(model)

    def set_alias(self, model: str, alias: str, number: int) -> None:
        self.writes.append("set_alias")
        self._change_all(model, lambda v: v.aliases - {alias} | ({alias} if v.number == number else frozenset()))

    def delete_alias(self, model: str, alias: str) -> None:
        self.writes.append("delete_alias")
        self._change_all(model, lambda v: v.aliases - {alias})

    def set_mlflow_stage(self, model: str, number: int, label: str) -> None:
        self.writes.append("set_mlflow_stage")
        self.known[model][number] = replace(self.known[model][number], stage=label)

    def set_tags(self, model: str, number: int, tags: Mapping[str, str]) -> None:
        self.writes.append("set_tags")
        version = self.known[model][number]
        self.known[model][number] = replace(version, tags={**version.tags, **tags})

    def stored_files(self, model_uri: str) -> Path:
        return self.folder

    def log_text(self, run_id: str, text: str, path: str) -> None:
        self.writes.append("log_text")
        self.texts[run_id, path] = text

    def _of(self, model: str) -> dict[int, Version]:
        self._refuse_prompt(model)
        if model not in self.known:
            raise NotFound(f"no model '{model}'; there are: {', '.join(self.known)}", code="unknown-model", hint=None)
        return self.known[model]

    def _refuse_prompt(self, model: str) -> None:
        if model in self.prompts:
            raise Conflict(f"'{model}' is a prompt, not a model", code="is-a-prompt", hint=None)

    def _change_all(self, model: str, aliases) -> None:
        self.known[model] = {n: replace(v, aliases=frozenset(aliases(v))) for n, v in self.known[model].items()}


def logged_model(**changes: object) -> LoggedModel:
    """Return a logged model for tests, with what matters changed."""
    fields: dict = {
        "run_id": "r1",
        "model_id": "m-1",
        "model_uri": "models:/m-1",
        "task": "classification",
        "tags": {"slipway.estimator": "random_forest", "slipway.data_source": "sklearn:iris"},
        "headline": {"holdout_accuracy": 0.9666},
    }
    return LoggedModel(**{**fields, **changes})
