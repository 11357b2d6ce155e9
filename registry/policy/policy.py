"""The policy: stages in order, what must hold before a version enters one, and what differs for single models.

`promotion.yaml` is read by `slipway.registry.settings`' rules of strictness: an unknown key is refused with the nearest
known one. Without a file, `DEFAULT` applies. What a decision rests on is the *effective policy of its model*: defaults
and that model's own settings merged, named by a digest.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from slipway.registry.errors import InvalidInput
from slipway.registry.nearest import did_you_mean
from slipway.registry.signature import Acceptable
from slipway.registry.stages import require_stage_names

ANYWHERE = "any"
OF_A_DIGEST = {"for": "digest"}
DAY_S = 86_400
MOST_MB = 2**24  # 16 TiB
Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "mae",
    "rmse",
    "pinball",
]
# No two values of these lie further apart than 1, nor of log_loss than what a probability of 0.002 costs.
FARTHEST: Mapping[Metric, float] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision", "brier"), 1.0),
    "log_loss": -math.log(0.002),
}


def _require_once(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    twice = [name for i, name in enumerate(names or ()) if name in (names or ())[:i]]
    if twice:
        raise ValueError(f"'{twice[0]}' is there twice")
    return names


Name = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
Variable = Annotated[str, Field(pattern=r"^[^=\x00]+$")]
Once = AfterValidator(_require_once)


class Strict(BaseModel):
    """A part of the policy: frozen, without keys that nobody knows, and with limits that are numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `margin: yes`, which would be taken for 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (wanted, *get_args(wanted)):
            raise ValueError(f"{str(value).lower()} is a truth value, and something else is wanted here")
        return value


class Rule(Strict):
    """What every check has: how long it may take, and what its process may have.

    `network` lets it reach more than loopback, `environment` names variables that it gets beside the harmless ones.
    `max_memory_mb` and `max_processes` bound it and all that it starts, while it runs.
    """

    added: ClassVar[frozenset[str]] = frozenset({"network", "environment", "max_memory_mb", "max_processes"})
    writes_files: ClassVar[bool] = False

    timeout_s: float = Field(default=300, gt=0, le=DAY_S)
    network: bool = False
    environment: Annotated[tuple[Variable, ...], Once] = ()
    max_memory_mb: float = Field(default=8192, gt=0, le=MOST_MB)
    max_processes: int = Field(default=512, ge=1, le=100_000)

    @model_serializer(mode="wrap")
    def _demanded(self, serialized: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Leave keys that were added later and are not used out of a digest: what was decided before still holds."""
        shown: dict[str, Any] = serialized(self)
        if info.context != OF_A_DIGEST:
            return shown
        fields = type(self).model_fields
        return {key: value for key, value in shown.items() if not self._is_as_before(key, fields)}

    def _is_as_before(self, key: str, fields: Mapping[str, FieldInfo]) -> bool:
        return key in self.added and getattr(self, key) == fields[key].default


class Limit(Strict):
    """Bounds of a metric that the version's run recorded; a value on a bound is within it."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"nothing is at least {self.min:g} and at most {self.max:g}")
        return self


class MetricRule(Rule):
    """Metrics of the version's run within limits: `{holdout_accuracy: {min: 0.9}}`."""

    limits: Mapping[Name, Limit] = Field(min_length=1)


class RowsRule(Rule):
    """Rows to measure on: the candidate's own held-out rows, or a dataset that the policy names."""

    data: Name | None = None
    target: Name | None = None
    min_rows: int = Field(default=30, ge=10, le=1_000_000_000)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.data is None) != (self.target is None):
            raise ValueError("data and target are given together")
        return self


class ChampionRule(RowsRule):
    """Not worse than the version in the stage by more than a margin, or better with `superiority`.

    `metric` is chosen by the rows where it is not given, `margin` by the metric; `relative_margin` is a share of the
    champion's own value. `confidence` is that of each end of the interval. `quantile` is what the metric `pinball`
    measures. `output` names the column that is compared of models that answer with a table. `constant` says whether it
    has to be better than a constant, too; without it, it has to in the last stage.
    """

    metric: Metric | None = None
    margin: float | None = Field(default=None, gt=0)
    relative_margin: float | None = Field(default=None, gt=0, lt=1)
    superiority: bool = False
    confidence: float = Field(default=0.95, gt=0.5, le=0.9999)
    quantile: float | None = Field(default=None, gt=0, lt=1)
    output: Name | None = None
    constant: bool | None = None
    added: ClassVar[frozenset[str]] = Rule.added | {"quantile", "output", "constant"}

    @model_validator(mode="after")
    def _one_margin(self) -> Self:
        _require_one_margin(self)
        return self


