"""Which function does a policy mean by `module:function`? One beside its file, else one that is installed.

Run as a program, it imports the functions that standard input names and says what is wrong with them: what somebody's
module does when it is imported is done in a process of its own.
"""

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from slipway.registry.errors import InvalidInput
from slipway.registry.nearest import did_you_mean
from slipway.registry.programs import program
from slipway.registry.text import one_line

WITHIN_S = 120.0
SAID_CHARACTERS = 300


def own_function(entry_point: str, folder: Path | None) -> Callable[..., Any]:
    """Import the function that `module:function` names; modules beside the policy in a folder come first.

    They never stand before Python's own and what is imported already: a `json.py` in somebody's folder is not meant.

    Raises
    ------
    InvalidInput
        There is no such module or function, or the module cannot be imported.
    """
    module, _, attribute = entry_point.partition(":")
    try:
        if folder is not None:
            _find_beside(module.partition(".")[0], folder)
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        where = f" beside the policy ({folder}) or installed" if folder else ""
        why = f"no module '{error.name}'{where}" if error.name and module.startswith(error.name) else str(error)
        raise _not_there(entry_point, why) from error
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        said = one_line(f"{type(error).__name__}: {error}")[:SAID_CHARACTERS]
        raise _not_there(entry_point, f"importing {module} failed: {said}") from error
    function = getattr(found, attribute, None)
    if not callable(function):
        near = did_you_mean(attribute, [name for name in vars(found) if callable(vars(found)[name])])
        raise _not_there(entry_point, f"{found.__file__ or module} has no function '{attribute}'{near}")
    return function  # type: ignore[no-any-return]


def _find_beside(top: str, folder: Path) -> None:
    """Import a top-level module from a folder, if it lies there, and let what it imports be found there too."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)
    if top in sys.modules or top in sys.stdlib_module_names:
        return
    spec = PathFinder.find_spec(top, [place])
    if spec is None or spec.loader is None or not spec.has_location:
        return  # a folder without __init__.py is found by the path
    sys.modules[top] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[top])
    except BaseException:
        del sys.modules[top]
        raise


def problems_of(entry_points: Iterable[str], folder: Path) -> dict[str, str]:
    """Return what is wrong with each function that cannot be had, in words; they are imported in another process."""
    asked = json.dumps([sorted(set(entry_points)), str(folder)])
    words = program("slipway.registry.policy.own_functions")
    done = subprocess.run(words, input=asked, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    try:
        found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        why = one_line(done.stderr)[-SAID_CHARACTERS:] or f"status {done.returncode}"
        return dict.fromkeys(entry_points, f"to import it ended the process: {why}")
    return found


def main() -> None:
    """Read functions and a folder from standard input, and write what is wrong with them as its last line."""
    entry_points, folder = json.load(sys.stdin)
    found = {}
    for entry_point in entry_points:
        try:
            own_function(entry_point, Path(folder))
        except InvalidInput as error:
            found[entry_point] = error.message
    print(f"\n{json.dumps(found)}")


def _not_there(entry_point: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"there is no function {entry_point}: {why}", code="no-such-check", hint="write module:function"
    )


if __name__ == "__main__":
    main()
