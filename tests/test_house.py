"""Files that must agree with each other do: lock, conda.yaml, MLproject, the command table, the docs."""

import ast
import configparser
import importlib
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml

import slipway
from slipway import command_line
from slipway.registry.distribution import DISTRIBUTION, install_with
from slipway.training.spec import TrainSpec

ROOT = Path(__file__).parent.parent
MLPROJECT = yaml.safe_load((ROOT / "MLproject").read_text())


def locked() -> dict[str, str]:
    """Return name → version of the lock for this Python."""
    found = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        match = re.match(r"([\w.-]+)==([^ ]+)(?: ; (.*))?$", line)
        if match and "python_full_version >= '3.12'" not in (match[3] or ""):
            found[match[1]] = match[2]
    return found


def test_conda_yaml_installs_what_the_lock_says():
    """The environment of `mlflow run` is the one that was tested."""
    pip = next(
        d["pip"] for d in yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"] if isinstance(d, dict)
    )
    pinned = dict(line.split("==") for line in pip if "==" in line)
    assert pip[0] == "-c requirements.lock"
    assert pinned == {name: locked()[name] for name in pinned}


def test_conda_yaml_offers_the_boosters_at_the_versions_of_the_lock():
    """As comments: taking the # away adds them to the environment of `mlflow run`."""
    offered = dict(re.findall(r"^      # - ([\w-]+)==(.+)$", (ROOT / "conda.yaml").read_text(), re.MULTILINE))
    assert offered == {name: locked()[name] for name in ("xgboost-cpu", "lightgbm", "catboost")}
    with_them = yaml.safe_load((ROOT / "conda.yaml").read_text().replace("# - ", "- "))
    assert {f"{name}=={version}" for name, version in offered.items()} <= set(with_them["dependencies"][-1]["pip"])


def test_conda_yaml_names_every_direct_dependency():
    """Nothing that setup.cfg requires is left to chance."""
    required = re.search(r"install_requires =\n((?:    .+\n)+)", (ROOT / "setup.cfg").read_text())[1]
    names = {re.match(r"[\w-]+", line.strip())[0] for line in required.splitlines()}
    assert names <= {re.split(r"==", line)[0] for line in (ROOT / "conda.yaml").read_text().replace("- ", "").split()}


def test_installers_are_told_one_name():
    """`pip install slipway` would bring another project: no text says it, and setup.cfg has the name that code has."""
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    assert metadata["metadata"]["name"] == DISTRIBUTION
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts += [path for top in ("training", "registry", "serving") for path in (ROOT / top).rglob("*.py")]
    wrong = re.compile(r"slipway\[|(?<!un)install (?:-\S+ )*'?slipway(?![-\w/])")
    assert {str(path) for path in texts if wrong.search(path.read_text())} == set()
    assert wrong.search("pip install -U slipway")
    assert wrong.search("pip install 'slipway[auth]'")
    assert not wrong.search(install_with("auth"))


@pytest.mark.parametrize("entry_point", ["main", "train", "tune"])
def test_entry_points_take_the_specs_parameters(entry_point: str):
    """MLproject and the spec have the same names and defaults, so that both doors do the same."""
    fields = {field.alias or name: field for name, field in TrainSpec.model_fields.items()}
    parameters = MLPROJECT["entry_points"][entry_point]["parameters"]
    assert set(fields) <= set(parameters)
    defaults = {name: parameters[name]["default"] for name, field in fields.items() if not field.is_required()}
    expected = TrainSpec(data="d", target="t", model="m").model_dump(by_alias=True)
    if entry_point == "tune":
        expected["cv"] = 5
    spec = TrainSpec.model_validate({"data": "d", "target": "t", "model": "m", **defaults})
    assert spec.model_dump(by_alias=True) == expected


