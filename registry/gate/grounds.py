"""What a promotion rests on: a verdict, and who vouches for it."""

from dataclasses import dataclass

from slipway.registry.gate.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounds:
    """What a promotion rests on: the verdict, its number in the ledger, and why it is overridden, if it is.

    `by` is who vouches for the verdict. One that nobody recorded has no number: it is for a dry run.
    """

    verdict: Verdict
    seq: int | None
    by: str
    override: str | None = None
