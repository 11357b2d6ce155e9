"""How does a version ship? As an image: its files, what serves them, and what they were when they were packaged."""
