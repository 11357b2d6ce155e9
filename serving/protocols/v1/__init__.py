"""What do bytes mean in the V1 protocol of TensorFlow Serving and KServe? Rows, put as requests of MLflow's."""
