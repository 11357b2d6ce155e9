"""What the schema of a skops file says, read strictly: the nodes that skops writes, each with just its own keys.

Read from skops 0.16, of which this module needs nothing. skops gives a node that bears the number of an earlier one the
earlier one's value, whatever it says itself: here two nodes of one number have to say the same. What a value may be in
its place is another question: `slipway.registry.gate.safety.skops_places`.
"""

import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.registry.gate.safety.boosters import form_of

PROTOCOLS = (0, 1, 2)
DEEPEST = 80
MOST_SCHEMA_BYTES = 200_000_000  # of some ten thousand trees
NPY = b"\x93NUMPY"
UNREVIEWED = "unreviewed"
KEYS = frozenset({"__class__", "__module__", "__loader__", "__id__"})
ROOT_KEYS = frozenset({"protocol", "_skops_version"})
KEY_TYPE = re.compile(r"builtins\.(str|int|float|bool)|numpy\.(str_|bool_?|u?int\d+|float\d+)")
OWN_KEYS: Mapping[str, frozenset[str]] = {
    "ObjectNode": frozenset({"content"}),
    "TreeNode": frozenset({"content", "__reduce__"}),
    "LossNode": frozenset({"content", "__reduce__"}),
    "DictNode": frozenset({"content", "key_types"}),
    "DefaultDictNode": frozenset({"content"}),
    "BytesNode": frozenset({"file"}),
    "BytearrayNode": frozenset({"file"}),
    "ListNode": frozenset({"content"}),
    "TupleNode": frozenset({"content"}),
    "SetNode": frozenset({"content"}),
    "JsonNode": frozenset({"content", "is_json"}),
    "SliceNode": frozenset({"content"}),
    "TypeNode": frozenset(),
    "FunctionNode": frozenset(),
    "OperatorFuncNode": frozenset({"attrs"}),
    "PartialNode": frozenset({"content"}),
    "DTypeNode": frozenset({"content"}),
    "RandomStateNode": frozenset({"content"}),
    "RandomGeneratorNode": frozenset({"content"}),
}
# Kinds that make their own types alone. A named tuple, or a mapping of scikit-learn's, is not one of them.
MADE_AS: Mapping[str, tuple[str, ...]] = {
    "TreeNode": ("sklearn.tree._tree.Tree",),
    "DictNode": ("builtins.dict", "collections.OrderedDict"),
    "DefaultDictNode": ("collections.defaultdict",),
    "BytesNode": ("builtins.bytes",),
    "BytearrayNode": ("builtins.bytearray",),
    "ListNode": ("builtins.list",),
    "TupleNode": ("builtins.tuple",),
    "SetNode": ("builtins.set",),
    "JsonNode": ("builtins.str",),
    "SliceNode": ("builtins.slice",),
    "OperatorFuncNode": ("operator.attrgetter",),
    "PartialNode": ("functools.partial",),
    "DTypeNode": ("numpy.dtype",),
    "RandomStateNode": ("numpy.random.mtrand.RandomState",),
    "RandomGeneratorNode": ("numpy.random._generator.Generator",),
}


# What a zip raises that is damaged, incomplete, encrypted or packed in another way, and JSON that is none.
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, OSError, RuntimeError, ValueError)


