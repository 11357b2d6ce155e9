"""The port through which commands decide: on a ledger of one's own, or at a server that has it.

A server decides under its own policy and for the user that it knows, whatever the one who asks has or says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from slipway.registry.decisions.package import ImageMade
from slipway.registry.decisions.status import Status
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Verdict
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import Situation
from slipway.registry.manifest import Manifest
from slipway.registry.version import Version, VersionRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What was decided about a model's stages, and what followed from it.

    Without `kind` all was so already. `seq` is the event's number; `previous` the version that was replaced; `served`
    has a text for each engine that serves the stage. `notes` say what else is to be known: that the policy here is not
    the server's, that a damaged version was skipped.
    """

    version: str | None
    stage: str | None
    kind: str | None
    verdict: str | None
    seq: int
    previous: int | None
    dry_run: bool
    changes: Sequence[str]
    served: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """What was recorded about a version, and who is on record for it.

    `manifest` names the version's files, `files` counts them, where they were recorded. `first_stage` is where versions
    enter.
    """

    version: str
    stage: str | None
    seq: int
    actor: str
    actor_authenticated: bool
    first_stage: str
    manifest: str | None = None
    files: int | None = None
    notes: Sequence[str] = ()


class Decisions(Protocol):
    """Decides, or has decided, what commands ask for; each raises what `slipway.registry.decisions.promote` does."""

    def status(self) -> Status:
        """Return every stage in use, and what could not be told; what was not applied is applied first."""

    def situation(self, model: str, reading: Ledger) -> Situation:
        """Return how a model stands, after finishing what somebody decided and did not live to apply."""

    def record(self, verdict: Verdict, version: Version) -> Noted:
        """Put a verdict into the ledger, vouching for it."""

    def approve(self, ref: VersionRef, stage: str, reason: str) -> Noted:
        """Approve a version for a stage, as it is and under the policy as it is."""

    def register(self, ref: VersionRef, reason: str, manifest: Manifest | None = None) -> Noted:
        """Record a version with its files: those of the manifest, else as they are stored now."""

    def package(self, ref: VersionRef, made: ImageMade, override: str | None) -> Noted:
        """Record an image of a version, named by number or by a stage; the very same image is recorded once."""

    def promote(self, version: Version, stage: str, reason: str, *, grounds: Grounds | None, dry_run: bool) -> Receipt:
        """Move a version into a stage on the grounds of a verdict; `None` for a version that is there already."""

    def rollback(
        self,
        model: str,
        reason: str,
        *,
        stage: str | None,
        from_version: int | None,
        to_version: int | None,
        skip_damaged: bool,
        dry_run: bool,
    ) -> Receipt:
        """Put back the version that was in a stage before, by default in the last one.

        With `skip_damaged` it goes on to the one before where that is not as it was registered, and says so.
        """

    def adopt(self, ref: VersionRef, reason: str, *, dry_run: bool) -> Receipt:
        """Take over the version that has a stage's alias already."""

    def demote(self, ref: VersionRef, reason: str, *, to: str | None, dry_run: bool) -> Receipt:
        """Take a version out of its stage, into a lower one or into none."""

    def archive(self, ref: VersionRef, reason: str, *, dry_run: bool) -> Receipt:
        """Rule that nothing goes back to a version."""
