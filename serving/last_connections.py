"""How a socket that listens takes no more connections, and loses none of those that have come."""

import logging
import socket
import sys

log = logging.getLogger("slipway.serve")

SO_BINDTOIFINDEX = 62  # <asm-generic/socket.h>, which the module `socket` has not
NO_INTERFACE = 2**31 - 1


def refuse_more(listener: socket.socket) -> bool:
    """Have who connects from now on refused, and who has come accepted; return whether this system can.

    The kernel resets what it holds for a socket that is closed: clients who were connected already, and were never
    accepted. So on Linux the socket is bound to an interface that there is not. No right is needed for that, as a
    filter of packets would need one (Linux 5.7 and newer).
    """
    if sys.platform != "linux":
        return False
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
    except OSError as error:  # an older kernel, or a sandbox: then who comes in the last moment is reset
        log.info("clients that connect while the engine stops may be reset: %s", error.strerror)
        return False
    return True
