"""The wheel: installed beside a project that has its own `training`, `registry` and `serving`, every command works."""

import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from slipway import command_line
from slipway.registry.distribution import DISTRIBUTION
from tests.servers.clones import ROOT, copied
from tests.servers.processes import answers, environment, free_port, process, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]
OURS = ("training", "registry", "serving")
POLICY = """
stages:
  staging: {checks: {contract: {}, own: {sane: {entry_point: "checks.sanity:judge"}}}}
  production: {checks: {metric: {limits: {holdout_accuracy: {min: 0.5}}}}}
"""
SMALL = "--data sklearn:iris --target target --model iris --estimator logistic --importance-seconds 0.1"
# In this order; `serve` and `up` come last, when something is in production.
RUNS = [
    "init",
    "policy check",
    f"train {SMALL}",
    f"tune {SMALL} --trials 2 --cv 2",
    "versions iris",
    "compare iris/1 iris/2",
    "evaluate iris/1 --data sklearn:iris --target target",
    "gate iris/1 --to staging",
    "promote iris/1 --to staging --reason first",
    "demote iris/1 --reason later",
    "archive iris/1 --reason never",
    "promote iris/2 --to staging --reason better",
    "promote iris/2 --to production --reason better",
    "status",
    "history iris --verify",
    "clean",
]
# These find functions beside the policy where nothing else has put its folder on the path, as for the script `slipway`.
FINDS_BESIDE = ("policy", "gate")
STAYING = ["serve iris@production --port {port}", "up --port {port} --scoring-port {other}"]
# It is recorded already, its author may not, nothing was there before, nothing has the alias, no engine is there and no
# such platform: they say so.
REFUSED = [
    "register iris/2 --reason again",
    "approve iris/2 --to production",
    "rollback iris --reason worse",
    "adopt iris@staging --reason ours",
    "health --port 1",
    "image iris/2 --base oci:nowhere --platform other",
]


def test_a_wheel_holds_one_package_and_all_of_it(wheel: Path):
    """Nothing lies beside it in site-packages, and no module is left out."""
    inside = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    assert {path.parts[0].partition("-")[0] for path in inside} == {"slipway", DISTRIBUTION.replace("-", "_")}
    modules = {Path("slipway") / path.relative_to(ROOT) for name in OURS for path in (ROOT / name).rglob("*.py")}
    assert {path for path in inside if path.suffix == ".py" and len(path.parts) > 2} == modules
    assert Path("slipway/py.typed") in inside, "type checkers of whoever calls it would not read its annotations"


def test_every_command_works_beside_a_project_with_our_folders(installed: Path, project: Path):
    """In the project's own folder, which `python -m` puts first on the path."""
    assert {words.split()[0] for words in [*RUNS, *REFUSED, *STAYING, "doctor"]} == set(command_line.COMMANDS)
    where = command(installed, project, "-c", "import slipway.registry.errors as ours; print(ours.__file__)")
    assert Path(where.stdout.strip()) == installed / "slipway" / "registry" / "errors.py"
    for words in RUNS:
        safe = ["-P"] if words.split()[0] in FINDS_BESIDE else []
        done = command(installed, project, *safe, "-m", "slipway", *words.split())
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    for words in [*REFUSED, "doctor"]:
        done = command(installed, project, "-m", "slipway", *words.split())
        assert done.returncode in (0, 1), f"{words}: {done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    for name in ("logging.py", "json.py"):  # of children that took the working folder first, none would start
        (project / name).write_text("raise AssertionError('not Python's own')\n")
    for words in STAYING:
        require_served(words, installed, project)


def require_served(words: str, installed: Path, project: Path) -> None:
    """Run what stays until it answers, and stop it."""
    port, other = free_port(), free_port()
    name, *more = words.format(port=port, other=other).split()
    command = [sys.executable, "-P", "-m", "slipway", name, *more]  # as the script `slipway` starts
    log = project / f"{name}.log"
    url = f"http://127.0.0.1:{port}/ready" if name == "serve" else f"http://127.0.0.1:{other}/ping"
    with process(*command, folder=project, log=log, PYTHONPATH=str(installed)) as started:
        wait_for(lambda: answers(url), within_s=180, log=log)
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) in (0, -signal.SIGTERM), log.read_text()


def command(installed: Path, project: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in the project, with the wheel before all else that is installed."""
    there = environment(PYTHONPATH=str(installed))
    return subprocess.run([sys.executable, *words], cwd=project, capture_output=True, text=True, check=False, env=there)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that is built from what is, or would be, committed."""
    clone, built = copied(tmp_path_factory.mktemp("clone")), tmp_path_factory.mktemp("built")
    words = ["uv", "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", str(built), str(clone)]
    subprocess.run(words, check=True, env=environment())
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the wheel is installed in; what it needs is where this Python has it."""
    place = tmp_path_factory.mktemp("installed")
    words = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(place)]
    subprocess.run([*words, str(wheel)], check=True, env=environment())
    return place


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return somebody's repository: whoever imports its packages learns that they are not Slipway's."""
    folder = tmp_path_factory.mktemp("project")
    for name in OURS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise AssertionError('this {name} is not of Slipway')\n")
    (folder / "promotion.yaml").write_text(POLICY)
    (folder / "checks").mkdir()
    (folder / "checks" / "sanity.py").write_text(
        "def judge(asked):\n    return {'outcome': 'PASS', 'reason': asked['version']}\n"
    )
    return folder
