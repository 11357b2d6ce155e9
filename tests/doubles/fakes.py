"""Stand-ins for the ports; they pass the same contract tests as the real doors."""

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from slipway.registry.engines.heartbeats import FORGOTTEN_AFTER, Heartbeat, heartbeat_from
from slipway.registry.errors import Conflict, InvalidInput, NotFound, Unavailable
from slipway.registry.ledger.chain import Head, Record, record_of
from slipway.registry.ledger.events import Event, first_hash
from slipway.registry.ledger.model_state import MOVES
from slipway.registry.manifest import Manifest
from slipway.registry.model_registry import Measured, Origin
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.version import LoggedModel, Version, VersionRef


@dataclass
class FakeModelRegistry:
    """A `ModelRegistry` in memory; `writes` lists the calls that changed it."""

    folder: Path
    known: dict[str, dict[int, Version]] = field(default_factory=dict)
    prompts: set[str] = field(default_factory=set)
    created_ms: dict[str, int] = field(default_factory=dict)
    model_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    recorded: dict[str, Measured] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    origins: dict[str, Origin] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def model(self, name: str) -> RegisteredModel:
        versions = self._of(name).values()
        labels: dict[str, int] = {}
        for each in versions:
            label = each.mlflow_stage or "None"
            labels[label] = max(labels.get(label, 0), each.number)
        return RegisteredModel(
            name=name,
            created_ms=self.created_ms[name],
            workspace="default",
            aliases={alias: each.number for each in versions for alias in each.aliases},
            labels=labels,
            tags=dict(self.model_tags.get(name, {})),
        )

    def models(self) -> tuple[RegisteredModel, ...]:
        return tuple(self.model(name) for name in sorted(self.known))

    def numbered(self, model: RegisteredModel, numbers: Collection[int]) -> tuple[Version, ...]:
        return tuple(version for version in self.versions(model.name) if version.number in numbers)

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

    def versions(self, model: str, *, at_most: int | None = None) -> tuple[Version, ...]:
        return tuple(sorted(self._of(model).values(), key=lambda v: v.number, reverse=True))[:at_most]

    def models_with_alias(self, alias: str) -> tuple[Version, ...]:
        return tuple(v for name in sorted(self.known) for v in self.versions(name) if alias in v.aliases)

    def measured(self, version: Version) -> Measured:
        return self.recorded.get(version.run_id or "", Measured(metrics={}, params={}))

    def measured_each(self, versions: Sequence[Version]) -> tuple[Measured, ...]:
        return tuple(self.measured(version) for version in versions)

    def create_version(self, logged: LoggedModel, *, model: str, description: str, tags: Mapping[str, str]) -> Version:
        self.writes.append("create_version")
        versions = self.known.setdefault(model, {})
        self.created_ms.setdefault(model, len(self.created_ms) + 1)
        created = Version(
            model=model,
            number=max(versions, default=0) + 1,
            run_id=logged.run_id,
            source=logged.model_uri,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            mlflow_stage=None,
            aliases=frozenset(),
            tags=dict(tags),
            description=description,
        )
        versions[created.number] = created
        return created

    def delete_version(self, version: Version) -> None:
        self.writes.append("delete_version")
        del self.known[version.model][version.number]
        if not self.known[version.model]:
            del self.known[version.model], self.created_ms[version.model]

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
        self.known[model][number] = replace(self.known[model][number], mlflow_stage=label)

    def set_tags(self, model: str, number: int, tags: Mapping[str, str]) -> None:
        self.writes.append("set_tags")
        version = self.known[model][number]
        self.known[model][number] = replace(version, tags={**version.tags, **tags})

    def set_model_tag(self, model: str, name: str, value: str) -> None:
        self.writes.append("set_model_tag")
        self.model_tags.setdefault(model, {})[name] = value

    def set_description(self, model: str, number: int, text: str) -> None:
        self.writes.append("set_description")
        self.known[model][number] = replace(self.known[model][number], description=text)

    def location(self, version: Version) -> str:
        return self.moved.get(str(version), version.source)

    def logged_location(self, version: Version) -> str:
        return self.location(version)

    def require_fixed(self, version: Version) -> None:
        if str(version) in self.doubtful:
            raise Conflict(f"{version} may lead elsewhere tomorrow", code="not-a-location", hint=None)

    def origin(self, location: str) -> Origin | None:
        return self.origins.get(location)

    def stored_files(self, model_uri: str) -> Path:
        folder = self.folders.get(model_uri, self.folder)
        if not folder.is_dir():
            raise NotFound(f"nothing is stored at {model_uri} any more", code="artifacts-gone", hint=None)
        return folder

    def fetch_files(self, model_uri: str, into: Path, manifest: Manifest | None) -> None:
        shutil.copytree(self.stored_files(model_uri), into, dirs_exist_ok=True)

    def run_files(self, run_id: str, path: str) -> Path | None:
        folder = self.folder / run_id / path
        return folder if folder.is_dir() else None

    def log_text(self, run_id: str, text: str, path: str) -> None:
        for above in PurePosixPath(path).parents:
            if (self.folder / run_id / above / "MLmodel").is_file():
                raise Conflict(f"a model lies in {above}", code="inside-a-model", hint=None)
        self.writes.append("log_text")
        self.texts[run_id, path] = text

    def rename(self, name: str, new_name: str) -> None:
        """Rename a model; it keeps its tags and when it was made."""
        for kept in (self.known, self.created_ms, self.model_tags):
            if name in kept:
                kept[new_name] = kept.pop(name)  # type: ignore[attr-defined,index]

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


