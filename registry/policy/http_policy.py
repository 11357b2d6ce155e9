"""The door to the policies that a server holds."""

from slipway.registry.http_client import SlipwayServer, understood
from slipway.registry.policy.policy import PolicyBook


@understood()
def policies_of(server: SlipwayServer) -> PolicyBook:
    """Return the policies that a server holds."""
    found = server.get("/policy")
    return PolicyBook(found["policy"], source=f"{found['source']} of {server.shown}")