class SlicesRule(RowsRule):
    """No slice worse than the champion's by more than a margin; a slice is a value of a column, or a bin of numbers.

    `metric` is chosen by the rows where it is not given; else as for `champion`. `coverage` is the share of the rows
    that have to be in slices which are large enough to be judged, for each column.
    """

    columns: Annotated[tuple[Name, ...], Once] = Field(min_length=1)
    bins: int = Field(default=4, ge=2, le=20)
    margin: float | None = Field(default=None, gt=0)
    relative_margin: float | None = Field(default=None, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, le=0.9999)
    metric: Metric | None = None
    quantile: float | None = Field(default=None, gt=0, lt=1)
    output: Name | None = None
    coverage: float = Field(default=0.5, gt=0, le=1)
    added: ClassVar[frozenset[str]] = Rule.added | {"metric", "quantile", "output", "coverage"}

    @model_validator(mode="after")
    def _one_margin(self) -> Self:
        _require_one_margin(self)
        return self


def _require_one_margin(rule: ChampionRule | SlicesRule) -> None:
    if rule.margin is not None and rule.relative_margin is not None:
        raise ValueError("give margin or relative_margin, not both")
    if (rule.metric == "pinball") != (rule.quantile is not None):
        raise ValueError("metric: pinball and quantile are given together")
    if rule.metric and rule.margin and (why := without_effect(rule.metric, rule.margin)):
        raise ValueError(why)


def without_effect(metric: Metric, margin: float) -> str | None:
    """Return why a margin would let every candidate pass, where it would."""
    farthest = FARTHEST.get(metric)
    if farthest is None or margin < farthest:
        return None
    return (
        f"no {metric} is worse than another by more than {farthest:.4g}, so that a margin of {margin:g} forbids nothing"
    )


class ContractRule(Rule):
    """The signature still takes what the champion's took, and answers of the same form.

    `accept` names changes that are accepted all the same: `input_order`, where no caller sends values by place.
    `retire` names inputs that may be gone: who still sends them is answered without.
    """

    accept: Annotated[tuple[Acceptable, ...], Once] = ()
    retire: Annotated[tuple[Name, ...], Once] = ()
    added: ClassVar[frozenset[str]] = Rule.added | {"accept", "retire"}


class ServableRule(Rule):
    """It can be served, and answers within budgets as the model itself does.

    `server` is what serves it: Slipway's engine as `slipway serve` runs it, or MLflow's scoring server.
    """

    server: Literal["engine", "mlflow"] = "engine"
    requests: int = Field(default=20, ge=1, le=100_000)
    p99_ms: float = Field(default=1000, gt=0, le=1000 * DAY_S)
    memory_mb: float = Field(default=4096, gt=0, le=MOST_MB)
    load_s: float = Field(default=120, gt=0, le=DAY_S)

    added: ClassVar[frozenset[str]] = Rule.added | {"server"}


class ArtifactRule(Rule):
    """Stored files are those that were registered, in formats that may be loaded.

    `allow` lists formats that run code when they are loaded, or are not proved to run none (`unproven`), and are
    accepted all the same.
    """

    allow: Annotated[
        tuple[Literal["pickle", "cloudpickle", "torch", "code", "unreviewed", "unknown", "unproven"], ...], Once
    ] = ()


class LineageRule(Rule):
    """Where the version comes from is recorded."""

    require: Annotated[tuple[Literal["run", "data", "git_commit", "clean_tree"], ...], Once] = Field(
        default=("run", "data"), min_length=1
    )


class SoakRule(Rule):
    """It has been in the stage before for some time."""

    hours: float = Field(gt=0, le=87_600)


class ApprovalRule(Rule):
    """Others have approved it: neither its author nor the promoter."""

    count: int = Field(default=1, ge=1, le=1000)
    authenticated: bool = False


class OwnRule(RowsRule):
    """One's own check: a command that reads JSON and answers JSON, or an entry point `module:function`."""

    writes_files: ClassVar[bool] = True

    command: tuple[Name, ...] | None = Field(default=None, min_length=1)
    entry_point: str | None = Field(default=None, pattern=r"^[\w.]+:[\w.]+$")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.command is None) == (self.entry_point is None):
            raise ValueError("give command or entry_point")
        return self


