"""How a version is run: compiled, prepared by us and scored by its own estimator, natively, or through pyfunc."""
