"""What the process of a check may reach: no network, no secrets, a home that is thrown away, bounded memory.

A model under test may be hostile in a way that no judgement of its format knows. Its process gets the variables that
are listed here and no others, an empty folder as its home and for temporary files, and, on Linux, a network of its own
with nothing but loopback, within a user namespace of its own, where it cannot read the environment of the processes
that started it. It keeps the user's access to files: which of them hold secrets, nobody can know.
"""

import ctypes
import fcntl
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

# What a process needs to run Python and native libraries as its parent does, and where nobody keeps a secret.
KEPT = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "JAVA_HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
        "PATH",
        "SPARK_HOME",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    }
)
KEPT_PREFIXES = ("LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMEXPR_", "VECLIB_")
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
INTERFACE = struct.Struct("16sH22x")


def environment_for_checks(environ: Mapping[str, str], more: Iterable[str], home: Path) -> dict[str, str]:
    """Return the variables of a check: those that are kept, those that its rule names, and a home in a folder."""
    named = KEPT | set(more)
    kept = {name: value for name, value in environ.items() if name in named or name.startswith(KEPT_PREFIXES)}
    folder = str(home)
    return {**kept, "HOME": folder, "TMPDIR": folder, "XDG_CACHE_HOME": folder, "XDG_CONFIG_HOME": folder}


def take_environment(environment: Mapping[str, str]) -> None:
    """Make these all the variables of this process, for its libraries and children too."""
    os.environ.clear()
    os.environ.update(environment)


def bound_memory(most_bytes: int) -> None:
    """Have this process, and each one that it starts, be refused memory beyond a size; nothing of it is dumped."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the limit does not count what is mapped, or is refused
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def leave_the_network() -> str | None:
    """Move this process into a network with loopback alone; return why it could not be, `None` where it is.

    The process must have one thread. Where the system allows no user namespace, as in many containers, a network
    namespace alone is tried, which takes the rights of an administrator.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no network namespaces"
    refused = _unshare_with_users()
    if refused and _unshare(CLONE_NEWNET):
        return f"the system refuses a network namespace: {refused}"
    _bring_up_loopback()
    return None


def _unshare(flags: int) -> str | None:
    """Leave the namespaces that are shared with the parent; return what the system said against it."""
    failed = ctypes.CDLL(None, use_errno=True).unshare(flags)
    return os.strerror(ctypes.get_errno()) if failed else None


def _unshare_with_users() -> str | None:
    """Leave the network and the users; every user keeps its number, so that files stay whose they are.

    The numbers are written by a child that stays outside: an administrator's rights over the files of others come from
    a map of all users, which only somebody outside may write.
    """
    maps = {kind: _same_ids(kind, own) for kind, own in (("uid_map", os.geteuid()), ("gid_map", os.getegid()))}
    wait, go = os.pipe()
    outside = os.fork()
    if outside == 0:
        os.close(go)
        os._exit(0 if os.read(wait, 1) == b"" or _written(os.getppid(), maps) else 1)
    os.close(wait)
    refused = _unshare(CLONE_NEWUSER | CLONE_NEWNET)
    if not refused:
        os.write(go, b"!")
    os.close(go)
    _, status = os.waitpid(outside, 0)
    return refused or ("its users cannot be mapped" if status else None)


def _same_ids(kind: str, own: int) -> str:
    """Return the map that leaves all numbers as they are: an administrator may map all that there are, others one."""
    if os.geteuid() != 0:
        return f"{own} {own} 1"
    there = [line.split() for line in Path(f"/proc/self/{kind}").read_text().splitlines()]
    return "\n".join(f"{inside} {inside} {count}" for inside, _, count in there)


def _written(process: int, maps: Mapping[str, str]) -> bool:
    try:
        if os.geteuid() != 0:
            Path(f"/proc/{process}/setgroups").write_text("deny")
        for kind, lines in maps.items():
            Path(f"/proc/{process}/{kind}").write_text(lines)
    except OSError:
        return False
    return True


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        _, flags = INTERFACE.unpack(fcntl.ioctl(any_socket, SIOCGIFFLAGS, INTERFACE.pack(b"lo", 0)))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, INTERFACE.pack(b"lo", flags | IFF_UP))
