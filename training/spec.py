"""What a training run was asked to do: the one place where its parameters are typed and judged.

The field names are the parameter names of the `MLproject` entry points and, with dashes, the options
of `slipway train`; `docs/train.md` lists them.
"""

import enum
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import ColumnType, Decimal, Encoding, Reading, Separator
from slipway.registry.text import can_be_asked_for, cleaned, require_storable

READING = ("sep", "decimal", "encoding", "dtype")
SHOWN_CHARACTERS = 200  # of a wrong value: enough to know it again


class Task(enum.StrEnum):
    """What is predicted: one of several classes, or a number."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


def _none_if_empty(value: object) -> object:
    """MLproject parameters cannot be absent: an empty one means not given."""
    return None if value == "" else value


class Dates(enum.StrEnum):
    """What becomes of columns of dates."""

    IGNORE = "ignore"
    EXPAND = "expand"


def _none_if_auto(value: object) -> object:
    return None if value in ("", "auto") else value


def _from_json(value: object) -> object:
    return parse_json(value or "{}") if isinstance(value, str) else value


def parse_json(text: str) -> object:
    """Return what a text says as JSON.

    Raises
    ------
    ValueError
        It is no JSON, is nested too deeply, or names one thing twice: one of both values would be lost.
    InvalidInput
        It holds what no run could record.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    require_storable({"it": found}, "what is given as JSON")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ValueError(f"'{twice[0]}' is there twice; keep one")
    return dict(pairs)


def _names(value: object) -> object:
    """Return names as they stand between commas, without the spaces around them; or those of a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return parse_json(value)
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def _types(value: object) -> object:
    """Return column → type of `column=type` between commas, or of a JSON object."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return parse_json(value)
    pairs = [pair.rpartition("=") for pair in value.split(",") if pair.strip()]
    if wrong := [kind for name, _, kind in pairs if not name.strip()]:
        raise ValueError(f"'{wrong[0].strip()}' names no column; expected column=string, several with commas between")
    return _once([(name.strip(), kind.strip()) for name, _, kind in pairs])


def _from_list(value: object) -> object:
    words = _names(value)
    if not isinstance(words, tuple):
        return words
    if numbers := [word for word in words if re.fullmatch(r"[+-]?[\d.]+", word)]:
        raise ValueError(f"{numbers[0]} is a number, and a request could not say that it means missing: leave it empty")
    return words


JsonObject = Annotated[dict[str, Any], BeforeValidator(_from_json)]
Column = Annotated[str | None, BeforeValidator(_none_if_empty)]

