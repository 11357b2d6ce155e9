"""Which rows of a comparison neither version was trained on, and which of them belong together.

Each version's own run says what it was trained on: of its champion a stage has taken that word, of a candidate not yet.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.comparison.answers import CannotCompare
from slipway.registry.gate.comparison.random_weights import Clusters
from slipway.registry.gate.evidence import Rows, Subject
from slipway.registry.gate.holdout_record import HoldoutRecord, read_holdout
from slipway.registry.rows import row_ids

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedOn:
    """Which rows each version says it was trained on, shape (n,), and words about whoever does not say."""

    by_candidate: Flags
    by_champion: Flags
    notes: tuple[str, ...]


def record_of(subject: Subject) -> HoldoutRecord | None:
    """Return what a version's run says of its rows; `None` where it does not say, or is not its own.

    Raises
    ------
    CannotCompare
        It says something else than when the version was registered, or nothing that can be read.
    """
    if not subject.has_its_holdout:
        raise CannotCompare(
            f"what the run of {subject.version} says of its held-out rows is not what was recorded at registration: "
            "restore its holdout/ files, or register another version"
        )
    if subject.borrows:
        return None
    try:
        return read_holdout(subject.holdout)
    except InvalidInput as error:
        raise CannotCompare(f"{subject.version}: {error.message}; {error.hint}") from error


def trained_on(
    ours: pd.DataFrame, theirs: pd.DataFrame, rows: Rows, candidate: Subject, champion: Subject
) -> TrainedOn:
    """Return which rows are known to each version; `ours` are the rows as the candidate reads them.

    Raises
    ------
    CannotCompare
        The rows are held-out ones of one version, and nobody knows whether the other was trained on them; or the two
        do not read as many.
    """
    if len(ours) != len(theirs):
        raise CannotCompare(f"{champion.version} reads {len(theirs)} rows, and {candidate.version} {len(ours)}")
    by_candidate = _known(candidate, ours, held_out=rows.held_out)
    by_champion = _known(champion, theirs, held_out=rows.held_out)
    pairs = ((candidate, by_candidate), (champion, by_champion))
    untold = list(dict.fromkeys(str(subject.version) for subject, known in pairs if known is None))
    if untold and rows.held_out:
        raise CannotCompare(
            f"which rows {' and '.join(untold)} was trained on is not recorded, so that held-out rows of one may be "
            "training rows of the other; name a dataset in the policy with data and target"
        )
    none = np.zeros(len(ours), dtype=bool)
    return TrainedOn(
        by_candidate=none if by_candidate is None else by_candidate,
        by_champion=none if by_champion is None else by_champion,
        notes=tuple(f"what {name} was trained on is not recorded: the policy vouches for these rows" for name in untold)
        + (_only_held_out(champion) if rows.held_out else ()),
    )


def _known(subject: Subject, frame: pd.DataFrame, *, held_out: bool) -> Flags | None:
    """Return which rows a version was trained on, or may have been; `None` where nothing tells.

    Of a run that tells its held-out rows alone, any other row may be a training row. Of rows that the policy names its
    author answers for that.
    """
    record = record_of(subject)
    if record is None or not set(record.columns) <= set(frame.columns):
        return None
    ids = row_ids(frame[list(record.columns)])
    if record.train_ids is not None:
        return np.isin(ids, record.train_ids)
    return ~np.isin(ids, record.holdout_ids) if held_out else None


def _only_held_out(champion: Subject) -> tuple[str, ...]:
    record = record_of(champion)
    if record is None or record.train_ids is not None:
        return ()
    said = "did not say which rows it was trained on: those count that it held out, too"
    return (f"the run of {champion.version} {said} (slipway.holdout.log(…, train=…) says it)",)


def clusters_of(features: pd.DataFrame, candidate: Subject, champion: Subject) -> tuple[Clusters, str | None]:
    """Return which rows belong together, and by which key: the one that a version's run recorded.

    A row without its key, and every row where there is no key, is known by its features. A key that only the candidate
    names joins rows, and takes none apart: equal rows stay one, whatever it calls them.
    """
    by_features = row_ids(features)
    for subject, is_taken_at_its_word in ((champion, True), (candidate, False)):
        record = record_of(subject)
        if record is None or record.key is None or record.key not in features.columns:
            continue
        key = features[record.key]
        by_key = np.where(key.notna(), row_ids(key.to_frame()), by_features)
        joined = by_key if is_taken_at_its_word else _joined(by_key, row_ids(features.drop(columns=record.key)))
        return Clusters(codes=np.unique(joined, return_inverse=True)[1]), record.key
    return Clusters(codes=np.unique(by_features, return_inverse=True)[1]), None


def _joined(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Return one number for all rows that are equal by either, or by a chain of both; shape (n,) each."""
    one, other = (np.unique(each, return_inverse=True)[1] for each in (first, second))
    n_one, n_other = int(one.max(initial=-1)) + 1, int(other.max(initial=-1)) + 1
    links = coo_array((np.ones(len(one)), (one, n_one + other)), shape=(n_one + n_other,) * 2)
    _, group = connected_components(links, directed=False)
    return np.asarray(group[one], dtype=np.intp)
