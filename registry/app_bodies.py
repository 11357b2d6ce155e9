"""What the API is asked, field by field; unknown fields are refused. Its answers are values of `registry.decisions`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """What every request says: who asks, where the server knows no users, and which policy is in force there."""

    model_config = ConfigDict(extra="forbid")

    actor: str | None = Field(default=None, description="Who asks; recorded as unverified, ignored for known users.")
    policy_digest: str | None = Field(default=None, description="The model's policy as the client has it.")


class Reasoned(Body):
    """A request that is recorded for good, with its reason."""

    reason: str


class Decided(Reasoned):
    """A decision; a dry run tells what it would change."""

    dry_run: bool = False


class HeartbeatBody(BaseModel):
    """What an engine says of one target; times as ISO 8601."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    model: str
    stage: str
    version: int | None
    since: str | None
    at: str
    runner: str | None
    address: str
    problem: str | None


class BeatsBody(BaseModel):
    """An engine's word on all of its targets."""

    model_config = ConfigDict(extra="forbid")

    beats: list[HeartbeatBody] = Field(min_length=1)


class LeaveBody(BaseModel):
    """An engine that stops."""

    model_config = ConfigDict(extra="forbid")

    engine: str


class FindingBody(BaseModel):
    """What one check found."""

    model_config = ConfigDict(extra="forbid")

    check: str
    outcome: Literal["PASS", "INCONCLUSIVE", "ERROR", "FAIL"]
    reason: str
    measured: int | float | str | None = None
    limit: int | float | str | None = None
    direction: str | None = None
    n: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class VerdictBody(Body):
    """What was assessed: the whole outcome is that of the findings."""

    version: str = Field(examples=["churn/5"])
    stage: str
    outcome: str | None = None
    at: str = Field(description="When it was assessed; recorded is the server's time.")
    champion: int | None
    digests: dict[str, str]
    findings: list[FindingBody] = Field(min_length=1)


class ApprovalBody(Reasoned):
    """An approval of a version for a stage."""

    version: str
    stage: str


class RegistrationBody(Reasoned):
    """A version to be recorded; without a manifest, with its files as the server finds them."""

    version: str
    manifest: str | None = None


class PromotionBody(Decided):
    """A move into a stage on a recorded verdict: the one with the number, else the last that counts.

    `verdict` is for a dry run on one that nobody recorded.
    """

    version: str
    stage: str
    override: str | None = None
    verdict_seq: int | None = None
    verdict: VerdictBody | None = None


class RollbackBody(Decided):
    """A way back, in the last stage unless another is named."""

    model: str
    stage: str | None = None
    from_version: int | None = None
    to_version: int | None = None
    skip_damaged: bool = False


class AdoptionBody(Decided):
    """The takeover of a version that has a stage's alias: `churn@production`."""

    version: str


class DemotionBody(Decided):
    """A move out of a stage, into a lower one or none."""

    version: str
    to: str | None = None


class ArchivalBody(Decided):
    """A ruling that nothing goes back to a version."""

    version: str
