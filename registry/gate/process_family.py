"""The processes that one process has started, whatever groups and sessions they made: count, weigh and kill them.

All of it is read from /proc; where there is none (macOS), a family is unknown and its leader's group alone is killed.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass

from slipway.registry.process_table import ProcessEntry, living_processes, proportional_bytes

PR_SET_CHILD_SUBREAPER = 36
KILL_WITHIN_S = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A leader, by its process id, and the network that it has to itself; `None` where it shares that of others.

    The leader watches over the others, and is not counted among them.
    """

    leader: int
    network: str | None


def adopt_orphans() -> None:
    """Become the parent of whatever descendant loses its own, so that none leaves this family."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def own_network() -> str | None:
    """Return what names the network of this process; `None` where the system does not tell."""
    return _network_of(os.getpid())


def hold_network(process: int, name: str) -> int | None:
    """Return an open handle on the network that a process says it has; `None` where it has another, or is gone.

    A name is given again as soon as nobody holds what had it: without a handle, whoever kills a family that has ended
    would kill the next one to be given its name.
    """
    try:
        handle = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    if name == f"net:[{os.fstat(handle).st_ino}]":
        return handle
    os.close(handle)
    return None


def size_of(family: Family) -> tuple[int, int]:
    """Return how many processes a family has, and how many bytes of memory they hold, shared ones once for each."""
    members = _led(family)
    return len(members), sum(each.resident_bytes for each in members)


def exact_bytes(family: Family) -> int:
    """Return the memory of a family with what its processes share counted once; it costs milliseconds a process."""
    return sum(proportional_bytes(each.id) for each in _led(family))


def kill(family: Family, *, but: int | None = None) -> None:
    """Kill a family: all are stopped before any is killed, until none is left, so that none starts another meanwhile.

    `but` is a process that is left, which calls this for its own family.
    """
    if but is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(family.leader, signal.SIGKILL)
    deadline = time.monotonic() + KILL_WITHIN_S
    while (left := _ids(family, but)) and time.monotonic() < deadline:
        for each in (signal.SIGSTOP, signal.SIGKILL):
            for member in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(member, each)
            left = _ids(family, but)


def _ids(family: Family, but: int | None) -> set[int]:
    return {each.id for each in _members(family, by_network=True)} - {but}


def _led(family: Family) -> list[ProcessEntry]:
    return [each for each in _members(family, by_network=False) if each.id != family.leader]


def _members(family: Family, *, by_network: bool) -> list[ProcessEntry]:
    """Return the living members: the leader's session, its descendants, and who is in a network of its own with it."""
    everybody = list(living_processes())
    children: dict[int, list[ProcessEntry]] = {}
    for each in everybody:
        children.setdefault(each.parent, []).append(each)
    found = {each.id: each for each in everybody if family.leader in (each.id, each.session)}
    if by_network and family.network:
        found |= {each.id: each for each in everybody if _network_of(each.id) == family.network}
    left = list(found)
    while left:
        for child in children.get(left.pop(), ()):
            if child.id not in found:
                found[child.id] = child
                left.append(child.id)
    return list(found.values())


def _network_of(process: int) -> str | None:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{process}/ns/net")
    return None
