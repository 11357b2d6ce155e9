"""May a stored model be loaded? Which files a loader reads, and whether they can run code."""
