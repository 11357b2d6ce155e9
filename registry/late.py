"""Functions that are named, and imported when they are first called: what a process never calls costs it nothing.

The heavy libraries (MLflow's models, scikit-learn, skops) take seconds to import. A gate judges in processes that have
them already; whoever starts it needs none. `tests/test_named_modules.py` imports every module that is named so.
"""

import importlib
from typing import Any


def call(module: str, attribute: str, *arguments: Any, **named: Any) -> Any:
    """Import a module, and call a function of it; as a `partial`, it is found again in another process."""
    return getattr(importlib.import_module(module), attribute)(*arguments, **named)
