"""What people write instead: the plain apps that the engine is measured beside, and the limit of its own HTTP stack."""
