"""What reads the requests that no decoder takes? MLflow's own code, in a process of its own."""
