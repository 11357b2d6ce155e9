"""What do bytes mean in the Open Inference Protocol? Tensors, and how they lie in a signature's columns; no HTTP."""