@pytest.mark.parametrize("entry_point", MLPROJECT["entry_points"])
def test_entry_points_pass_on_every_parameter(entry_point: str):
    """A parameter that the command line does not carry would be ignored in silence."""
    entry = MLPROJECT["entry_points"][entry_point]
    assert set(re.findall(r"{(\w+)}", entry["command"])) == set(entry["parameters"])


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_the_command_table_says_what_the_command_says(name: str):
    """The help that is shown without importing a command is that command's own."""
    entry = command_line.COMMANDS[name]
    command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
    assert command.name == name
    assert command.help.splitlines()[0] == entry.help
    assert "Example" in (command.epilog or ""), f"{name} shows no example"


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_every_command_is_documented(name: str):
    """What the docs do not name does not exist for its users."""
    assert any(f"slipway {name}" in path.read_text() for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("name", slipway.PUBLIC)
def test_public_python_is_documented(name: str):
    """Each function has a docstring with an example, and a page shows how it is called."""
    module = getattr(slipway, name)
    for function in module.__all__:
        assert "Examples\n" in getattr(module, function).__doc__
        assert any(f"slipway.{name}.{function}(" in path.read_text() for path in (ROOT / "docs").glob("*.md"))


def test_what_is_not_public_is_no_attribute():
    """A misspelt name is an error, as of every module."""
    with pytest.raises(AttributeError, match="module 'slipway' has no attribute 'holdouts'"):
        _ = slipway.holdouts


def test_help_imports_no_vendor():
    """`slipway --help` answers at once: MLflow, pandas and scikit-learn are not imported for it."""
    vendors = "{'mlflow', 'pandas', 'sklearn', 'sqlalchemy'}"
    run = f"command_line.run(['--help']); print(sorted({vendors} & set(sys.modules)))"
    code = f"import sys; from slipway import command_line; {run}"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.splitlines()[-1] == "[]"
    assert "promote" in shown.stdout


def test_a_command_wastes_no_time_on_collecting():
    """Imports make a million objects and no garbage: the collector looks seldom, and not once more at the end."""
    at_exit = "atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 0))"
    code = f"import atexit, gc; from slipway import command_line; {at_exit}; command_line.main(['--version'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.splitlines()[-1] == f"{command_line.COLLECT_AFTER_OBJECTS} True"


COUNTED = re.compile(
    r" (?:more |other |older )?"
    r"(?:events|versions|files|findings|experiments|models|trials|parameters|requests|slices)\b"
)


def texts_of_code() -> list[tuple[str, ast.JoinedStr | ast.Constant]]:
    """Return every text in our code that is no docstring, with the file in which it stands."""
    found = []
    for package in ("registry", "serving", "training", "slipway"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            found += [
                (path.relative_to(ROOT).as_posix(), node)
                for node in ast.walk(tree)
                if isinstance(node, ast.JoinedStr)
                or (isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in plain)
            ]
    return found


def test_no_message_names_a_file_of_docs():
    """A wheel has none of them: messages name a command, or say what the page would."""
    texts = [(where, node.value) for where, node in texts_of_code() if isinstance(node, ast.Constant)]
    assert [each for each in texts if re.search(r"docs/\w|\w\.md\b", each[1])] == []


def test_what_is_counted_may_be_one():
    """`1 versions` is what a newcomer reads first: `counted` says how many of what."""
    odd = [
        (where, ast.unparse(node))
        for where, node in texts_of_code()
        if isinstance(node, ast.JoinedStr)
        for number, noun in pairwise(node.values)
        if isinstance(number, ast.FormattedValue) and not ast.unparse(number.value).isupper()
        if isinstance(noun, ast.Constant) and COUNTED.match(noun.value)
    ]
    assert odd == []


BY_CHANCE = {"urandom", "token_bytes", "token_hex", "randbits", "random", "uuid4", "now", "time"}


def called_by_chance(file: Path) -> list[str]:
    """Return what a file's parametrized tests take from chance or the clock, for the names of their cases."""
    decorators = (
        decorator
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if "parametrize" in ast.unparse(decorator)
    )
    calls = (call for each in decorators for call in ast.walk(each) if isinstance(call, ast.Call))
    return [f"{file}: {ast.unparse(call)}" for call in calls if ast.unparse(call.func).split(".")[-1] in BY_CHANCE]


def test_every_worker_collects_the_same_tests():
    """A case that is named by chance has another name in each: then none of them runs anything."""
    found = [each for file in sorted((ROOT / "tests").rglob("test_*.py")) for each in called_by_chance(file)]
    assert not found
