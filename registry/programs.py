"""Modules that are run as processes of their own: by this Python, whatever lies in the working folder.

Python puts that first on the path of `python -m`: somebody's `logging.py` there would be taken for Python's own.
"""

import sys

SAFE_PATH = {"PYTHONSAFEPATH": "1"}  # the same for what a program starts itself


def program(module: str, *words: str) -> tuple[str, ...]:
    """Return the words that run a module with the words that it takes.

    >>> program("slipway", "status")[1:]
    ('-P', '-m', 'slipway', 'status')
    """
    return (sys.executable, "-P", "-m", module, *words)
