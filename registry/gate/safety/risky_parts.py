"""In which formats a model is stored, and which of them run code when they are loaded.

Safe is what is proved: `MLmodel` names one loader that is known, which opens one file that is in the folder under just
that name, and the file's own content is in a format of numbers and structure: skops with types that were reviewed and
no value that says what is called, ONNX, and the own formats of XGBoost, LightGBM and CatBoost. Pickle and its kin can
hold any code; whoever loads the file runs it. What is neither declared nor known to be written by MLflow is not proved.
"""

import mimetypes
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.contents import is_json, is_parquet, is_pickle, is_skops, is_text, is_torch
from slipway.registry.gate.safety.loaders import LOADERS, PREDICT_FNS, PYFUNC_KEYS, Conf, Loader
from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.gate.safety.skops_nodes import NotAsWrittenError, read_skops
from slipway.registry.gate.safety.skops_places import strange_values
from slipway.registry.manifest import CARD, SIGNATURE
from slipway.registry.mlmodel import FILE, PYFUNC, read_mlmodel

PYTHON_MODEL = "mlflow.pyfunc.model"
SKOPS = "skops"
MOST_VALUES = 20
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
# What MLflow writes beside a model, and reads as the text that it is.
TEXTS = (
    FILE,
    "conda.yaml",
    "python_env.yaml",
    "requirements.txt",
    "constraints.txt",
    "uv.lock",
    "pyproject.toml",
    ".python-version",
)
COMPANIONS: Mapping[str, Callable[[Path], bool]] = {
    **dict.fromkeys([*TEXTS, "registered_model_meta", *(f"metadata/{name}" for name in TEXTS)], is_text),
    EXAMPLE: is_json,
    SERVING_EXAMPLE: is_json,
    CARD: is_json,
    SIGNATURE: is_json,
}
EXTRA_FILES = "extra_files/"
PROGRAMS = (".py", ".pyc", ".pth", ".so", ".dll", ".dylib", ".sh", ".jar")
KNOWN_IN_MLMODEL = frozenset(
    {
        "artifact_path",
        "auth_policy",
        "databricks_runtime",
        "env_vars",
        "flavors",
        "is_signature_from_type_hint",
        "metadata",
        "mlflow_version",
        "model_id",
        "model_size_bytes",
        "model_uuid",
        "prompts",
        "resources",
        "run_id",
        "saved_input_example_info",
        "signature",
        "type_hint_from_example",
        "utc_time_created",
    }
)

