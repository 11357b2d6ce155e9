"""The rules of the house: who may import whom, and what a file's name promises."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("training", "registry", "serving")
ALLOWED = {"training": {"training", "registry"}, "registry": {"registry"}, "serving": {"serving", "registry"}}
VENDOR_DOORS = {
    "mlflow": r"mlflow_\w+",
    "sqlalchemy": r"sql_\w+",
    "alembic": r"sql_\w+",
    "boto3": r"s3_\w+",
    "botocore": r"s3_\w+",
    "confluent_kafka": r"kafka_\w+",
    "optuna": r"optuna_\w+",
    "git": r"git_\w+",
    "click": r"(\w+_)?commands|console",
    "rich": r"console",
    "fastapi": r"app(_\w+)?|mlflow_\w+",
    "starlette": r"app(_\w+)?|mlflow_\w+",
    "flask": r"mlflow_\w+",
    "uvicorn": r"http",
    "prometheus_client": r"metrics",
    "grpc": r"grpc(_\w+)?",
    "grpc_health": r"grpc(_\w+)?",
    "grpc_reflection": r"grpc(_\w+)?",
    "jwt": r"jwt_\w+",
    "skops": r"skops_\w+|sklearn_\w+|acceleration|prepare_process",
    "onnx": r"contents|compile_trees",
    "onnxruntime": r"trees",
    "pyarrow": r"parquet(_\w+)?|file_data|holdout_record",
}
# The floors of each package, the highest first: who is on one imports from it and from those below, and what lies in
# the package itself is the ground of all.
FLOORS = {
    "registry": ("server", "setup", "decisions", "gate", "engines", "versions", "ledger", "policy", "artifacts"),
    "serving": (
        "packaging",
        "local",
        "supervision",
        "transports",
        "scoring",
        "slow_lane",
        "protocols",
        "engine",
        "preparation",
        "runtimes",
    ),
}
MODULES = sorted(p.relative_to(ROOT) for package in PACKAGES for p in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in the file, as they stand there."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def imports_of(path: Path) -> Iterator[str]:
    """Yield what a file imports, ours as its place in the house: without the name under which it is imported."""
    return (name.removeprefix("slipway.") for name in imported(path))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_packages_import_only_what_they_may(module: Path) -> None:
    """Training → registry ← serving: the outer two never meet, and nobody imports the composition root."""
    ours = {name.split(".")[0] for name in imports_of(module)} & {*PACKAGES, "slipway"}
    assert ours <= ALLOWED[module.parts[0]]


def test_the_three_packages_have_one_name() -> None:
    """A module that is imported as `registry.…` as well would be two, and in the way of somebody's own `registry`."""
    files = [
        path for top in (*PACKAGES, "slipway", "tests", "benchmarks", "docs") for path in (ROOT / top).rglob("*.py")
    ]
    assert [path for path in files if {name.split(".")[0] for name in imported(path)} & set(PACKAGES)] == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_chapter_has_its_floor(package: str) -> None:
    """A new one is put where it belongs, and says in one sentence which question it answers."""
    chapters = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert chapters == set(FLOORS[package])
    for path in (ROOT / package).glob("*/__init__.py"):
        assert (ast.get_docstring(ast.parse(path.read_text())) or "").partition("?")[1], f"{path} asks no question"


@pytest.mark.parametrize("module", [module for module in MODULES if module.parts[0] in FLOORS], ids=str)
def test_chapters_import_downward_only(module: Path) -> None:
    """Whoever reads from the ground up meets nothing unknown."""
    upward = [name for name in imports_of(module) if name.split(".")[0] == module.parts[0]]
    assert [name for name in upward if floor_of(name) < floor_of(dotted(module))] == []


def floor_of(name: str) -> int:
    """Return how far below the top a module is: the ground is the lowest."""
    package, chapter, *_ = *name.split("."), ""
    floors = FLOORS[package]
    return floors.index(chapter) if chapter in floors else len(floors)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_vendors_enter_only_through_their_doors(module: Path) -> None:
    """Only a file named after its vendor imports that vendor."""
    for name in imports_of(module):
        door = VENDOR_DOORS.get(name.split(".")[0])
        inside = any(re.fullmatch(door, part) for part in [*module.parent.parts[1:], module.stem]) if door else True
        assert inside, f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_import_hides_in_a_function(module: Path) -> None:
    """The lazy command table is the only place that imports late."""
    hidden = [
        inner.lineno
        for outer in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_names_say_what_is_inside(module: Path) -> None:
    """A drawer for everything is a drawer for nothing."""
    assert not {"utils", "common", "helpers", "base"} & {*module.parent.parts, module.stem}


def test_no_import_cycles() -> None:
    """Modules can be read in some order, each after what it builds on."""
    graph = {dotted(m): {n for n in imports_of(m) if n.split(".")[0] in PACKAGES} for m in MODULES}
    done: set[str] = set()
    while ready := [m for m, needs in graph.items() if m not in done and (needs & graph.keys()) - {m} <= done]:
        done.update(ready)
    assert graph.keys() - done == set()


def dotted(module: Path) -> str:
    """Return the import name of a file."""
    parts = module.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_two_public_classes_have_one_name() -> None:
    """One name, one meaning: whoever reads it knows which is meant."""
    names = [
        node.name
        for module in MODULES
        for node in ast.parse((ROOT / module).read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []
