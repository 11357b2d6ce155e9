"""What a file is by its content: the proof that a format is the one that is declared.

Each function answers for one regular file, reads no more than it needs, and opens nothing by the means of a loader
that could run code.
"""

import io
import json
import pickletools
import re
import zipfile
from pathlib import Path
from typing import TypeVar

import onnx
import onnx.checker
from google.protobuf.message import DecodeError, Message

Found = TypeVar("Found")

PICKLE_PROTOCOLS = (2, 3, 4, 5)
ZIP_BEGINS = b"PK\x03\x04"
TEXT_AT_MOST_BYTES = 16 * 2**20
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
# What skops writes: its schema, and arrays and bytes that the schema names.
SKOPS_MEMBER = re.compile(r"schema\.json|[\w-]+\.(npy|npz|bin)")
# UBJSON: an object whose first key, with its length in one of the integer types, is a part of an XGBoost model.
XGBOOST_UBJ = re.compile(rb"\{(?:L.{8}|l.{4}|I.{2}|[iU].)(?:learner|version)", re.DOTALL)
XGBOOST_PICKLED = re.compile(rb"\{(?:L.{8}|l.{4}|I.{2}|[iU].)(?:Config|Model)\{", re.DOTALL)
LIGHTGBM_TEXT = re.compile(rb"tree\r?\nversion=v\d")
HEAD_BYTES = 32
ONNX_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
ONNX_NAMES_CODE = ("PyOp",)
# Their generator goes on from request to request: what was measured is not what callers get.
ONNX_BY_CHANCE = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)
# Opcodes without which a pickle runs nothing: it imports, makes arguments, and calls.
IMPORTED = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
ARGUMENTS = frozenset({"MARK", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
CALLS = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"})


def is_pickle(path: Path) -> bool:
    """Return whether a file begins as a pickle of protocol 2 or later, or is called one."""
    with path.open("rb") as stream:
        head = stream.read(2)
    return (len(head) == 2 and head[0] == 0x80 and head[1] in PICKLE_PROTOCOLS) or path.suffix in (".pkl", ".pickle")


def is_torch(path: Path) -> bool:
    """Return whether a file is a zip with a pickle inside, as PyTorch writes them."""
    return any(name.endswith(".pkl") for name in _members(path))


def is_json(path: Path) -> bool:
    """Return whether a file is an object or a list in JSON; neither can be read as a pickle."""
    text = _text(path)
    if text is None or not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_text(path: Path) -> bool:
    """Return whether a file is UTF-8 text of moderate size that is no pickle of protocol 0 or 1, which are text too."""
    text = _text(path)
    return text is not None and not _unpickles(text.encode())


def is_parquet(path: Path) -> bool:
    """Return whether a file begins and ends as Parquet does."""
    with path.open("rb") as stream:
        head = stream.read(4)
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, end - 4))
        return end > 12 and head == stream.read(4) == b"PAR1"


def is_skops(path: Path) -> bool:
    """Return whether a file is a zip with the schema of skops and nothing that skops did not write, before it neither.

    What the schema says is another question: `slipway.registry.gate.safety.skops_nodes`; and which types it names:
    `slipway.registry.gate.safety.skops_untrusted_types`.
    """
    with path.open("rb") as stream:
        begins = stream.read(len(ZIP_BEGINS))
    names = _members(path)
    return begins == ZIP_BEGINS and "schema.json" in names and all(SKOPS_MEMBER.fullmatch(name) for name in names)


def is_xgboost(path: Path) -> bool:
    """Return whether a file is a model in XGBoost's JSON or UBJSON."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    return bool(XGBOOST_UBJ.match(head)) or _is_json_with(path, "learner")


def is_xgboost_model(content: bytes) -> bool:
    """Return whether bytes begin as what XGBoost writes where it is pickled: its model and its settings in UBJSON."""
    return XGBOOST_PICKLED.match(content[:HEAD_BYTES]) is not None


def is_lightgbm(path: Path) -> bool:
    """Return whether a file is a model in LightGBM's text format."""
    with path.open("rb") as stream:
        return is_lightgbm_model(stream.read(HEAD_BYTES))


def is_lightgbm_model(content: bytes) -> bool:
    """Return whether bytes begin as a model in LightGBM's text format."""
    return LIGHTGBM_TEXT.match(content) is not None


def is_catboost(path: Path, save_format: object) -> bool:
    """Return whether a file is a model in the format of CatBoost's own that is declared: cbm or json."""
    if save_format == "json":
        return _is_json_with(path, "model_info")
    with path.open("rb") as stream:
        return save_format == "cbm" and is_catboost_model(stream.read(HEAD_BYTES))


def is_catboost_model(content: bytes) -> bool:
    """Return whether bytes begin as a model in CatBoost's format cbm."""
    return content.startswith(b"CBM1")


def onnx_files(path: Path) -> tuple[str, ...] | None:
    """Return the files beside an ONNX model that hold its tensors; `None` where it is no model of known operators.

    Operators of other domains come from libraries that are loaded as native code.
    """
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
        onnx.checker.check_model(str(path))  # by its path, for the tensors beside it
    except (DecodeError, onnx.checker.ValidationError, ValueError):
        return None
    domains = {each.domain for each in model.opset_import} | {each.domain for each in model.functions}
    nodes = list(_nodes(model))
    domains |= {node.domain for node in nodes}
    if not domains <= set(ONNX_DOMAINS) or any(map(_is_refused, nodes)):
        return None
    return tuple(sorted({value for message in _messages(model, onnx.TensorProto) for value in _location(message)}))


def _is_refused(node: onnx.NodeProto) -> bool:
    """Return whether a node names code, or draws by chance: a Dropout does where it is told that it is training."""
    is_training = node.op_type == "Dropout" and len(node.input) > 2
    return node.op_type in (*ONNX_NAMES_CODE, *ONNX_BY_CHANCE) or is_training


def _members(path: Path) -> list[str]:
    """Return the names of the files in a zip; none where it is no zip, or a broken one."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return _messages(model, onnx.NodeProto)


def _messages(root: Message, kind: type[Found]) -> list[Found]:
    """Return all messages of a kind below a protobuf message, in graphs within nodes and in functions too."""
    found: list[Found] = []
    left = [root]
    while left:
        message = left.pop()
        if isinstance(message, kind):
            found.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                left.extend(value if field.is_repeated else [value])
    return found


def _location(tensor: onnx.TensorProto) -> list[str]:
    return [entry.value for entry in tensor.external_data if entry.key == "location"]


def _is_json_with(path: Path, key: str) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and key in document


def _text(path: Path) -> str | None:
    if path.stat().st_size > TEXT_AT_MOST_BYTES:
        return None
    try:
        text = path.read_bytes().decode("utf-8")
    except ValueError:
        return None
    return None if CONTROLS.search(text) else text


def _unpickles(content: bytes) -> bool:
    """Return whether an unpickler would import something here and call it, however the text goes on."""
    seen: set[str] = set()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            names = IMPORTED.fullmatch(str(argument)) if opcode.name in ("GLOBAL", "INST") else True
            seen |= {opcode.name} if names else set()
    except (ValueError, KeyError, IndexError, AttributeError, OverflowError):
        pass  # what was read until here would have run
    return bool(seen & IMPORTS) and bool(seen & ARGUMENTS) and bool(seen & CALLS)
