"""Candidate and champion on the same rows, less every row that either was trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from slipway.registry.gate.comparison.answers import (
    MEASURED,
    CannotCompare,
    Said,
    WrongAnswers,
    as_numbers,
    require_alike_alone,
    require_alike_in_engine,
    require_known_labels,
    said,
    said_by_threads,
)
from slipway.registry.gate.comparison.disputed import doubts
from slipway.registry.gate.comparison.fresh_rows import clusters_of, trained_on
from slipway.registry.gate.comparison.named_output import tools_for
from slipway.registry.gate.comparison.random_weights import Clusters
from slipway.registry.gate.evidence import Evidence, Rows, Subject, Tools
from slipway.registry.gate.json_forms import json_form
from slipway.registry.policy.policy import ChampionRule, SlicesRule
from slipway.registry.signature import NUMBER, WHOLE, stored_signature
from slipway.registry.text import counted

CLASSIFICATION = "classification"
TASKS = (CLASSIFICATION, "regression")
FEWEST_CLAIMED = 5
FEWEST_BY_ITSELF = 10
BY_CHANCE = 0.001
SAID_CHARACTERS = 300
BY_MANY = " (by as many threads as MLflow's own server takes, which says otherwise than one)"
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
            return counted(n, "row")
        distinct = f"{counted(n, 'row')}, {n_clusters:,} distinct"
        return f"{distinct} by {self.clustered_by}" if self.clustered_by else distinct


def head_to_head(evidence: Evidence, rule: ChampionRule | SlicesRule) -> tuple[HeadToHead, ...]:
    """Score both versions on the rows that the rule names: those that are new to both.

    Of rows that the policy names, a second comparison has those as well that only the candidate says it was trained on.
    It has an advantage there, if that is true; if not, it would hide by its word where it is worse. And where the
    candidate answers otherwise by several threads, another one is of those answers. Where it takes optional columns
    that the champion does not know, one is without them: the champion's callers do not send them. And one is of callers
    who leave out what they may leave out with both.

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
    if rule.output:
        versions = {each.folder: str(each.version) for each in (candidate, champion) if each.folder}
        evidence = replace(evidence, tools=tools_for(rule.output, evidence.tools, versions))
    ours, theirs = pd.read_parquet(rows.path), pd.read_parquet(rows.champions_path)
    known = trained_on(ours, theirs, rows, candidate, champion)
    has_target = theirs[rows.target].notna().to_numpy()
    fresh = has_target & ~known.by_candidate & ~known.by_champion
    dropped = int((known.by_candidate | known.by_champion).sum())
    words = [f"{dropped} dropped because a version was trained on them"] if dropped else []
    note = f" ({'; '.join([*words, *known.notes])})" if words or known.notes else ""
    if fresh.sum() < rule.min_rows:
        raise CannotCompare(
            f"{int(fresh.sum())} rows are left to compare on, and {rule.min_rows} are needed{note}; "
            "bring more: name a dataset in the policy with data and target"
        )
    asked, theirs_asked = (frame.drop(columns=rows.target) for frame in (ours, theirs))
    unsent = _unsent(candidate.folder, champion.folder, asked)
    of_champion = said(evidence.tools, champion.folder, theirs_asked, version=str(champion.version))
    by_one, *by_many = _said_everywhere(evidence.tools, candidate, asked)

    def scored(of_candidate: Said, of_champion: Said = of_champion) -> HeadToHead:
        called = of_champion.of(has_target), of_candidate.of(has_target)
        return _scored(evidence, rule, theirs[has_target].reset_index(drop=True), rows.target, champion, called)

    whole = scored(by_one)
    by_candidate, by_champion = known.by_candidate[has_target], known.by_champion[has_target]
    first = replace(whole.part(~by_candidate & ~by_champion), dropped=dropped, note=note)
    hidden = _hides(whole, by_champion & ~by_candidate, ~by_candidate & ~by_champion)
    first = replace(first, doubts=(*_doubts(first, rows, champion), *hidden))
    found = [first]
    for other in by_many:
        found.append(replace(scored(other).part(~by_candidate & ~by_champion), note=BY_MANY, doubts=first.doubts))
    for left_out, champions in _lacking(unsent, evidence.tools, candidate.folder, champion, theirs_asked, of_champion):
        note = f" (as {champion.version} is asked by who leaves out {', '.join(left_out)})"
        for each in _said_without(left_out, evidence.tools, candidate, asked):
            both = scored(each, champions).part(~by_candidate & ~by_champion)
            found.append(replace(both, note=note, doubts=first.doubts))
    if rows.held_out or not (by_candidate & ~by_champion).any():
        return tuple(found)
    claimed = f" (with {int((by_candidate & ~by_champion).sum())} that {candidate.version} says it was trained on)"
    return *found, replace(whole.part(~by_champion), note=claimed, doubts=hidden)


