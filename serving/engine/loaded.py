"""A version that is open in this process."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from slipway.serving.engine.metrics import Tally
from slipway.serving.engine.model_threads import PREDICTING_THREADS, ModelThreads
from slipway.serving.engine.outcome import MadeBy
from slipway.serving.runtimes.runner import Runner
from slipway.serving.target import STABLE, Target

INLINE_ROW_S = 0.0005


@dataclass(slots=True, eq=False)
class Loaded:
    """A version that is open in this process: the step's LoadedModel.

    `decoders` is a protocol's name → what it compiled of the signature; nobody else reads it. `since` is when the
    version began to serve. `is_recorded` is false where an alias alone put it there; every answer says so then.
    """

    target: Target
    number: int
    digest: str
    folder: Path
    runner: Runner
    decoders: Mapping[str, Any]
    columns: tuple[str, ...]
    variant: str = STABLE
    is_recorded: bool = True
    since: datetime | None = None
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    is_quick: bool = field(init=False)
    is_rowwise: bool = field(init=False)
    threads: ModelThreads = field(init=False)
    made_by: MadeBy = field(init=False)

    def __post_init__(self) -> None:
        """Tell whether a plain request may be answered on the event loop, and together with others."""
        # A model in a process of its own answers one call at a time, when it likes to: nobody else waits for it.
        is_isolated = self.runner.report.kind == "isolated"
        self.is_quick = self.runner.report.one_row_s <= INLINE_ROW_S and not is_isolated
        self.is_rowwise = self.runner.report.is_rowwise
        count = 1 if is_isolated else PREDICTING_THREADS
        self.threads = ModelThreads(f"{self.target.model}/{self.number}", count=count, break_off=self.runner.break_off)
        self.say_recorded(self.is_recorded)

    def say_recorded(self, is_recorded: bool) -> None:
        """Note whether a decision put it where it serves; answers from now on say so."""
        self.is_recorded = is_recorded
        self.made_by = MadeBy(self.target.model, self.number, self.variant, is_recorded)

    def labels(self) -> dict[str, str]:
        """Return the labels of its metrics."""
        target = self.target
        return {"model": target.model, "stage": target.stage, "version": str(self.number), "variant": self.variant}

    def close(self) -> None:
        """Free what it holds, when the requests that it took are answered."""
        self.threads.close(self.runner.close)
