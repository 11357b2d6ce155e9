"""Slipway takes a model from `mlflow run` to a production endpoint, and back when it misbehaves.

Its three packages lie at the top of the repository, and are imported by this name alone: links make them its own.
Installed, they are folders of this package, so that nobody's own `training`, `registry` or `serving` is in the way.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
PUBLIC = ("holdout",)  # what programs call: `import slipway` is enough, and imports nothing heavy


def __getattr__(name: str) -> ModuleType:
    """Import a public module when it is first named."""
    if name in PUBLIC:
        return importlib.import_module(f"slipway.{name}")
    raise AttributeError(f"module 'slipway' has no attribute '{name}'")
