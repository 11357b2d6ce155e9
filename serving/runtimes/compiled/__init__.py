"""What runs a model by our own code? The preprocessing and estimators that are compiled, and how they are read."""