class Checks(Strict):
    """The checks of a stage; one that is absent is not made."""

    artifact: ArtifactRule | None = None
    lineage: LineageRule | None = None
    contract: ContractRule | None = None
    servable: ServableRule | None = None
    metric: MetricRule | None = None
    champion: ChampionRule | None = None
    slices: SlicesRule | None = None
    soak: SoakRule | None = None
    approval: ApprovalRule | None = None
    own: Mapping[Name, OwnRule] = Field(default_factory=dict)

    def rules(self) -> dict[str, Rule]:
        """Return name → rule of the checks that are to be made."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name != "own"}
        return {name: rule for name, rule in named.items() if rule is not None} | dict(self.own)

    @field_validator("own")
    @classmethod
    def _names_of_their_own(cls, own: Mapping[str, OwnRule]) -> Mapping[str, OwnRule]:
        if taken := sorted(set(own) & set(cls.model_fields)):
            raise ValueError(f"'{taken[0]}' is a built-in check's name")
        return own


class Roles(Strict):
    """Who may do what for a stage, on a server that knows its users; without a list, who may edit the model there.

    `assess` records verdicts, `approve` approvals; `promote` moves versions in and out, `override` past a verdict.
    `engine` says what it serves.
    """

    assess: Annotated[tuple[Name, ...] | None, Once] = None
    approve: Annotated[tuple[Name, ...] | None, Once] = None
    promote: Annotated[tuple[Name, ...] | None, Once] = None
    override: Annotated[tuple[Name, ...] | None, Once] = None
    engine: Annotated[tuple[Name, ...] | None, Once] = None


class StagePolicy(Strict):
    """A stage: where a version comes from, what must hold, and whether a refusal can be overridden.

    `enter_from` is the stage before, unless it is given; `any` lets a version in from everywhere. `verdict_by` names
    those whose verdicts count, where not everybody's do: the account of the CI.
    """

    enter_from: tuple[str, ...] | Literal["any"] | None = None
    checks: Checks
    allow_override: bool = False
    verdict_by: Annotated[tuple[Name, ...] | None, Once] = Field(default=None, min_length=1)
    roles: Roles = Roles()

    @field_validator("enter_from", mode="before")
    @classmethod
    def _one_or_more(cls, enter_from: Any) -> Any:
        return (enter_from,) if isinstance(enter_from, str) and enter_from != ANYWHERE else enter_from

    @field_validator("checks")
    @classmethod
    def _not_empty(cls, checks: Checks) -> Checks:
        if not checks.rules():
            raise ValueError("a stage without checks would let everything pass; name at least one")
        return checks


class Policy(Strict):
    """Stages in their order, for one model."""

    stages: Mapping[str, StagePolicy]

    @field_validator("stages")
    @classmethod
    def _usable_names(cls, stages: Mapping[str, StagePolicy]) -> Mapping[str, StagePolicy]:
        require_stage_names(tuple(stages))
        return stages

    @model_validator(mode="after")
    def _known_sources(self) -> Self:
        for name, stage in self.stages.items():
            for source in stage.enter_from if isinstance(stage.enter_from, tuple) else ():
                if source not in self.stages:
                    raise ValueError(f"{name} is entered from '{source}', which is no stage")
        return self

    @model_validator(mode="after")
    def _ways_in(self) -> Self:
        """Refuse a stage that is entered only from itself or from above: a promotion leads up, and never there."""
        below: set[str] = set()
        for name in self.names:
            sources = self.sources_of(name)
            if sources and below.isdisjoint(sources):
                raise ValueError(
                    f"{name} is entered from {' or '.join(sources)} alone, which is not before it, so that nothing "
                    f"could ever enter; name a stage before {name}, or any, or leave enter_from out"
                )
            below.add(name)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Return the stages' names in order."""
        return tuple(self.stages)

    @property
    def digest(self) -> str:
        """Return `sha256:…` of everything that the policy demands; who serves has no part in any verdict."""
        demanded = self.model_dump(
            mode="json", context=OF_A_DIGEST, exclude={"stages": {"__all__": {"roles": {"engine"}}}}
        )
        text = json.dumps(demanded, sort_keys=False, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def sources_of(self, stage: str) -> tuple[str, ...] | None:
        """Return the stages from which a version may enter, none for the first; `None` where it may from anywhere."""
        given = self.stages[stage].enter_from
        if given == ANYWHERE:
            return None
        if isinstance(given, tuple):
            return given
        place = self.names.index(stage)
        return self.names[place - 1 : place]


DEFAULT: Mapping[str, Any] = {
    "stages": {
        "staging": {"checks": {"artifact": {}, "lineage": {}, "contract": {}, "servable": {}}},
        "production": {"checks": {"artifact": {}, "contract": {}, "champion": {}}},
    }
}


class PolicyBook:
    """All policies: the file's, or the default one, with what differs for single models."""

    def __init__(self, document: Mapping[str, Any], *, source: str) -> None:
        """Take a parsed document.

        Raises
        ------
        InvalidInput
            Something in it is wrong, for the defaults or for any model; all of it is said at once.
        """
        self.source = source
        self._document = document
        unknown = [key for key in document if key not in ("stages", "models")]
        if unknown:
            near = did_you_mean(str(unknown[0]), ("stages", "models"))
            raise wrong_policy(source, [f"'{unknown[0]}' is unknown{near}"])
        for part in ("stages", "models"):
            if not isinstance(document.get(part) or {}, dict):
                raise wrong_policy(source, [f"{part} is no mapping of names; got {document[part]!r}"])
        if gaps := list(_empty_checks(document["stages"])):
            raise wrong_policy(source, [f"stages.{gap} is empty; write {{}} for its defaults" for gap in gaps])
        self._default = _parse(document, None, source)
        self.models = tuple(document.get("models") or {})
        if odd := [name for name in self.models if not _may_be_a_name(name)]:
            said = "no model is called so, and each has a name of its own here: without spaces around it, / : @ or *"
            raise wrong_policy(source, [f"models.{name!r}: {said}" for name in odd])
        self._by_model = {model: _parse(document, model, source) for model in self.models}

    @property
    def document(self) -> Mapping[str, Any]:
        """Return what was parsed, for another process that is to have the same policies."""
        return self._document

    @property
    def default(self) -> Policy:
        """Return the policy of models that are not named."""
        return self._default

    def of(self, model: str) -> Policy:
        """Return the effective policy of a model."""
        return self._by_model.get(model, self._default)


def default_policy() -> PolicyBook:
    """Return the policies that apply where there is no file."""
    return PolicyBook(DEFAULT, source="the default policy")


def _parse(document: Mapping[str, Any], model: str | None, source: str) -> Policy:
    own = ((document.get("models") or {}).get(model) or {}) if model else {}
    where = f"models.{model}" if model else "stages"
    if not isinstance(own, dict):
        raise wrong_policy(source, [f"{where} is no mapping of stages"])
    if unknown := [stage for stage in own if stage not in document["stages"]]:
        near = did_you_mean(str(unknown[0]), document["stages"])
        raise wrong_policy(source, [f"{where}.{unknown[0]} is no stage{near}"])
    merged = _merged(document["stages"], own)
    try:
        return Policy.model_validate({"stages": merged})
    except ValidationError as error:
        raise wrong_policy(source, [_one_wrong(problem, where) for problem in error.errors()]) from None


def _may_be_a_name(model: str) -> bool:
    """Return whether a model can be meant: what is said of one that is only nearly called so would hold for none."""
    return model == model.strip() and model.isprintable() and not set(model) & set("/:@*")


def _empty_checks(stages: Mapping[str, Any]) -> Iterator[str]:
    """Return the checks that are named without anything after the colon: they would not be made, and nobody told."""
    for name, stage in stages.items():
        checks = stage.get("checks") if isinstance(stage, dict) else None
        for check, rule in checks.items() if isinstance(checks, dict) else ():
            if rule is None:
                yield f"{name}.checks.{check}"


INSTEAD = (("margin", "relative_margin"), ("relative_margin", "margin"))


def _merged(below: Any, above: Any) -> Any:
    """Return both mappings as one; `null` above takes away what is below, and so does what stands in its place."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    replaced = {other for one, other in INSTEAD if above.get(one) is not None and above.get(other) is None}
    gone = replaced | {key for key, value in above.items() if value is None}
    kept = {key: value for key, value in below.items() if key not in gone}
    return {**kept, **{key: _merged(below.get(key), value) for key, value in above.items() if value is not None}}


def _one_wrong(problem: Mapping[str, Any], where: str) -> str:
    path = [str(part) for part in problem["loc"] if part != "stages"]
    if problem["type"] == "extra_forbidden":
        return f"{where}.{'.'.join(path)} is unknown{did_you_mean(path[-1], _known_beside(path))}"
    said = "should be a mapping" if problem["type"] == "model_type" else problem["msg"].removeprefix("Value error, ")
    got = "" if isinstance(problem["input"], dict) else f"; got {problem['input']!r}"
    return f"{'.'.join([where, *path])}: {said}{got}"


def _known_beside(path: list[str]) -> list[str]:
    """Return the keys that are known where an unknown one was found."""
    kind: type[BaseModel] = Roles if "roles" in path[:-1] else StagePolicy
    if "checks" in path[:-1]:
        after = path[path.index("checks") + 1 : -1]
        kind = Checks
        for name in after:
            annotation = OwnRule if name not in Checks.model_fields else Checks.model_fields[name].annotation
            parts = getattr(annotation, "__args__", (annotation,))
            kind = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), kind)
    return list(kind.model_fields)


def wrong_policy(source: str, problems: list[str]) -> InvalidInput:
    """Return the error that says what of a policy is wrong."""
    return InvalidInput(
        f"wrong policy in {source}: {'; '.join(problems)}",
        code="wrong-policy",
        hint=f"correct it, then: slipway policy check {quote(source)}",
    )
