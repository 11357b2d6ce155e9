"""Is one version worse than another? Paired comparisons on rows that neither was trained on."""
