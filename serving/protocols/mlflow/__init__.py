"""What do bytes mean in MLflow's scoring protocol, and in the plain `/predict`? Decoding, encoding, and why not."""
