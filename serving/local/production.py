"""The versions that `slipway up` runs scoring servers for: those that the history put there, as an engine has it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from slipway.registry.errors import NotApproved, NotFound
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.version import Version, VersionRef
from slipway.registry.versions.occupants import StageView, StageViews
from slipway.serving.supervision.following import Seen, seen_of
from slipway.serving.target import Target

UNRECORDED = "an alias put it there, and no decision"


class InProduction:
    """Looks at a stage of all models, and says what is not as it was decided, each time that changes.

    A model that had a version there is looked at from then on, also when its alias is gone. One that cannot be looked
    at keeps the version that it had.
    """

    def __init__(
        self, stage: str, stage_views: StageViews, registry: ModelRegistry, *, say: Callable[[str], None]
    ) -> None:
        self._stage = stage
        self._stage_views = stage_views
        self._registry = registry
        self._say = say
        self._models: set[str] = set()
        self._said: dict[str, str | None] = {}
        self._seen: dict[str, Version | None] = {}

    def __call__(self) -> Sequence[Version]:
        """Return the versions to serve now, ordered by model."""
        self._models.update(self._stage_views.models_with(self._stage))
        placed = self._stage_views.look([(model, self._stage) for model in self._models])
        return [version for model in sorted(self._models) if (version := self._version(model, placed)) is not None]

    def _version(self, model: str, placed: Mapping[tuple[str, str], StageView]) -> Version | None:
        target = Target(model, self._stage)
        seen = seen_of(target, placed.get((model, self._stage)), require_history=False)
        if seen.sighting is not None:
            try:
                self._seen[model] = self._registry.version(VersionRef(model=model, number=seen.sighting.number))
            except (NotApproved, NotFound) as error:
                seen = replace(seen, trouble=f"{model}/{seen.sighting.number} cannot be read: {error.message}")
        elif seen.trouble is None:
            self._seen[model] = None
        self._tell(target, seen)
        return self._seen.get(model)

    def _tell(self, target: Target, seen: Seen) -> None:
        said = seen.trouble or seen.withheld or seen.dispute or (None if seen.is_recorded else UNRECORDED)
        if said != self._said.get(target.model):
            self._said[target.model] = said
            if said:
                self._say(f"warning: {target}: {said}")
