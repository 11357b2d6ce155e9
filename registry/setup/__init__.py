"""What does it stand on, and is that sound? `slipway init`, `slipway doctor`, a team's stores and accounts."""
