"""How the address of a server is written: that of IPv6 in brackets, since its colons are no port's."""

import socket

# Where a server that listens everywhere is reached on its own machine.
HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def http_address(host: str, port: int) -> str:
    """Return the address of a server.

    >>> http_address("127.0.0.1", 8080), http_address("::1", 8080), http_address("[::1]", 8080)
    ('http://127.0.0.1:8080', 'http://[::1]:8080', 'http://[::1]:8080')
    """
    return f"http://{host_and_port(host, port)}"


def host_and_port(host: str, port: int) -> str:
    """Return an address without the protocol, as clients of gRPC take it.

    >>> host_and_port("127.0.0.1", 9000), host_and_port("::1", 9000)
    ('127.0.0.1:9000', '[::1]:9000')
    """
    bare = without_brackets(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def without_brackets(host: str) -> str:
    """Return a host as sockets take it, also where it was written as in an address."""
    return host.removeprefix("[").removesuffix("]")


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of sockets that listen on a host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