def by_itself(evidence: Evidence, rule: ChampionRule) -> HeadToHead:
    """Return what a candidate answers on rows that it was not trained on, standing in for a champion as well.

    Raises
    ------
    CannotCompare
        There are no rows, nobody knows which ones it was trained on, or too few are left.
    """
    rows, candidate = evidence.rows[rule.data, rule.target], evidence.candidate
    if isinstance(rows, str):
        raise CannotCompare(rows)
    if candidate.folder is None:
        raise CannotCompare(candidate.absence)
    if rule.output:
        versions = {candidate.folder: str(candidate.version)}
        evidence = replace(evidence, tools=tools_for(rule.output, evidence.tools, versions))
    frame = pd.read_parquet(rows.path)
    known = trained_on(frame, frame, rows, candidate, candidate)
    fresh = frame[rows.target].notna().to_numpy() & ~known.by_candidate
    if fresh.sum() < FEWEST_BY_ITSELF:
        raise CannotCompare(
            f"{int(fresh.sum())} rows are left that {candidate.version} was not trained on, and {FEWEST_BY_ITSELF} are "
            "needed; bring more: name a dataset in the policy with data and target"
        )
    left = frame[fresh].reset_index(drop=True)
    answers = said(evidence.tools, candidate.folder, left.drop(columns=rows.target), version=str(candidate.version))
    return _scored(evidence, rule, left, rows.target, candidate, (answers, answers))


def _said_everywhere(tools: Tools, candidate: Subject, asked: pd.DataFrame) -> tuple[Said, ...]:
    """Return what a candidate answers by one thread, and else by many; it is the same alone, and in the engine."""
    assert candidate.folder is not None
    folder, version = candidate.folder, str(candidate.version)
    every = said_by_threads(tools, folder, asked, version=version)
    require_alike_alone(tools, folder, asked, every[0], version=version)
    require_alike_in_engine(tools, folder, asked, every[0], version=version, held_out=candidate.holdout)
    return every


def _unsent(candidate: Path, champion: Path, asked: pd.DataFrame) -> list[str]:
    """Return the optional columns of a candidate that no caller of the champion is known to send; the rows have all.

    Raises
    ------
    CannotCompare
        The rows lack one: callers may send it already, since the champion leaves out what it does not know.
    """
    before, after = stored_signature(champion), stored_signature(candidate)
    if before is None or after is None or not (before.has_names and after.has_names):
        return []
    known = {field.name for field in before.inputs}
    new = [field.name for field in after.inputs if not field.required and field.name not in known]
    if lacking := [name for name in new if name not in asked.columns]:
        raise CannotCompare(
            f"the rows lack {', '.join(lacking)}, which the candidate takes and the champion does not know: nobody "
            "measures what callers get who send it; name rows that have it in the policy, with data and target"
        )
    return new


def _lacking(
    unsent: list[str], tools: Tools, candidate: Path, champion: Subject, rows: pd.DataFrame, of_champion: Said
) -> Iterator[tuple[list[str], Said]]:
    """Yield columns that callers of the champion leave out of the rows, and what it answers them.

    They never send what it does not know, and may leave out what is optional with it. Where it fails without that,
    nobody leaves it out.
    """
    if unsent:
        yield unsent, of_champion
    assert champion.folder is not None
    both = (stored_signature(folder) for folder in (champion.folder, candidate))
    optional = [{field.name for field in each.inputs if not field.required} if each else set() for each in both]
    spared = [name for name in rows.columns if name in optional[0] & optional[1]]
    if not spared:
        return
    try:
        answered = said(tools, champion.folder, rows.drop(columns=spared), version=str(champion.version))
    except Exception:  # whatever a model raises
        return
    yield spared, answered


def _said_without(unsent: Sequence[str], tools: Tools, candidate: Subject, asked: pd.DataFrame) -> tuple[Said, ...]:
    """Return what a candidate answers without some columns, each answer that it may give."""
    try:
        return _said_everywhere(tools, candidate, asked.drop(columns=list(unsent)))
    except CannotCompare:
        raise
    except Exception as error:  # whatever it raises, callers get no answer
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:SAID_CHARACTERS]}"
        raise WrongAnswers(f"{candidate.version} answers nobody who leaves out {', '.join(unsent)}: {said}") from error