@dataclass
class FakeHistory:
    """A `History` in memory."""

    chains: dict[str, list[Record]] = field(default_factory=dict)
    applied_to: dict[str, int] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)

    def append(self, event: Event, *, after_seq: int) -> Record:
        chain = self.chains.setdefault(event.model_uid, [])
        if after_seq != len(chain):
            won = ", ".join(f"{r.event.kind} of {r.event.model}/{r.version}" for r in chain[after_seq:])
            raise Conflict(f"{event.kind} was overtaken: {won}", code="overtaken", hint=None)
        before = chain[-1].hash if chain else first_hash(event.model_uid)
        chain.append(record_of(event, seq=after_seq + 1, before=before))
        return chain[-1]

    def records(self, model_uid: str) -> tuple[Record, ...]:
        return tuple(self.chains.get(model_uid, ()))

    def walk(self, model_uid: str, *, after_seq: int = 0) -> Iterator[Record]:
        yield from self.records(model_uid)[after_seq:]

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        return tuple(record for record in self.records(model_uid) if record.kind in MOVES)

    def about(self, model_uid: str, version: int) -> tuple[Record, ...]:
        return tuple(record for record in self.records(model_uid) if record.version == version)

    def head(self, model_uid: str) -> Head | None:
        chain = self.chains.get(model_uid)
        return chain[-1].head if chain else None

    def anchors(self, model_uid: str) -> tuple[Head, ...]:
        return ()

    def model_uids(self, *, prefix: str = "", model: str | None = None) -> tuple[str, ...]:
        known = (uid for uid, chain in self.chains.items() if chain and uid.startswith(prefix))
        return tuple(sorted(u for u in known if model is None or any(r.event.model == model for r in self.chains[u])))

    def name_of(self, model_uid: str) -> str | None:
        chain = self.chains.get(model_uid)
        return chain[-1].model if chain else None

    def applied(self, model_uid: str) -> int:
        return self.applied_to.get(model_uid, 0)

    def is_there(self) -> bool:
        return True

    def heads(self, model_uids: Collection[str]) -> dict[str, Head]:
        return {uid: head for uid in model_uids if (head := self.head(uid))}

    def all_heads(self) -> dict[str, Head]:
        return self.heads(list(self.chains))

    def set_applied(self, model_uid: str, seq: int) -> None:
        self.applied_to[model_uid] = max(seq, self.applied(model_uid))

    @contextmanager
    def lock(self, model_uid: str) -> Iterator[None]:
        if model_uid in self.locked:
            raise Unavailable("somebody else changes this model", code="model-locked", hint="retry")
        self.locked.add(model_uid)
        try:
            yield
        finally:
            self.locked.discard(model_uid)


class FakeHeartbeats:
    """`Heartbeats` in memory."""

    def __init__(self) -> None:
        self.said: dict[str, list[Heartbeat]] = {}

    def beat(self, beats: Sequence[Heartbeat]) -> None:
        kept = [heartbeat_from(beat.to_document()) for beat in beats]
        silent_since = max(beat.at for beat in kept) - FORGOTTEN_AFTER
        self.said = {name: some for name, some in self.said.items() if all(beat.at >= silent_since for beat in some)}
        self.said |= {beat.engine: [each for each in kept if each.engine == beat.engine] for beat in kept}

    def leave(self, engine: str) -> None:
        self.said.pop(engine, None)

    def all(self) -> tuple[Heartbeat, ...]:
        every = [beat for beats in self.said.values() for beat in beats]
        return tuple(sorted(every, key=lambda beat: (beat.model, beat.stage, beat.engine, beat.variant)))


class FakeClaims:
    """`Claims` in memory."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    def claim(self, engine: str, user: str) -> str:
        return self.owners.setdefault(engine, user)

    def owner(self, engine: str) -> str | None:
        return self.owners.get(engine)

    def release(self, engine: str) -> None:
        self.owners.pop(engine, None)


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


@dataclass
class FakeCopies:
    """A server's own `Copies`, of which only where they lie is known."""

    made: dict[tuple[str, str], str] = field(default_factory=dict)

    def find(self, logged: str, digest: str) -> str | None:
        return self.made.get((logged, digest))

    def keep(self, logged: str, digest: str, what: str, stored_files: Callable[[str], Path]) -> None:
        self.made.setdefault((logged, digest), f"{logged}/copy")


def as_mlflow_does(folder: Path) -> AbstractContextManager[tuple[()]]:
    """Open a model in an engine that would run it by MLflow's own code, so that nothing has to be asked."""
    return nullcontext(())
