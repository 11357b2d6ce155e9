"""What the API is asked, field by field; unknown fields are refused. It answers with what `decisions.decisions` has.

Whatever a database could not be asked for, or could not keep, ends here: 400, with what it is.
"""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from slipway.registry.engines.heartbeats import STABLE
from slipway.registry.errors import InvalidInput
from slipway.registry.ledger.identity import require_uid
from slipway.registry.text import DETAILS_CHARACTERS, REASON_CHARACTERS, require_name, require_storable
from slipway.registry.version import LARGEST_NUMBER, parse_ref

LARGEST_COUNT = 2**53  # what a JSON number holds exactly, everywhere
FINDINGS_AT_MOST = 200
BEATS_AT_MOST = 1_000
ENGINE_CHARACTERS = 200


def _numbered(text: str) -> str:
    if parse_ref(text).number is None:
        raise InvalidInput("a verdict is about a version's number: churn/5", code="not-a-version", hint=None)
    return text


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("a time is no ISO 8601 time", code="not-a-time", hint="2026-11-01T12:00:00+00:00") from None
    return text


def _plain(text: str, what: str) -> str:
    require_storable({what: text}, "the request")
    return text


def _details(found: dict[str, Any]) -> dict[str, Any]:
    require_storable(found, "the details of a finding")
    if len(json.dumps(found)) > DETAILS_CHARACTERS:
        raise InvalidInput(
            f"the details of a finding have more than {DETAILS_CHARACTERS:,} characters as JSON",
            code="text-too-long",
            hint="log them as an artifact, and name it",
        )
    return found


Name = Annotated[str, AfterValidator(partial(require_name, what="a name in the request"))]
Uid = Annotated[str, AfterValidator(require_uid)]
Number = Annotated[int, Field(ge=1, le=LARGEST_NUMBER, strict=True)]
NumberInQuery = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
EventNumber = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
Words = Annotated[str, Field(max_length=REASON_CHARACTERS)]
Given = Annotated[Words, Field(min_length=1)]  # an empty one is not taken for none
Prefix = Annotated[Words, AfterValidator(partial(_plain, what="the prefix"))]
Engine = Annotated[Name, Field(max_length=ENGINE_CHARACTERS)]
Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=-LARGEST_COUNT, le=LARGEST_COUNT, strict=True)]
Flag = Annotated[bool, Field(strict=True)]  # 0 is not taken for a dry run that is not wanted


class Body(BaseModel):
    """What every request says: who asks, where the server knows no users, and which policy is in force there."""

    model_config = ConfigDict(extra="forbid")

    actor: Name | None = Field(default=None, description="Who asks; recorded as unverified, ignored for known users.")
    policy_digest: Words | None = Field(default=None, description="The model's policy as the client has it.")


class Reasoned(Body):
    """A request that is recorded for good, with its reason."""

    reason: str


class DecisionBody(Reasoned):
    """A decision; a dry run tells what it would change."""

    dry_run: Flag = False


class HeartbeatBody(BaseModel):
    """What an engine says of one variant of a target; times as ISO 8601."""

    model_config = ConfigDict(extra="forbid")

    engine: Engine
    model: Name
    stage: Name
    version: Number | None
    since: Moment | None
    at: Moment
    runner: Annotated[Name, Field(max_length=40)] | None
    address: Annotated[Words, Field(max_length=400)]
    problem: Words | None
    variant: Annotated[Name, Field(max_length=40)] = STABLE


class BeatsBody(BaseModel):
    """An engine's word on all of its targets."""

    model_config = ConfigDict(extra="forbid")

    beats: list[HeartbeatBody] = Field(min_length=1, max_length=BEATS_AT_MOST)


class LeaveBody(BaseModel):
    """An engine that stops."""

    model_config = ConfigDict(extra="forbid")

    engine: Engine


class FindingBody(BaseModel):
    """What one check found."""

    model_config = ConfigDict(extra="forbid")

    check: Name
    outcome: Literal["PASS", "INCONCLUSIVE", "ERROR", "FAIL"]
    reason: Words
    measured: Count | float | Words | None = None
    limit: Count | float | Words | None = None
    direction: Words | None = None
    n: Count | None = None
    details: Annotated[dict[str, Any], AfterValidator(_details)] = Field(default_factory=dict)


class VerdictBody(Body):
    """What was assessed: the whole outcome is that of the findings."""

    version: Annotated[str, AfterValidator(_numbered)] = Field(examples=["churn/5"])
    stage: Name
    outcome: Words | None = None
    at: Moment = Field(description="When it was assessed; recorded is the server's time.")
    champion: Number | None
    digests: dict[Name, Words] = Field(max_length=50)
    findings: list[FindingBody] = Field(min_length=1, max_length=FINDINGS_AT_MOST)


class ApprovalBody(Reasoned):
    """An approval of a version for a stage."""

    version: str
    stage: Name


class ManifestFileBody(BaseModel):
    """A file of a manifest."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS)]
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


MANIFEST = TypeAdapter(list[ManifestFileBody])


class RegistrationBody(Reasoned):
    """A version to be recorded; without a manifest, with its files as the server finds them."""

    version: str
    manifest: str | None = None


class ImageBody(BaseModel):
    """What an image is that was made of a version."""

    model_config = ConfigDict(extra="forbid")

    name: Words
    digest: Digest
    config: Digest
    manifest: Digest
    platform: Name
    base: Words | None


class PackagingBody(Body):
    """An image of a version, to be recorded; `override` is why it was made although no gate passed the version."""

    version: str
    override: str | None = None
    image: ImageBody


class PromotionBody(DecisionBody):
    """A move into a stage on a recorded verdict: the one with the number, else the last that counts.

    `verdict` is for a dry run on one that nobody recorded.
    """

    version: str
    stage: Name
    override: str | None = None
    verdict_seq: Number | None = None
    verdict: VerdictBody | None = None


class RollbackBody(DecisionBody):
    """A way back, in the last stage unless another is named."""

    model: Name
    stage: Name | None = None
    from_version: Number | None = None
    to_version: Number | None = None
    skip_damaged: Flag = False


class AdoptionBody(DecisionBody):
    """The takeover of a version that has a stage's alias: `churn@production`."""

    version: str


class DemotionBody(DecisionBody):
    """A move out of a stage, into a lower one or none."""

    version: str
    to: Name | None = None


class ArchivalBody(DecisionBody):
    """A ruling that nothing goes back to a version."""

    version: str
