"""How does a version become servable? It is fetched, compared and compiled in a child, and kept in the cache."""
