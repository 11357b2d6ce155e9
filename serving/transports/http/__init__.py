"""How do bytes come in over HTTP, and go out? Routes, connections, headers."""
