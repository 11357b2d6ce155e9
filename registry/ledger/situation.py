"""How a model stands: what the ledger says of its stages, what the registry shows, and what the policy asks."""

from dataclasses import dataclass, replace
from shlex import quote

from slipway.registry.errors import Conflict
from slipway.registry.ledger.chain import Head, Record
from slipway.registry.ledger.identity import uid_of
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.model_state import ModelState, fold, last_out_of
from slipway.registry.policy.policy import Policy
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.version import Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """A model as a decision finds it: what the ledger says, what the registry shows, and the policy.

    `moves` are the records that moved a version. `gone` has the versions that are in a stage by the ledger, or were
    before a deleted one, and that the registry has no more. `unapplied` says what the ledger demands and the registry
    did not take.
    """

    model: RegisteredModel
    model_uid: str
    head: Head | None
    moves: tuple[Record, ...]
    state: ModelState
    policy: Policy
    gone: frozenset[int] = frozenset()
    unapplied: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self.model.name

    @property
    def seq(self) -> int:
        """Return the number of the last event, 0 before the first."""
        return self.head.seq if self.head else 0

    def holder(self, stage: str) -> int | None:
        """Return the version that has the stage's alias in the registry."""
        return self.model.aliases.get(stage)

    def occupant(self, stage: str) -> int | None:
        """Return the version that is in the stage by the ledger; a deleted one is in none."""
        there = self.state.stages.get(stage)
        return there.version if there and there.version not in self.gone else None

    def predecessors(self, stage: str) -> tuple[int, ...]:
        """Return whom a candidate has to stand beside where nothing is in the stage any more, the last one first.

        None where the stage never was filled, or its version went on to a later one. Else taking it out would be a way
        past every comparison.
        """
        out = last_out_of(self.moves, stage)
        if stage not in self.state.stages and (out is None or self._is_later(out[1], stage)):
            return ()
        earlier = [number for number in reversed(self.state.stacks.get(stage, ())) if number not in self.gone]
        return tuple(dict.fromkeys([*(out[:1] if out else ()), *earlier]))

    def _is_later(self, stage: str | None, than: str) -> bool:
        names = list(self.policy.names)
        return stage in names and than in names and names.index(stage) > names.index(than)

    def before(self, stage: str) -> int | None:
        """Return the version to go back to that is not known to be deleted."""
        return next((number for number in reversed(self.state.earlier(stage)) if number not in self.gone), None)


def look(model: str, ledger: Ledger) -> Situation:
    """Return how a model stands, changing nothing."""
    return situation_of(ledger.registry.model(model), ledger)


def situation_of(found: RegisteredModel, ledger: Ledger) -> Situation:
    """Return how a model stands, as the registry showed it."""
    model_uid = uid_of(found, ledger.history, ledger.registry.model)
    head = ledger.history.head(model_uid)
    moves = ledger.history.moves(model_uid)
    state = fold(moves)
    return Situation(
        model=found,
        model_uid=model_uid,
        head=head,
        moves=moves,
        state=state,
        policy=ledger.policies().of(found.name),
        gone=_gone(found, state, ledger),
    )


def _gone(found: RegisteredModel, state: ModelState, ledger: Ledger) -> frozenset[int]:
    """Return which versions in stages were deleted; whose alias is in its place is there, and is not asked for."""
    doubtful = {there.version for stage, there in state.stages.items() if found.aliases.get(stage) != there.version}
    return _deleted(found, doubtful, ledger)


def with_deleted(situation: Situation, stage: str, ledger: Ledger) -> Situation:
    """Return a situation that knows which of the versions to go back to were deleted, down to the first that is there.

    To ask for that each time would cost every decision a question.
    """
    gone = situation.gone
    for number in reversed(situation.state.earlier(stage)):
        deleted = _deleted(situation.model, {number}, ledger)
        if not deleted:
            break
        gone |= deleted
    return replace(situation, gone=gone)


def _deleted(model: RegisteredModel, numbers: set[int], ledger: Ledger) -> frozenset[int]:
    there = {version.number for version in ledger.registry.numbered(model, numbers)} if numbers else set()
    return frozenset(numbers - there)


def require_same(version: Version, situation: Situation, ledger: Ledger) -> None:
    """Refuse a version that was read before the model's lock was held, where its number means another one now.

    In between, names may have been exchanged.

    Raises
    ------
    Conflict
        It is another one, or there is none.
    """
    found = ledger.registry.numbered(situation.model, [version.number])
    if not found or _made(found[0]) != _made(version):
        raise Conflict(
            f"{version} is another one now, or gone: its model was renamed or deleted just now",
            code="version-changed",
            hint=f"slipway versions {quote(version.model)}, then decide again",
        )


def _made(version: Version) -> tuple[object, ...]:
    return version.model, version.number, version.created_at, version.source, version.run_id


def require_ours(situation: Situation, stage: str) -> None:
    """Refuse to decide about a stage whose alias is not where the ledger says.

    Raises
    ------
    Conflict
        The alias was set before Slipway came, or moved behind its back.
    """
    holder, occupant = situation.holder(stage), situation.occupant(stage)
    if holder == occupant:
        return
    adopt = f'slipway adopt {quote(f"{situation.name}@{stage}")} --reason "…"'
    if occupant is None:
        raise Conflict(
            f"{situation.name}/{holder} is in {stage} by an alias that the history knows nothing of",
            code="not-adopted",
            hint=f"take it over first: {adopt}",
        )
    found = f"points at {holder}" if holder else "is gone"
    put_back = f'slipway promote {quote(f"{situation.name}/{occupant}")} --to {stage} --reason "…"'
    raise Conflict(
        f"alias {stage} of {situation.name} {found}, and the history has {occupant} there: "
        "it was moved behind its back",
        code="moved-behind-history",
        hint=f"put it back: {put_back}; or accept it: {adopt}" if holder else f"put it back: {put_back}",
    )


def require_not_above(situation: Situation, number: int, stage: str) -> None:
    """Refuse to put a version into a stage below the one that it is in, which would stand empty then.

    Raises
    ------
    Conflict
        It is in a later stage: to take it out of that is for those who may demote it there.
    """
    current, names = situation.state.stage_of(number), situation.policy.names
    if current in names and names.index(current) > names.index(stage):
        version = f"{situation.name}/{number}"
        raise Conflict(
            f"{version} is in {current}, above {stage}: only a demotion leads down",
            code="not-upward",
            hint=f'slipway demote {quote(version)} --to {stage} --reason "…"',
        )
