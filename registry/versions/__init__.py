"""What is there? Versions, aliases and runs, as MLflow's registry has them."""
