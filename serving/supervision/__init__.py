"""Which processes are there, and what do they follow? The supervisor and its workers."""
