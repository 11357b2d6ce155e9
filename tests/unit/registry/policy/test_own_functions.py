"""Functions of one's own: found beside the policy, named with what is wrong where they are not there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.policy.own_functions import own_function, problems_of

JUDGE = "def judge(asked):\n    return {'outcome': 'PASS', 'reason': NAME}\n"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave this process's modules and path as they were."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return somebody's repository, with a package and a module of checks, and modules called like others'."""
    files = {
        "own_checks/__init__.py": "",
        "own_checks/fairness.py": f"from own_words import NAME\n{JUDGE}",
        "own_words.py": "NAME = 'fair'\n",
        "own_rules/latency.py": f"NAME = 'fast'\n{JUDGE}",
        "iniconfig.py": f"NAME = 'beside'\n{JUDGE}",
        "json.py": JUDGE,
        "registry.py": f"NAME = 'theirs'\n{JUDGE}",
        "own_broken.py": "def judge(:\n",
        "own_lacking.py": "import no_such_library\n",
        "own_leaving.py": "raise SystemExit('bye')\n",
        "own_dying.py": "import os; os._exit(3)\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("entry_point", "said"),
    [
        ("own_checks.fairness:judge", "fair"),
        ("own_rules.latency:judge", "fast"),
        ("registry:judge", "theirs"),
        ("iniconfig:judge", "beside"),
    ],
)
def test_a_function_beside_the_policy_is_found(folder: Path, entry_point: str, said: str):
    """In a package, in a folder, in a module that is called like ours, and before one that is installed."""
    sys.modules.pop("iniconfig", None)  # a package that is installed here
    assert own_function(entry_point, folder)({}) == {"outcome": "PASS", "reason": said}


def test_pythons_own_modules_stay(folder: Path):
    """Whoever has a `json.py` does not mean that all else should read JSON by it."""
    with pytest.raises(InvalidInput, match=r"no function json:judge: .*has no function 'judge'"):
        own_function("json:judge", folder)


@pytest.mark.parametrize(
    ("entry_point", "said"),
    [
        ("own_nothing:judge", "no module 'own_nothing' beside the policy"),
        ("own_checks.nothing:judge", "no module 'own_checks.nothing' beside the policy"),
        ("own_checks.fairness:jugde", "has no function 'jugde' (did you mean 'judge'?)"),
        ("own_words:NAME", "has no function 'NAME'"),
        ("own_broken:judge", "importing own_broken failed: SyntaxError"),
        ("own_lacking:judge", "No module named 'no_such_library'"),
        ("own_leaving:judge", "importing own_leaving failed: SystemExit: bye"),
    ],
)
def test_what_is_wrong_with_a_function_is_told(folder: Path, entry_point: str, said: str):
    """In words of the policy's author, here and by the process that `policy check` asks."""
    with pytest.raises(InvalidInput) as refused:
        own_function(entry_point, folder)
    assert said in refused.value.message
    assert problems_of([entry_point, "own_checks.fairness:judge"], folder) == {entry_point: refused.value.message}


def test_a_module_that_ends_the_process_is_a_problem(folder: Path):
    """And not a silent yes."""
    assert "ended the process: status 3" in problems_of(["own_dying:judge"], folder)["own_dying:judge"]
