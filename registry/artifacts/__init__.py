"""Where are the bytes? Locations, stores, and the cache of fetched files."""
