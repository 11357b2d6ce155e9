"""Slipway takes a model from `mlflow run` to a production endpoint, and back when it misbehaves.

Its three packages lie at the top of the repository, and are imported by this name alone: links make them its own.
Installed, they are folders of this package, so that nobody's own `training`, `registry` or `serving` is in the way.
"""

__version__ = "0.1.0"
