"""What preparing a version leaves in the cache, and opening it reads: `runner.json`, and arrays beside it.

Nothing here is pickled: opening a file of the cache runs no code of a model's.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.registry.errors import Corrupt
from slipway.serving.runtimes.compiled.preprocessing import Category, Numbers, Preparation, Single, Step
from slipway.serving.runtimes.runner import RunnerReport

DOCUMENT = "runner.json"
ARRAYS = "arrays.npz"
TREES = "trees.onnx"
ESTIMATOR = "estimator.skops"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRunner:
    """A runner on disk: its report, and what its kind needs to be opened again.

    `opener` names the code that opens it (`formulas`, `trees`, `sklearn`, `mlflow`, `isolated`).
    `opening` is a JSON document, `arrays` are named arrays; `trees`, an ONNX model, and `estimator`, in skops' format,
    are empty where the kind has none.
    """

    report: RunnerReport
    opener: str
    opening: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    trees: bytes = b""
    estimator: bytes = b""


def write_stored(stored: StoredRunner, into: Path) -> None:
    """Write a runner into a folder, over what is there; `runner.json` comes last, so that it is there when all is."""
    into.mkdir(parents=True, exist_ok=True)
    for name in (DOCUMENT, ARRAYS, TREES, ESTIMATOR):
        (into / name).unlink(missing_ok=True)
    if stored.arrays:
        np.savez(into / ARRAYS, allow_pickle=False, **dict(stored.arrays))
    for name, content in ((TREES, stored.trees), (ESTIMATOR, stored.estimator)):
        if content:
            (into / name).write_bytes(content)
    document = {"report": asdict(stored.report), "opener": stored.opener, "opening": dict(stored.opening)}
    (into / DOCUMENT).write_text(json.dumps(document, indent=1))


def read_stored(folder: Path) -> StoredRunner:
    """Read what `write_stored` wrote.

    Raises
    ------
    Corrupt
        A file is missing or is not what was written.
    """
    try:
        document = json.loads((folder / DOCUMENT).read_text())
        report = {**document["report"], "methods": tuple(document["report"]["methods"])}
        arrays = folder / ARRAYS
        return StoredRunner(
            report=RunnerReport(**report),
            opener=document["opener"],
            opening=document["opening"],
            arrays=_read_arrays(arrays) if arrays.exists() else {},
            trees=_content(folder / TREES),
            estimator=_content(folder / ESTIMATOR),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Corrupt(
            f"the prepared runner in {folder} cannot be read: {type(error).__name__}: {error}",
            code="runner-corrupt",
            hint="delete the folder, and the version is prepared again",
        ) from error


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _read_arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def preparation_to_store(preparation: Preparation) -> tuple[dict[str, Any], Arrays]:
    """Return a preparation as a document and the arrays that it names."""
    arrays: Arrays = {}

    def kept(array: npt.NDArray[Any]) -> str:
        name = f"preparation.{len(arrays)}"
        arrays[name] = array
        return name

    def steps(of: tuple[Step, ...]) -> list[Any]:
        return [[step.name, kept(step.first), kept(step.second)] for step in of]

    parts: list[dict[str, Any]] = []
    for part in preparation.parts:
        if isinstance(part, Numbers):
            parts.append({"numbers": kept(part.sources), "targets": kept(part.targets), "steps": steps(part.steps)})
        elif isinstance(part, Single):
            parts.append({"single": part.source, "target": part.target, "steps": steps(part.steps)})
        else:
            parts.append(
                {
                    "category": part.source,
                    "codes": list(part.codes.items()),
                    "targets": kept(part.targets),
                    "values": kept(part.values),
                    "missing": part.missing,
                    "unknown": part.unknown,
                }
            )
    constants = None if preparation.constants is None else kept(preparation.constants)
    document = {"width": preparation.width, "parts": parts, "after": steps(preparation.after), "constants": constants}
    return document, arrays


def preparation_from_store(document: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Preparation:
    """Return the preparation that `preparation_to_store` took apart."""

    def steps(of: list[Any]) -> tuple[Step, ...]:
        return tuple(Step(name, arrays[first], arrays[second]) for name, first, second in of)

    def part(of: Mapping[str, Any]) -> Numbers | Single | Category:
        if "numbers" in of:
            return Numbers(arrays[of["numbers"]], arrays[of["targets"]], steps(of["steps"]))
        if "single" in of:
            return Single(of["single"], of["target"], steps(of["steps"]))
        codes = {value: code for value, code in of["codes"]}  # noqa: C416
        targets, values = arrays[of["targets"]], arrays[of["values"]]
        return Category(of["category"], codes, targets, values, of["missing"], of["unknown"])

    return Preparation(
        width=document["width"],
        parts=tuple(part(each) for each in document["parts"]),
        after=steps(document["after"]),
        constants=None if document["constants"] is None else arrays[document["constants"]],
    )
