"""How does a request become what the engine understands? MLflow's protocol whole: plain requests, the slow lane."""
