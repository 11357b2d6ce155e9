"""The checks, one in each module: `check(evidence, rule)` returns what was found, and changes nothing."""
