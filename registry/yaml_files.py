"""YAML files that something is decided on: read in one way only, or refused with the line and what to do.

YAML takes the last of two equal keys without a word, and reads `123`, `yes` and `2020-01-01` as no text, `017` as 15
and `1:30` as 90: what a reader does not see is no ground for a decision.
"""

import os
import re
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

MOST_NODES = 1_000_000  # with aliases unfolded: a few lines may stand for billions
MOST_BITS = 1024
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
# By YAML 1.1, which this reads, 017 is octal (and 018 a text, which becomes the number 18 later) and 1:30 is of base
# 60; by YAML 1.2, which other readers have, they are 17 and a text.
LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")


def is_there(path: Path) -> bool:
    """Return whether something has this name, be it a link that leads nowhere or what nobody may look at."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def document_of(path: Path, *, without_gaps: bool = False) -> Any:
    """Return what a settings file says, all keys of which are text; `None` where there is no file, or an empty one.

    `without_gaps` refuses keys with nothing behind them: what stood there may be commented out, and YAML reads `null`.

    Raises
    ------
    ValueError
        It cannot be read, or not in one way only; it says in which line.
    """
    if not is_there(path):
        return None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no file; put a file in its place, or remove it")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"it is a link to {os.readlink(path)}, which is not there") from None
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    return parsed(content, by_hand=True, without_gaps=without_gaps)


def parsed(content: bytes, *, by_hand: bool = False, without_gaps: bool = False) -> Any:
    """Return the document that is written as YAML in UTF-8; in one that people write, keys are text and numbers plain.

    Raises
    ------
    ValueError
        It is another encoding, no YAML, or ambiguous; it says in which line.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte, line = content[error.start], content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from None
    try:
        return _read(text, by_hand=by_hand, without_gaps=without_gaps)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValueError(f"line {line}: it has the character #x{error.character:04x}, which is no text") from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(_said(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read(text: str, *, by_hand: bool, without_gaps: bool) -> Any:
    loader = _OneMeaning(text)
    try:
        node = _composed(loader)
        if node is None:
            return None
        loader.require_one_meaning(node, by_hand=by_hand, without_gaps=without_gaps)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _composed(loader: "_OneMeaning") -> yaml.Node | None:
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError):
        raise ValueError(f"line {loader.line + 1}: an escape sequence stands for no character") from None


class _OneMeaning(yaml.SafeLoader):
    """YAML's safe loader, which MLflow uses, less what has two meanings or none."""

    def require_one_meaning(self, root: yaml.Node, *, by_hand: bool, without_gaps: bool) -> None:
        """Refuse keys that are there twice or no text, numbers of two bases, and what contains itself or has no end."""
        sizes: dict[yaml.Node, int] = {}
        around: set[yaml.Node] = set()

        def size(node: yaml.Node) -> int:
            if node in around:
                raise _problem(node, "it contains itself")
            if node not in sizes:
                around.add(node)
                if by_hand and isinstance(node, yaml.ScalarNode):
                    _require_plain_number(node)
                if isinstance(node, yaml.MappingNode):
                    self._require_clear_keys(node, by_hand=by_hand)
                    if without_gaps:
                        _require_no_gaps(node)
                sizes[node] = 1 + sum(size(child) for child in _children(node))
                around.remove(node)
            if sizes[node] > MOST_NODES:
                raise _problem(node, f"with its aliases it stands for more than {MOST_NODES} values")
            return sizes[node]

        size(root)

    def _require_clear_keys(self, node: yaml.MappingNode, *, by_hand: bool) -> None:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if by_hand and key.tag not in (TEXT, MERGE):
                said = f"the key {key.value} is no text; write it in quotes: '{key.value}'"
                raise _problem(key, said if isinstance(key, yaml.ScalarNode) else "a key is no text")
            if isinstance(key, yaml.ScalarNode):
                name = key.value if key.tag == MERGE else self.construct_object(key, deep=True)
                if name in seen:
                    raise _problem(key, f"the key {name!r} is there twice")
                seen.add(name)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return a value; one that cannot be made, such as an impossible date, is refused with its line."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # half of a surrogate pair, which an escape sequence may stand for, is no text
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            why = f"it is no {node.tag.rpartition(':')[2]}: {str(error).partition(';')[0]}"
            raise _problem(node, f"{why}; if text is meant, write it in quotes") from None
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise _problem(node, "a number has too many digits")
        return value


def _require_no_gaps(node: yaml.MappingNode) -> None:
    for key, value in node.value:
        if isinstance(value, yaml.ScalarNode) and value.style is None and value.value == "":
            said = "there is nothing behind it: write [] for nobody, {} for what is usual, null to take it away"
            raise _problem(key, f"{key.value}: {said}; or remove the line")


def _require_plain_number(node: yaml.ScalarNode) -> None:
    is_number, quoted = node.tag in NUMBERS, node.style is not None
    octal = LEADING_ZERO.fullmatch(node.value) and (is_number or (node.tag == TEXT and not quoted))
    if octal or (is_number and ":" in node.value):
        why = "a number with a zero before it" if octal else "a number of base 60"
        # Which one is not repeated: it may be a password.
        raise _problem(node, f"{why} is read in two ways; write it as a plain decimal number, or text in quotes")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _problem(node: yaml.Node, said: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(problem=said, problem_mark=node.start_mark)


def _said(error: yaml.MarkedYAMLError) -> str:
    """Return where and why, without the text around it: that may have a secret."""
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    wrong = said if isinstance(error, yaml.constructor.ConstructorError) else f"it is not YAML: {said}"
    return f"line {mark.line + 1}: {wrong}" if mark else wrong
