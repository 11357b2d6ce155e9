"""What may MLflow's own clients not do? The guard around what decisions put into a stage."""
