"""What is not as it should be, in words for people."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What could not be told or done about a model, or about none in particular, and what to do."""

    model: str | None
    problem: str
    hint: str | None
