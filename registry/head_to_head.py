"""Candidate and champion on the same rows, less every row that either was trained on."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from registry.answers import CannotCompare, Said, as_numbers, require_known_labels, said
from registry.disputed import doubts
from registry.evidence import Evidence, Rows, Subject, TrainedOn
from registry.policy import ChampionRule, SlicesRule
from registry.random_weights import Clusters
from registry.rows import row_ids

CLASSIFICATION = "classification"
TASKS = (CLASSIFICATION, "regression")
OF_NUMBERS = ("mae", "rmse", "pinball")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadToHead:
    """Both versions' answers on rows that neither was trained on; `y` has shape (n,), `dropped` counts the others.

    `clusters` are rows of one key, or equal ones; `clustered_by` names the key, if there is one. `doubts` say why what
    the rows are called may not be true.
    """

    frame: pd.DataFrame
    y: npt.NDArray[Any]
    is_classification: bool
    candidate: Said
    champion: Said
    names: tuple[str, str]
    clusters: Clusters
    clustered_by: str | None
    dropped: int
    note: str
    doubts: tuple[str, ...]

    def part(self, members: npt.NDArray[np.bool_]) -> "HeadToHead":
        """Return the same for some of the rows; `members` has shape (n,)."""
        return replace(
            self,
            frame=self.frame[members],
            y=self.y[members],
            candidate=self.candidate.of(members),
            champion=self.champion.of(members),
            clusters=Clusters(codes=np.unique(self.clusters.codes[members], return_inverse=True)[1]),
        )

    @property
    def counted(self) -> str:
        """Return in words how many rows there are, and how many of them count."""
        n, n_clusters = len(self.y), self.clusters.count
        if n_clusters == n:
            return f"{n:,} rows"
        return f"{n:,} rows, {n_clusters:,} distinct" + (f" by {self.clustered_by}" if self.clustered_by else "")


def head_to_head(evidence: Evidence, rule: ChampionRule | SlicesRule) -> HeadToHead:
    """Score both versions on the rows that the rule names.

    Raises
    ------
    CannotCompare
        There are no rows, nobody knows which ones a version was trained on, or too few are left.
    """
    rows = evidence.rows[rule.data, rule.target]
    candidate, champion = evidence.candidate, evidence.champion
    if isinstance(rows, str):
        raise CannotCompare(rows)
    if champion is None:
        raise CannotCompare(f"nothing is in {evidence.stage} to compare with")
    if candidate.folder is None or champion.folder is None:
        raise CannotCompare(candidate.absence if candidate.folder is None else champion.absence)
    frame, dropped, note = _fresh(pd.read_parquet(rows.path), rows, candidate, champion)
    frame = frame[frame[rows.target].notna()].reset_index(drop=True)
    if len(frame) < rule.min_rows:
        raise CannotCompare(
            f"{len(frame)} rows are left to compare on, and {rule.min_rows} are needed{note}; "
            "bring more: name a dataset in the policy with data and target"
        )
    y = frame[rows.target].to_numpy()
    features = frame.drop(columns=rows.target)
    names = (str(champion.version), str(candidate.version))
    theirs = said(evidence.tools, champion.folder, features, version=names[0])
    ours = said(evidence.tools, candidate.folder, features, version=names[1])
    if theirs.method != ours.method:
        raise CannotCompare(
            f"{names[0]} answers its callers by {theirs.method}, {names[1]} by {ours.method}: "
            f"log it with pyfunc_predict_fn={theirs.method!r}"
        )
    is_classification = _is_classification(rule, champion, theirs, y)
    if is_classification:
        for name, answered in zip(names, (theirs, ours), strict=True):
            require_known_labels(answered, name)
            _require_common_labels(y, name, answered)
    else:
        y = as_numbers(y, "targets")
        theirs = replace(theirs, labels=as_numbers(theirs.labels, f"answers of {names[0]}"))
        ours = replace(ours, labels=as_numbers(ours.labels, f"answers of {names[1]}"))
    clusters, key = _clusters(features, candidate, champion)
    return HeadToHead(
        frame=frame,
        y=y,
        is_classification=is_classification,
        candidate=ours,
        champion=theirs,
        names=names,
        clusters=clusters,
        clustered_by=key,
        dropped=dropped,
        note=note,
        doubts=doubts(frame, y, rows, champion, theirs.labels, is_classification=is_classification)
        if rows.held_out
        else (),
    )


def trained_on(subject: Subject) -> TrainedOn | None:
    """Return which rows a version was trained on; `None` where its run does not say, or is not its own.

    Raises
    ------
    CannotCompare
        Its run says something else than it did when the version was registered.
    """
    if not subject.has_its_holdout:
        raise CannotCompare(
            f"what the run of {subject.version} says of its held-out rows is not what was recorded at registration: "
            "restore its holdout/ files, or register another version"
        )
    if subject.borrows or subject.holdout is None or not (subject.holdout / "row_ids.npz").is_file():
        return None
    document = json.loads((subject.holdout / "holdout.json").read_text())
    with np.load(subject.holdout / "row_ids.npz") as ids:
        return TrainedOn(ids=ids["train"], columns=tuple(document["id_columns"]), key=_key(document))


def _key(document: dict[str, Any]) -> str | None:
    """Return the key column that rows were held out by; runs from before its record have none."""
    key: str | None = document.get("scheme", {}).get("key")
    return key


def _clusters(features: pd.DataFrame, *subjects: Subject) -> tuple[Clusters, str | None]:
    """Return which rows belong together, and by which key: one that a version's run recorded, else by equal features.

    A row without its key is known by its features.
    """
    recorded = [known.key for known in map(trained_on, subjects) if known and known.key in features.columns]
    ids = row_ids(features)
    if recorded:
        key = features[recorded[0]]
        ids = np.where(key.notna(), row_ids(key.to_frame()), ids)
    return Clusters(codes=np.unique(ids, return_inverse=True)[1]), recorded[0] if recorded else None


def _fresh(frame: pd.DataFrame, rows: Rows, candidate: Subject, champion: Subject) -> tuple[pd.DataFrame, int, str]:
    """Return the rows that neither was trained on, how many were dropped, and words about it."""
    keep = np.ones(len(frame), dtype=bool)
    unknown = []
    for subject in (candidate, champion):
        known = trained_on(subject)
        if known is None or not set(known.columns) <= set(frame.columns):
            unknown.append(str(subject.version))
            continue
        keep &= ~np.isin(row_ids(frame[list(known.columns)]), known.ids)
    if unknown and rows.held_out:
        raise CannotCompare(
            f"which rows {' and '.join(unknown)} was trained on is not recorded, so that held-out rows of one may be "
            "training rows of the other; name a dataset in the policy with data and target"
        )
    dropped = int((~keep).sum())
    words = [f"{dropped} dropped because a version was trained on them"] if dropped else []
    words += [f"what {name} was trained on is not recorded: the policy vouches for these rows" for name in unknown]
    return frame[keep], dropped, f" ({'; '.join(words)})" if words else ""


def _require_common_labels(y: npt.NDArray[Any], version: str, answered: Said) -> None:
    """Refuse to compare two versions that are both always wrong because the rows call the classes by other names."""
    if set(answered.labels.tolist()).isdisjoint(y.tolist()):
        given, known = (", ".join(sorted({repr(each) for each in a.tolist()})[:3]) for a in (answered.labels, y))
        raise CannotCompare(f"{version} answers {given}, and the rows' classes are {known}")


def _is_classification(rule: ChampionRule | SlicesRule, champion: Subject, answered: Said, y: npt.NDArray[Any]) -> bool:
    """Tell the task by what is in the stage and by the rows: what a candidate says of itself is for it to prove.

    Raises
    ------
    CannotCompare
        They do not tell, and the policy names no metric.
    """
    if answered.classes or not np.issubdtype(y.dtype, np.number):
        return True
    if champion.provenance.task in TASKS:
        return champion.provenance.task == CLASSIFICATION
    if not np.array_equal(y, np.round(y)):
        return False
    if rule.metric:
        return rule.metric not in OF_NUMBERS
    raise CannotCompare(
        f"the targets are whole numbers, and nobody recorded whether {champion.version} calls classes by them or "
        "foretells amounts: the policy names the metric (metric: accuracy, metric: rmse, …)"
    )
