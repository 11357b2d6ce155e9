"""What must hold? The policy's stages and checks, and who may do what."""
