"""How do bytes come in over gRPC, and go out? Calls, statuses, connections."""