def _scored(
    evidence: Evidence,
    rule: ChampionRule | SlicesRule,
    frame: pd.DataFrame,
    target: str,
    champion: Subject,
    answers: tuple[Said, ...],
) -> HeadToHead:
    """Hold both versions' answers to what the rows are called, as the champion reads it."""
    y = frame[target].to_numpy()
    names = (str(champion.version), str(evidence.candidate.version))
    of_champion, of_candidate = answers
    _require_one_method(names, of_champion, of_candidate)
    _require_one_order(names, of_champion, of_candidate)
    is_classification = _is_classification(rule, champion, of_champion, y)
    if is_classification:
        for name, answered in zip(names, (of_champion, of_candidate), strict=True):
            require_known_labels(answered, name)
            _require_common_labels(y, name, answered)
        _require_one_kind(names, of_champion, of_candidate)
    else:
        y = as_numbers(y, "targets")
        of_champion = replace(of_champion, labels=as_numbers(of_champion.labels, f"answers of {names[0]}"))
        of_candidate = replace(of_candidate, labels=as_numbers(of_candidate.labels, f"answers of {names[1]}"))
    clusters, key = clusters_of(frame.drop(columns=target), evidence.candidate, champion)
    return HeadToHead(
        frame=frame,
        y=y,
        is_classification=is_classification,
        candidate=of_candidate,
        champion=of_champion,
        names=names,
        clusters=clusters,
        clustered_by=key,
        dropped=0,
        note="",
        doubts=(),
    )


def _doubts(both: HeadToHead, rows: Rows, champion: Subject) -> tuple[str, ...]:
    if not rows.held_out:
        return ()
    frame = both.frame.reset_index(drop=True)
    labels = both.champion.labels
    return doubts(frame, both.y, rows, champion, labels, is_classification=both.is_classification)


def _hides(whole: HeadToHead, claimed: npt.NDArray[np.bool_], fresh: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Say where the champion's word on what it was trained on leaves out rows on which the candidate is worse.

    The candidate knows neither kind: by Mann and Whitney's test it is as good on both, but once in a thousand times.
    """
    if claimed.sum() < FEWEST_CLAIMED:
        return ()
    labels = whole.candidate.labels
    wrong = labels != whole.y if whole.is_classification else np.abs(np.asarray(labels, dtype=float) - whole.y)
    losses = np.asarray(wrong, dtype=float)
    test = stats.mannwhitneyu(losses[claimed], losses[fresh], alternative="greater", method="asymptotic")
    if test.pvalue >= BY_CHANCE:
        return ()
    theirs, ours = whole.names
    return (
        f"{ours} is worse on the {int(claimed.sum())} rows that {theirs} says it was trained on than on those that are "
        "left, and knows neither: name rows that no version was trained on",
    )


def _require_one_method(names: tuple[str, str], champion: Said, candidate: Said) -> None:
    if champion.method != candidate.method:
        raise CannotCompare(
            f"{names[0]} answers its callers by {champion.method}, {names[1]} by {candidate.method}: "
            f"log it with pyfunc_predict_fn={champion.method!r}"
        )


def _require_one_kind(names: tuple[str, str], champion: Said, candidate: Said) -> None:
    """Refuse answers of another kind in JSON than any of the champion's, were it for one class alone."""
    given = (answered.labels[~pd.isna(answered.labels)].tolist() for answered in (champion, candidate))
    theirs, ours = ({NUMBER if form == WHOLE else form for form in map(json_form, each)} for each in given)
    if strange := sorted(ours - theirs):
        raise WrongAnswers(
            f"{names[1]} answers some rows with {', '.join(strange)}, and {names[0]} with "
            f"{', '.join(sorted(theirs))}: callers read one for the other, or fail"
        )


def _require_one_order(names: tuple[str, str], champion: Said, candidate: Said) -> None:
    """Refuse to compare by name what callers of probabilities tell apart by place."""
    theirs, ours = champion.classes, candidate.classes
    are_the_same = theirs != ours and set(theirs) == set(ours)
    are_told_by_place = champion.method != MEASURED[0] and ours[: len(theirs)] != theirs
    if are_the_same or are_told_by_place:
        shown, other = (", ".join(map(str, each)) for each in (theirs, ours))
        raise CannotCompare(
            f"{names[0]} has the classes {shown} in this order, and {names[1]} {other}: "
            "callers of probabilities would take one class for another"
        )


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
    if answered.are_amounts:
        return False
    raise CannotCompare(
        f"the targets are whole numbers, and nobody recorded whether {champion.version} calls classes by them or "
        "foretells amounts: the policy names the metric (metric: accuracy, metric: rmse, …)"
    )
