"""Candidate and champion on the same rows, less every row that either was trained on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from registry.evidence import Evidence, Rows, Subject, Tools, TrainedOn
from registry.policy import RowsRule
from registry.rows import row_ids
from registry.verdict import Finding, Outcome

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a model says of n rows: `labels` has shape (n,), `scores` (n, k) in the order of `classes`, or `None`."""

    labels: npt.NDArray[Any]
    scores: Scores | None
    are_probabilities: bool
    classes: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadToHead:
    """Both versions' answers on rows that neither was trained on; `y` has shape (n,), `dropped` counts the others."""

    frame: pd.DataFrame
    y: npt.NDArray[Any]
    is_classification: bool
    candidate: Said
    champion: Said
    dropped: int
    note: str


class CannotCompare(Exception):
    """Says what is missing for a comparison, and what to do."""


def head_to_head(evidence: Evidence, rule: RowsRule) -> HeadToHead:
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
    theirs = _said(evidence.tools, champion.folder, frame.drop(columns=rows.target))
    ours = _said(evidence.tools, candidate.folder, frame.drop(columns=rows.target))
    is_classification = _is_classification(candidate, y, ours)
    if is_classification:
        _require_common_labels(y, champion, theirs)
        _require_common_labels(y, candidate, ours)
    return HeadToHead(
        frame=frame,
        y=y,
        is_classification=is_classification,
        candidate=ours,
        champion=theirs,
        dropped=dropped,
        note=note,
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
        return TrainedOn(ids=ids["train"], columns=tuple(document["id_columns"]))


def inconclusive(check: str, why: CannotCompare) -> tuple[Finding, ...]:
    """Return the finding that says what is missing."""
    return (Finding(check=check, outcome=Outcome.INCONCLUSIVE, reason=str(why)),)


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


def _said(tools: Tools, folder: Path, features: pd.DataFrame) -> Said:
    stored = tools.load(str(folder))
    wanted = stored.columns or tuple(features.columns)
    if missing := [name for name in wanted if name not in features.columns]:
        raise CannotCompare(f"the rows lack columns that a version takes: {', '.join(missing)}")
    given = stored.fitting(features[list(wanted)])
    labels = np.asarray(stored.model.predict(given))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise CannotCompare(f"a version answers with shape {labels.shape}, and one value a row can be compared")
    has_probabilities = hasattr(stored.model, "predict_proba")
    return Said(
        labels=labels,
        scores=_class_scores(stored.model, given),
        are_probabilities=has_probabilities,
        classes=tuple(getattr(stored.model, "classes_", ())),
    )


def _require_common_labels(y: npt.NDArray[Any], subject: Subject, said: Said) -> None:
    """Refuse to compare two versions that are both always wrong because the rows call the classes by other names."""
    if set(said.labels.tolist()).isdisjoint(y.tolist()):
        answered, known = (", ".join(sorted({repr(each) for each in a.tolist()})[:3]) for a in (said.labels, y))
        raise CannotCompare(f"{subject.version} answers {answered}, and the rows' classes are {known}")


def _class_scores(model: Any, features: pd.DataFrame) -> Scores | None:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(features), dtype=float)
    if not hasattr(model, "decision_function"):
        return None
    decisions = np.asarray(model.decision_function(features), dtype=float)
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions


def _is_classification(candidate: Subject, y: npt.NDArray[Any], said: Said) -> bool:
    task = candidate.provenance.task
    if task:
        return task == "classification"
    return bool(said.classes) or not np.issubdtype(y.dtype, np.number)