Words = Annotated[tuple[str, ...], BeforeValidator(_from_list)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Types = Annotated[dict[str, ColumnType], BeforeValidator(_types)]


class TrainSpec(BaseModel):
    """Everything that a training run depends on beside the data's content and the installed versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(
        min_length=1, description="sklearn:NAME, a CSV or Parquet path, s3://…, or sql:CONNECTION:SELECT …"
    )
    target: str = Field(min_length=1, description="the column to predict")
    model: str = Field(min_length=1, description="the registered model's name")
    estimator: str = Field(default="random_forest", min_length=1, description="a short name or a dotted path")
    params: JsonObject = Field(default={}, description="the estimator's parameters, as a JSON object")
    task: Annotated[Task | None, BeforeValidator(_none_if_auto)] = Field(
        default=None, description="classification, regression, or auto: inferred from the target"
    )
    holdout: float = Field(default=0.2, gt=0, lt=1, description="share of rows held out, between 0 and 1")
    key: Column = Field(default=None, description="column that identifies a row, or a group to keep together")
    time_column: Column = Field(default=None, description="hold out the latest rows by this column instead")
    time_format: Column = Field(
        default=None, description="how a text time column is written, as for strptime; inferred without it"
    )
    missing: Words = Field(
        default=(), description="words that mean missing, separated by commas; only an empty field does without it"
    )
    drop: Names = Field(default=(), description="columns to leave out, separated by commas")
    features: Names = Field(default=(), description="the only columns to learn from, separated by commas")
    sep: Annotated[Separator | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="what separates the fields of a CSV file, such as ; or tab; told from it without"
    )
    decimal: Annotated[Decimal | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="the decimal sign of a CSV file, . or a comma; told from it without"
    )
    encoding: Annotated[Encoding | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="the encoding of a CSV file, such as cp1252; told from it without"
    )
    dtype: Types = Field(
        default={},
        description="what columns are read as, separated by commas: column=string, =number or a format of dates",
    )
    dates: Dates = Field(
        default=Dates.IGNORE, description="expand makes features of dates: their parts and their age; else ignore"
    )
    cv: int = Field(
        default=0, ge=0, le=100, description="cross-validation folds on the training rows, at least 2; 0 for none"
    )
    importance_seconds: float = Field(
        default=10, ge=0, allow_inf_nan=False, description="time for the importance of features, the likeliest first"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of everything random")
    serialization: Literal["skops", "cloudpickle"] = Field(default="skops", description="how the model is stored")
    holdout_rows: bool = Field(default=True, description="store the held-out rows with the run; false stores ids only")
    register_version: bool = Field(
        default=True, alias="register", description="register a version of the model when the run succeeds"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_recorded(cls, value: object) -> object:
        if isinstance(value, str) and not can_be_asked_for(value):
            raise ValueError("it holds NUL or bytes that are not UTF-8, and cannot be recorded; write it without")
        return value

    @field_validator("cv")
    @classmethod
    def _folds_to_fit_on(cls, cv: int) -> int:
        if cv == 1:
            raise ValueError("one fold leaves no rows to fit on; expected 0 for none, or 2 to 100")
        return cv

    @model_validator(mode="after")
    def _format_of_a_column(self) -> "TrainSpec":
        if self.time_format and not self.time_column:
            raise ValueError("time_format says how time_column is written, and none is named")
        return self

    @model_validator(mode="after")
    def _one_choice(self) -> "TrainSpec":
        if self.drop and self.features:
            raise ValueError("features names all columns that are learned from, and drop would name others; give one")
        return self

    def reading(self) -> Reading:
        """Return how the data is read."""
        return Reading(
            missing_words=self.missing,
            sep=self.sep,
            decimal=self.decimal,
            encoding=self.encoding,
            dtypes=self.dtype,
        )

    def recorded(self) -> dict[str, Any]:
        """Return the parameters that a run records, as they could be given again; what was not given is left out."""
        given = self.model_dump(by_alias=True, exclude={"params", "task"}, exclude_none=True, mode="json")
        lists = {name: value for name, value in given.items() if isinstance(value, list | dict)}
        return {**given, **{name: _written(value) for name, value in lists.items()}}


def _written(value: Sequence[str] | Mapping[str, str]) -> str:
    """Return names between commas, or columns with their types; as JSON where a name holds what would cut it."""
    plain = [f"{name}={kind}" for name, kind in value.items()] if isinstance(value, Mapping) else list(value)
    cut = any("," in each or each != each.strip() or each.startswith(("[", "{")) for each in plain)
    return json.dumps(value) if cut else ",".join(plain)


def read_otherwise(reading: Reading, given: Mapping[str, str | None]) -> Reading:
    """Return a reading with those parameters of `READING` that are given; raises as `parse_spec`."""
    said = {name: value for name, value in given.items() if value is not None}
    spec = parse_spec({"data": "-", "target": "-", "model": "-", **said})
    found = {name: value for name in ("sep", "decimal", "encoding") if (value := getattr(spec, name))}
    return reading.changed(**found, dtypes={**reading.dtypes, **spec.dtype})


def parse_spec(parameters: Mapping[str, object]) -> TrainSpec:
    """Return the spec that the given parameters describe.

    Raises
    ------
    InvalidInput
        One line that names every wrong parameter, what was given and what is expected.
    """
    try:
        return TrainSpec.model_validate(dict(parameters))
    except ValidationError as error:
        wrong = "; ".join(_one_wrong(problem) for problem in error.errors())
        raise InvalidInput(f"wrong parameters: {wrong}", code="wrong-parameters", hint="slipway train --help") from None


def _one_wrong(problem: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if not name:
        return str(problem["msg"]).removeprefix("Value error, ")
    given = cleaned(repr(problem["input"]), SHOWN_CHARACTERS)
    return f"{name}={given}: {problem['msg'].removeprefix('Value error, ')}"