class NotAsWrittenError(Exception):
    """A schema is not as skops writes it; the message says what and where."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node: the kind of skops's loader, the type that it makes, and what it is made of.

    `value` is the text of a JSON value, and of bytes the form that they have (`slipway.registry.gate.safety.boosters`);
    of an array's numbers nothing is kept. `parts` are the parts with their keys or
    places: the state of an object is its part "state". Of a kind or a type that nobody reviewed, nothing is read.
    """

    kind: str
    type: str
    value: str | None = None
    parts: tuple[tuple[str, "Node"], ...] = ()

    def part(self, key: str) -> "Node | None":
        """Return the part with a key."""
        return dict(self.parts).get(key)

    @property
    def plain(self) -> Any:
        """Return the number, text, truth value or `None` that a JSON node holds."""
        return json.loads(self.value) if self.kind == "JsonNode" and self.value is not None else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    archive: zipfile.ZipFile
    names: frozenset[str]
    read: dict[int, Node] = field(default_factory=dict)

    def node(self, found: Any, where: str, depth: int = 0) -> Node:
        """Return a node with all that is in it."""
        _require(isinstance(found, dict) and found.keys() >= KEYS, where, "is no node")
        _require(depth < DEEPEST, where, f"is nested deeper than {DEEPEST} nodes")
        texts = [found[key] for key in ("__module__", "__class__", "__loader__")]
        _require(all(isinstance(text, str) for text in texts), where, "has a type that is no text")
        module, name, kind = texts
        _require(type(found["__id__"]) is int, where, "has a number that is none")
        node = self._of_kind(found, kind, f"{module}.{name}", where, depth + 1)
        same = self.read.setdefault(found["__id__"], node)
        _require(same == node, where, "has the number of another node, whose value it would get")
        return node

    def _of_kind(self, found: dict[str, Any], kind: str, made: str, where: str, depth: int) -> Node:
        if kind == "NdArrayNode":
            return self._array(found, made, where, depth)
        if kind not in OWN_KEYS or made not in MADE_AS.get(kind, (made,)):
            return Node(kind=UNREVIEWED, type=made, value=kind)
        extra = found.keys() - KEYS - OWN_KEYS[kind]
        missing = OWN_KEYS[kind] - found.keys() - ({"content"} if kind == "ObjectNode" else set())
        _require(not extra and not missing, where, f"has other keys than a {kind} of skops")
        if kind == "JsonNode":
            return Node(kind=kind, type=made, value=_json(found, where))
        if kind in ("BytesNode", "BytearrayNode"):
            return Node(kind=kind, type=made, value=self._form(found["file"], where))
        if kind == "SliceNode":
            return Node(kind=kind, type=made, value=_slice(found["content"], where))
        return Node(kind=kind, type=made, parts=tuple(self._parts(found, kind, where, depth)))

    def _parts(self, found: dict[str, Any], kind: str, where: str, depth: int) -> Iterator[tuple[str, Node]]:
        content = found.get("content")
        if kind in ("ListNode", "TupleNode", "SetNode"):
            yield from self._listed(content, where, depth)
        elif kind == "DictNode":
            yield from self._keyed(content, where, depth)
            self._require_key_types(found["key_types"], content, where, depth)
        elif kind == "DefaultDictNode":
            is_one = isinstance(content, dict) and content.keys() == {"main", "default_factory"}
            _require(is_one, where, "is no mapping with a default")
            yield from self._keyed(content, where, depth)
        elif kind == "OperatorFuncNode":
            yield "attrs", self.node(found["attrs"], where, depth)
        elif kind == "PartialNode":
            is_one = isinstance(content, dict) and content.keys() == {"func", "args", "kwds", "namespace"}
            _require(is_one, where, "is no function with arguments")
            yield from self._keyed(content, where, depth)
        elif kind == "RandomGeneratorNode":
            _require(
                isinstance(content, dict) and content.keys() == {"bit_generator", "seed_seq"}, where, "is no state"
            )
            for key, part in self._keyed(content, where, depth):
                named = part.part("bit_generator")
                _require(key != "bit_generator" or (named is not None and named.plain), where, "has no generator")
                yield key, part
        elif content is not None:
            yield "state", self.node(content, where, depth)
        if "__reduce__" in OWN_KEYS[kind]:
            reduced = found["__reduce__"]
            _require(isinstance(reduced, dict) and reduced.keys() == {"args"}, where, "is made by more than arguments")
            yield "args", self.node(reduced["args"], where, depth)

    def _listed(self, content: Any, where: str, depth: int) -> Iterator[tuple[str, Node]]:
        _require(isinstance(content, list), where, "is no list")
        for place, item in enumerate(content):
            yield str(place), self.node(item, f"{where}[{place}]", depth)

    def _keyed(self, content: Any, where: str, depth: int) -> Iterator[tuple[str, Node]]:
        _require(isinstance(content, dict), where, "is no mapping")
        for key, item in content.items():
            yield key, self.node(item, inside(where, key), depth)

    def _require_key_types(self, found: Any, content: Any, where: str, depth: int) -> None:
        """Hold the types of a mapping's keys, which skops calls with the keys, to those of numbers and texts."""
        listed = self.node(found, f"the types of the keys of {where}", depth)
        _require(listed.kind == "ListNode" and len(listed.parts) == len(content), where, "lists no types of its keys")
        for _, each in listed.parts:
            known = each.kind == "TypeNode" and KEY_TYPE.fullmatch(each.type)
            _require(known, where, f"has keys that would be made by {each.type!r}")

    def _form(self, name: Any, where: str) -> str:
        _require(isinstance(name, str) and name in self.names, where, "names no bytes of the file")
        return form_of(self.archive.read(name))

    def _array(self, found: dict[str, Any], made: str, where: str, depth: int) -> Node:
        stored, own = found.get("type"), found.keys() - KEYS - {"type"}
        if stored == "numpy":
            name = found.get("file")
            is_array = own == {"file"} and isinstance(name, str) and name in self.names
            _require(is_array, where, "names no array of the file")
            with self.archive.open(str(name)) as stream:
                # NumPy opens a zip of arrays under this name as well, which is not an array.
                _require(stream.read(len(NPY)) == NPY, where, f"names {name!r}, which is no array")
            return Node(kind="NdArrayNode", type=made)  # one array or another, as a copy of it has a file of its own
        _require(stored == "json" and own == {"content", "shape"}, where, "is an array of an unknown form")
        _require(made == "numpy.ndarray", where, f"would make an array of objects as {made!r}")
        shape = self.node(found["shape"], where, depth)
        is_shape = shape.kind == "TupleNode" and all(type(part.plain) is int for _, part in shape.parts)
        _require(is_shape, where, "has a shape that is none")
        return Node(kind="ObjectArrayNode", type=made, parts=tuple(self._listed(found["content"], where, depth)))


