"""How does a decision take effect? Every verb that moves a version, its commands, and what follows from it."""
