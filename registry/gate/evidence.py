"""What a gate has gathered before any check is made: values and local files, nothing that has to be asked for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from slipway.registry.ledger.events import Event
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.model_registry import Measured, Origin
from slipway.registry.version import Version
from slipway.registry.versions.provenance import Provenance, changes_since, provenance_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A version under test.

    `folder` holds its stored files, which are of an `origin`; `holdout` what its run says of held-out rows, and
    `holdout_digest` names that. `manifest` is what the ledger recorded of its files, and `recorded` what it recorded of
    where it comes from. Each is `None` where there is none; `folder` also where `damage` says what is wrong with it.
    """

    version: Version
    folder: Path | None
    manifest: Manifest | None
    run: Measured
    holdout: Path | None
    holdout_digest: str | None = None
    origin: Origin | None = None
    recorded: Provenance | None = None
    damage: str | None = None

    @property
    def now(self) -> Provenance:
        """Return where it comes from by what the registry says at present."""
        return provenance_of(self.version, self.run, self.origin, self.holdout_digest)

    @property
    def provenance(self) -> Provenance:
        """Return where it comes from: as it was recorded, and only of a version without such a record as it is now."""
        return self.recorded or self.now

    @property
    def absence(self) -> str:
        """Return why there are no files to compare with, in words."""
        return f"{self.version} {'is ' + self.damage if self.damage else 'has no stored files any more'}"

    @property
    def is_registered(self) -> bool:
        """Return whether somebody is on record for it: then its files are."""
        return self.manifest is not None

    @property
    def changes(self) -> tuple[str, ...]:
        """Return what checks use of its run and is not any more what was recorded, in words."""
        return changes_since(self.recorded, self.now) if self.recorded else ()

    @property
    def borrows(self) -> str | None:
        """Return why what its run says is not about this version, in words; `None` where nothing speaks against it."""
        if self.provenance.misfit:
            return f"its run is not its own: {self.provenance.misfit}"
        if self.recorded and self.recorded.run_id and self.recorded.stored_by is None:
            return f"nothing shows that run {self.recorded.run_id} made its files"
        return None

    @property
    def has_its_holdout(self) -> bool:
        """Return whether what its run says of held-out rows is what was recorded; where nothing was, it is."""
        return self.recorded is None or self.recorded.holdout == self.holdout_digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Rows to measure on, stored as Parquet with their target, and where they come from.

    `path` holds them as the candidate reads such data, `champions_path` the same rows as the champion does: what means
    missing is each version's own.

    `held_out` says that they are the candidate's own held-out rows; of rows that the policy names, its author answers
    for whether a version was trained on them.
    """

    path: Path
    champions_path: Path
    target: str
    digest: str
    source: str
    held_out: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What a scoring server did with requests.

    `load_s` from its start to its first answer; `latencies_s` one for each request after some to warm up; `bodies` the
    decoded answers of all. Of these times a processor was waited for `load_waited_s` and `waited_s`, none where the
    system does not tell. `peak_memory_bytes` is `None` where it does not; `problem` says why there are no answers.
    """

    load_s: float
    latencies_s: tuple[float, ...]
    bodies: tuple[Any, ...]
    peak_memory_bytes: int | None
    problem: str | None = None
    load_waited_s: float = 0.0
    waited_s: tuple[float, ...] = ()


class Model(Protocol):
    """A loaded model with scikit-learn's `predict`, maybe `predict_proba` and `classes_`."""

    @property
    def model(self) -> Any:
        """Return what predicts."""

    @property
    def method(self) -> str:
        """Return which of its methods answers callers."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it takes; none where its signature does not name them."""

    @property
    def optional(self) -> frozenset[str]:
        """Return those of them that callers may leave out."""

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the features in the types that its signature declares."""

    def called(self, features: pd.DataFrame) -> Any:
        """Return what callers get who send the features as JSON; `None` where they are refused."""


class Rehearsing(Protocol):
    """A model as the serving engine would have it."""

    @property
    def kind(self) -> str:
        """Return what runs it, in a word."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Return what a request may ask for: `predict`, maybe `predict_proba`."""

    def answer(self, body: bytes) -> Any:
        """Return what callers get for a JSON body; `None` where they are refused."""

    def is_chosen(self, held_out: pd.DataFrame | None) -> bool:
        """Return whether an engine may choose it, which verifies with the version's held-out rows; takes long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What checks use of other packages; each is a function of a module, so that another process finds it.

    `load` loads a model for measuring, `load_as_served` as a scoring server does; `example` returns the stored input
    example; `serve` starts a scoring server on a folder, sends a body some times, and stops it; `rehearse` opens a
    model in all ways in which the serving engine may, in none where MLflow's own code answers there as well;
    `untrusted` returns the types that skops would have to be told to trust to load a file.
    """

    load: Callable[[str], Model]
    load_as_served: Callable[[Path], Any]
    example: Callable[[Path], pd.DataFrame | None]
    serve: Callable[..., Served]
    rehearse: Callable[[Path], AbstractContextManager[Sequence[Rehearsing]]]
    untrusted: Callable[[Path], Sequence[str]]


def _no_tool(*_: object, **__: object) -> Any:
    raise NotImplementedError("no model is loaded here")


NO_TOOLS = Tools(
    load=_no_tool,
    load_as_served=_no_tool,
    example=_no_tool,
    serve=_no_tool,
    rehearse=_no_tool,
    untrusted=_no_tool,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything that checks read.

    `champion` is what the candidate is compared with: the `occupant` of the stage, or what was there last.
    `rows` is (data, target) → rows, or why there are none; (None, None) are the candidate's held-out rows. `events` are
    those about the candidate. `entered_at` is when it entered the stage that it comes from. `is_last` says that no
    stage comes after this one. `own_checks` is the folder of the policy, beside which functions of one's own are found.
    """

    stage: str
    candidate: Subject
    champion: Subject | None
    occupant: int | None
    rows: Mapping[tuple[str | None, str | None], Rows | str]
    events: Sequence[Event]
    entered_at: datetime | None
    policy_digest: str
    promoter: str
    now: datetime
    tools: Tools
    own_checks: Path | None = None
    is_last: bool = False

    @property
    def manifest_digest(self) -> str:
        """Return the name of the candidate's content: as recorded, else as it was read; empty where there is none."""
        candidate = self.candidate
        if candidate.manifest is None and candidate.folder is not None:
            return manifest_of(candidate.folder).digest
        return candidate.manifest.digest if candidate.manifest else ""
