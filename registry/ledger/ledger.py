"""The ledger as decisions need it: registry, history and policies in one hand."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.ledger.history import History
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.policy.policy import PolicyBook, default_policy
from slipway.registry.version import Version


def copy_nothing(version: Version, manifest: str) -> None:
    """Leave a version's files where they were logged: nobody passes through here who could be kept from them."""


def trust_every_place(version: Version) -> None:
    """Take files wherever they lie: who works on a ledger of one's own may read and write what it is about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """What a decision needs: the registry, the history, the policies, and whether MLflow's label is mirrored.

    `policies` reads them anew with each call, so that a decision sees what holds when it is made; `last_policies` are
    those that were read last, for what is not to wait until they can be read again. Where a server
    passes on what others store, `keep_copy` makes its own copy of a version's files, whose manifest has the digest, and
    `require_kept` refuses a version whose files it does not keep.
    """

    registry: ModelRegistry
    history: History
    policies: Callable[[], PolicyBook]
    mirror_stages: bool
    last_policies: Callable[[], PolicyBook] = default_policy
    keep_copy: Callable[[Version, str], None] = copy_nothing
    require_kept: Callable[[Version], None] = trust_every_place


def whatever_the_policy(ledger: Ledger) -> tuple[Ledger, tuple[str, ...]]:
    """Return a ledger that needs no policy of one's own, and a note where it has none that can be read.

    A rollback makes none of its checks, and is not to wait for somebody to mend it. Whom the policy let roll back when
    it was last read, it lets now.
    """
    try:
        ledger.policies()
    except (InvalidInput, NotFound) as error:
        book = ledger.last_policies()
        note = f"{error.message}; stages and roles are taken from what was read last: {book.source}"
        return replace(ledger, policies=lambda: book), (note,)
    return ledger, ()
