"""May this version enter? The evidence, the checks and the verdict."""
