"""Versions, stages and promotion, and the ground that training and serving share."""