Flavors = Mapping[str, Conf]
Untrusted = Callable[[Path], Sequence[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RiskyPart:
    """A part of a stored model that may run code when it is loaded; `format` is what the policy would have to allow."""

    format: str
    what: str


def risky_parts(folder: Path, untrusted: Untrusted) -> tuple[RiskyPart, ...]:
    """Return what would run code or is not proved to run none; nothing for a model that is safe to load.

    `untrusted` returns the types that a skops file needs beyond the ones that skops knows.
    """
    try:
        document = read_mlmodel(folder)
    except NotApproved as error:
        return (_unknown(error.message),)
    flavors = document["flavors"]
    loaders = list(_by_code(flavors)) or [*_by_keys(document), *_by_loader(flavors)]
    files = list(_by_model_files(folder, flavors, untrusted))
    declared = [*loaders, *files]
    may_run = any(part.format not in ("unproven", "unreviewed") for part in declared)
    others = () if may_run else _by_companions(folder, document)
    return tuple(dict.fromkeys([*declared, *_by_content(folder, flavors), *_by_links(folder), *others]))


def _by_code(flavors: Flavors) -> Iterator[RiskyPart]:
    """Yield a part for code that any of the flavors puts where Python imports from."""
    if any(conf.get("code") for conf in flavors.values()) or flavors.get(PYFUNC, {}).get("model_code_path"):
        yield RiskyPart(format="code", what="the version ships Python code of its own, which runs when it is loaded")


def _by_keys(document: Mapping[str, Any]) -> Iterator[RiskyPart]:
    for key in sorted(map(str, document.keys() - KNOWN_IN_MLMODEL)):
        yield _unknown(f"MLmodel has the key {key!r}, of which nothing is known")


def _by_loader(flavors: Flavors) -> Iterator[RiskyPart]:
    """Yield what of the loaders is not known; the two ways to load a model have to be one loader's."""
    pyfunc = flavors.get(PYFUNC)
    natives = [name for name in flavors if name != PYFUNC]
    loaded_by = str(pyfunc.get("loader_module", "")) if pyfunc is not None else None
    for name in natives:
        if name not in LOADERS:
            yield _unknown(f"it has the flavor {name}, of which nothing is known")
    if loaded_by == PYTHON_MODEL:
        agree = not natives
    else:
        agree = len(natives) == 1 and loaded_by in (None, f"mlflow.{natives[0]}")
        if loaded_by is not None and loaded_by.removeprefix("mlflow.") not in LOADERS:
            yield _unknown(f"loaded by {loaded_by or 'an unknown loader'}, of which nothing is known")
    if not agree:
        named = ", ".join([*natives, *([f"python_function by {loaded_by}"] if pyfunc is not None else [])])
        yield _unknown(f"its flavors are not one loader's: {named or 'none'}")
    elif loaded_by != PYTHON_MODEL:
        yield from map(_unknown, _strange(natives[0], flavors))


def _strange(native: str, flavors: Flavors) -> Iterator[str]:
    """Yield in words which settings of a known loader are not known to be harmless."""
    loader, conf, pyfunc = LOADERS.get(native), flavors[native], flavors.get(PYFUNC, {})
    if loader is None:
        return
    files = {"data", "model_path"} - {loader.pyfunc_key}
    for where, found, known in ((native, conf, loader.keys), (PYFUNC, pyfunc, PYFUNC_KEYS - files)):
        for key in sorted(map(str, found.keys() - known)):
            yield f"{where} has the key {key!r}, of which nothing is known"
    if pyfunc.get("config"):
        yield "its loader would be given a configuration"
    if pyfunc.get("predict_fn", PREDICT_FNS[0]) not in PREDICT_FNS:
        yield f"it would predict with {pyfunc['predict_fn']!r}"
    yield from loader.strange(conf)


def _by_model_files(folder: Path, flavors: Flavors, untrusted: Untrusted) -> Iterator[RiskyPart]:
    """Yield what is wrong with the files that the loaders open, by their content."""
    for native in flavors.keys() & LOADERS.keys():
        loader, conf = LOADERS[native], flavors[native]
        names = _named(native, flavors)
        if len(names) > 1:
            yield _unproven(f"{native} and python_function name different files: {', '.join(map(repr, names))}")
        serialization = loader.serialization(conf)
        if not names and serialization in (None, SKOPS):
            yield _unproven(f"{native} names no file")
        for name in names:
            yield from _by_model_file(folder, name, loader, conf, serialization, untrusted)
    if python_model := flavors.get(PYFUNC, {}).get("python_model"):
        yield RiskyPart(format=_pickled(flavors), what=f"{python_model} is a pickle")


def _by_model_file(
    folder: Path, name: object, loader: Loader, conf: Conf, serialization: str | None, untrusted: Untrusted
) -> Iterator[RiskyPart]:
    wrong = _wrong_name(folder, name)
    if wrong:
        yield _unproven(wrong)
    if serialization not in (None, SKOPS):
        form = "cloudpickle" if serialization == "cloudpickle" else "pickle"
        yield RiskyPart(format=form, what=f"{name} is a pickle")
    elif not wrong:
        path = folder / str(name)
        if not (is_skops(path) if serialization == SKOPS else loader.is_own(path, conf)):
            yield _unproven(f"{name} is not in the format that is declared")
        elif serialization == SKOPS:
            yield from _by_skops(path, untrusted)


def _by_skops(path: Path, untrusted: Untrusted) -> Iterator[RiskyPart]:
    """Yield what nobody reviewed of a skops file: the types that it makes, and values that say what is called."""
    try:
        model = read_skops(path)
        strange = sorted(set(untrusted(path)) - set(REVIEWED_TYPES))
    except NotAsWrittenError as error:
        yield _unproven(f"{path.name} is not as skops writes it: {error}")
        return
    if strange:
        yield _unreviewed(f"skops would have to trust {', '.join(strange)}")
    yield from map(_unreviewed, islice(strange_values(model), MOST_VALUES))


def _named(native: str, flavors: Flavors) -> list[object]:
    """Return the names that the two flavors have for the model's file: one, where they agree."""
    loader, found = LOADERS[native], []
    for conf, key in ((flavors[native], loader.file_key), (flavors.get(PYFUNC, {}), loader.pyfunc_key)):
        if conf.get(key) is not None and conf[key] not in found:
            found.append(conf[key])
    return found


def _wrong_name(folder: Path, name: object) -> str | None:
    """Return why a name is not that of a file in the folder under which MLflow would have written a model."""
    if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name) or name in COMPANIONS:
        return f"MLmodel names {name!r}, and a model's file is a plain name in its folder"
    if encoding := mimetypes.guess_type(name)[1]:
        return f"MLmodel names {name!r}, which MLflow stores in S3 as {encoding}: some clients unpack it, others do not"
    if name not in os.listdir(folder) or (folder / name).is_symlink() or not (folder / name).is_file():
        return f"MLmodel names {name!r}, which is no file in its folder"
    return None


def _by_content(folder: Path, flavors: Flavors) -> Iterator[RiskyPart]:
    """Yield the files that are pickles by what they begin with, whoever may open them."""
    for name, path in _files(folder):
        if is_torch(path):
            yield RiskyPart(format="torch", what=f"{name} is PyTorch's pickle")
        elif is_pickle(path):
            yield RiskyPart(format=_pickled(flavors), what=f"{name} is a pickle")


def _pickled(flavors: Flavors) -> str:
    by_cloudpickle = "cloudpickle_version" in flavors.get(PYFUNC, {}) or any(
        conf.get("serialization_format") == "cloudpickle" for conf in flavors.values()
    )
    return "cloudpickle" if by_cloudpickle else "pickle"


def _by_links(folder: Path) -> Iterator[RiskyPart]:
    """Yield what is a file under more than one name, or is no file."""
    seen: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            yield _unproven(f"{name} is a link or no ordinary file")
        elif (same := seen.setdefault(name.casefold(), name)) != name:
            yield _unproven(f"{same} and {name} are one file where the case of letters does not count")


def _by_companions(folder: Path, document: Mapping[str, Any]) -> Iterator[RiskyPart]:
    """Yield the files that no loader is known to open, and that MLflow does not write beside a model."""
    flavors = document["flavors"]
    stored = document.get("saved_input_example_info") or {}
    example = stored if isinstance(stored, dict) else {"artifact_path": stored}
    for key, written in (("artifact_path", EXAMPLE), ("serving_input_path", SERVING_EXAMPLE)):
        if example.get(key, written) != written:
            yield _unproven(f"MLmodel names {example[key]!r} as its {key}, and MLflow writes {written}")
    models = {str(name) for native in flavors.keys() & LOADERS.keys() for name in _named(native, flavors)}
    beside = _beside(folder, flavors)
    for name in sorted(beside):
        if wrong := _wrong_name(folder, name):
            yield _unproven(f"the model's own file names {name!r} as one of its files, and {wrong}")
    opened = models | beside
    listed = [each for conf in flavors.values() for each in conf.get("extra_files") or () if isinstance(each, dict)]
    extra = {str(each.get("path")) for each in listed}
    for name, path in _files(folder):
        is_known = COMPANIONS.get(name, _is_data if name in extra and name.startswith(EXTRA_FILES) else None)
        is_named_otherwise = is_pickle(path) or is_torch(path)
        if name not in opened and not is_named_otherwise and not (is_known and is_known(path)):
            yield _unproven(f"{name} is declared by no flavor, or is not what its name says")


def _beside(folder: Path, flavors: Flavors) -> set[str]:
    """Return the files that a model's own file names."""
    found: set[str] = set()
    for native in flavors.keys() & LOADERS.keys():
        for name in _named(native, flavors):
            if _wrong_name(folder, name) is None:
                found |= set(LOADERS[native].beside(folder / str(name)))
    return found


def _is_data(path: Path) -> bool:
    return path.suffix.lower() not in PROGRAMS and (is_json(path) or is_parquet(path) or is_text(path))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def _unknown(what: str) -> RiskyPart:
    return RiskyPart(format="unknown", what=what)


def _unreviewed(what: str) -> RiskyPart:
    return RiskyPart(format="unreviewed", what=what)


def _unproven(what: str) -> RiskyPart:
    return RiskyPart(format="unproven", what=what)
