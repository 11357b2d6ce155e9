"""From data to a logged model: the steps train, log and retrain."""
