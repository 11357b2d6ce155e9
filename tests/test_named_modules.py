"""Modules that are named in strings: those break silently when a file moves, so each is imported here."""

import ast
import configparser
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("training", "registry", "serving", "slipway")
DOTTED = re.compile(r"(?:slipway\.(?:training|registry|serving|command_line)|benchmarks)(?:\.\w+)+(?::\w+)?")
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")


def in_code() -> Iterator[str]:
    """Yield every text of our code that is nothing but a dotted name of ours: `-m`, lazy imports, preloads, apps."""
    for path in (path for top in (*OURS, "benchmarks") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value):
                yield node.value


def in_setup() -> Iterator[str]:
    """Yield what setup.cfg names: entry points, and the modules for which the type checker has rules of their own."""
    for group in CONFIG["options.entry_points"].values():
        yield from (line.partition("=")[2].strip() for line in group.splitlines() if "=" in line)
    for section in CONFIG.sections():
        if section.startswith("mypy-"):
            yield from (name for name in section.removeprefix("mypy-").split(",") if name.startswith("slipway."))


def in_texts() -> Iterator[str]:
    """Yield what is run by `python -m` in the Makefile, MLproject, scripts and docs."""
    texts = [ROOT / name for name in ("Makefile", "MLproject", "README.md", ".ci/run")]
    for path in [*texts, *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.sh")]:
        yield from re.findall(rf"-m ({DOTTED.pattern})", path.read_text())


NAMED = sorted({*in_code(), *in_setup(), *in_texts()})


@pytest.mark.parametrize("name", [name for name in NAMED if not name.startswith("benchmarks")])
def test_a_module_that_is_named_in_a_string_is_there(name: str):
    """Whoever follows the string finds the module, and in it what stands after the colon."""
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    assert not attribute or hasattr(found, attribute)


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith("benchmarks")])
def test_a_benchmark_that_is_named_in_a_string_is_there(name: str):
    """What a benchmark starts is there; its rivals' libraries need not be."""
    assert importlib.util.find_spec(name.partition(":")[0]) is not None


def test_the_strings_are_found():
    """One of each kind is among them: command table, entry point, lazy import, `-m`, preload, type checker."""
    assert {
        "slipway.registry.decisions.gate_commands",
        "slipway.registry.server.entry_points:registry_store",
        "slipway.registry.server.guard.mlflow_guarded_artifacts",
        "slipway.serving.supervision.worker",
        "slipway.registry.gate.checks.slices",
        "slipway.registry.setup.mlflow_examined",
    } <= set(NAMED)