def read_skops(path: Path) -> Node:
    """Return what a skops file would make.

    Raises
    ------
    NotAsWrittenError
        skops would not have written it so.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except BROKEN as error:
        raise NotAsWrittenError(f"it cannot be read: {type(error).__name__}") from error


def _read(archive: zipfile.ZipFile) -> Node:
    size = archive.getinfo("schema.json").file_size
    _require(size <= MOST_SCHEMA_BYTES, "its schema", f"has {size:,} bytes unpacked, more than {MOST_SCHEMA_BYTES:,}")
    schema = json.loads(archive.read("schema.json"))
    _require(isinstance(schema, dict), "its schema", "is no mapping")
    protocol = schema.get("protocol")
    _require(type(protocol) is int and protocol in PROTOCOLS, "its schema", f"has the protocol {protocol!r}")
    root = {key: value for key, value in schema.items() if key not in ROOT_KEYS}
    return _Reader(archive=archive, names=frozenset(archive.namelist())).node(root, "model")


def inside(where: str, key: str) -> str:
    """Return in words where the part with a key is."""
    return f"{where}.{key}" if key.isidentifier() else f"{where}[{key[:60]!r}]"


def _json(found: dict[str, Any], where: str) -> str:
    text = found["content"]
    try:
        value = json.loads(text) if isinstance(text, str) and found["is_json"] is True else ()
    except (ValueError, RecursionError):
        value = ()
    _require(value is None or isinstance(value, str | int | float), where, "is no number and no text")
    return str(text)


def _slice(content: Any, where: str) -> str:
    is_slice = isinstance(content, dict) and content.keys() == {"start", "stop", "step"}
    known = is_slice and all(value is None or isinstance(value, str | int) for value in content.values())
    _require(known, where, "is no slice")
    return json.dumps(content)


def _require(holds: object, where: str, wrong: str) -> None:
    if not holds:
        raise NotAsWrittenError(f"{where} {wrong}")
