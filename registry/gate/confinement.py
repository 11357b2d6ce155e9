"""What the process of a check may reach: no network, no secrets, no other process, a home that is thrown away.

A model under test may be hostile in a way that no judgement of its format knows. Its process gets the variables that
are listed here and no others, an empty folder as its home and for temporary files, and, on Linux, a network of its own
with nothing but loopback and shared memory of its own, within a user namespace of its own, where it cannot read the
environment of the processes that started it. It sees and signals no process but those that it starts. It may read the
user's files, since nobody can know which of them hold secrets; it writes none but those in its home.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from slipway.registry.gate.system_calls import refuse_system_calls

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
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
CLONE_NEWIPC, CLONE_NEWPID = 0x08000000, 0x20000000
MS_NOSUID_NODEV_NOEXEC = 0xE
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NODEV = 1, 4
SYS_MOUNT_SETATTR = 442  # on every processor; no C library before 2.36 has a name for it
ATTRIBUTES = struct.Struct("QQQQ")
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION = 0x20080522
# The rights of an administrator over the files of others: what a check reads without them, it reads with them.
CAPABILITIES_KEPT = sum(1 << number for number in (0, 1, 2, 3, 5))  # chown, dac_override, dac_read_search, fowner, kill
SHARED_MEMORY = Path("/dev/shm")
# A disk's or a terminal's device file can be written to on whatever is mounted read only: these alone can be opened.
DEVICES = ("null", "zero", "full", "random", "urandom", "nvidia*", "dri", "kfd", "dxg", "accel*")
MOUNTED_ON_NOTHING = "/proc/sys/fs/binfmt_misc"  # on a folder that is always empty, so that it hides nothing
FILES_AT_MOST = 200_000  # an empty file takes memory too, which the size of what is mounted does not count
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


def bound_files(most_bytes: int) -> None:
    """Have this process, and each one that it starts, be refused to write a file beyond a size."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def leave_the_network() -> str | None:
    """Move this process into a network with loopback alone; return why it could not be, `None` where it is.

    Its shared memory, semaphores and message queues of System V are its own too, and end with it: they would else
    outlive a check. The process must have one thread. Where the system allows no user namespace, as in many containers,
    it is tried without, which takes the rights of an administrator.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no network namespaces"
    refused = _unshare_with_users()
    if refused and _unshare(CLONE_NEWNET | CLONE_NEWIPC):
        return f"the system refuses a network namespace: {refused}"
    _bring_up_loopback()
    return None


def begin_processes_anew() -> str | None:
    """Have the next child of this process be the first of processes that see no others; return why it could not be.

    It ends all of them when it ends. It needs a /proc of its own (`write_below`): the numbers in another are not those
    that it knows. The kernel gives one only where all of another is to be seen, which many containers prevent.
    """
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    hidden = [place for place in mounts if place.startswith("/proc/") and place != MOUNTED_ON_NOTHING]
    if hidden:
        return f"the system refuses a process namespace with its /proc: {hidden[0]} is hidden"
    refused = _unshare(CLONE_NEWPID)
    return f"the system refuses a process namespace: {refused}" if refused else None


def let_go_of_pipes(but: int) -> None:
    """Replace the pipes and sockets that this process has inherited, but one, by a pipe that nobody reads.

    Through them it would end the server of checks, or have multiprocessing's tracker remove what others share in
    memory; a library that needs a tracker then starts one of its own. What is printed goes on going where it goes.
    """
    unread, replacement = os.pipe()
    os.close(unread)
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the folder itself, which was open while it was listed
            kind = os.fstat(number).st_mode
            if number not in (0, 1, 2, but, replacement) and (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
                os.dup2(replacement, number, inheritable=False)
    os.close(replacement)


def write_below(home: Path, most_bytes: int) -> str | None:
    """Have this process, and what it starts, write files below a folder alone; return why it could not be.

    What it writes elsewhere could run outside: a `.pth` among the packages runs with the next Python. The folder is
    empty, lies in memory with what is shared in /dev/shm, and together they hold so many bytes; it is gone when the
    last process is. The process must be in a user namespace of its own, or be an administrator; the rights and the
    system calls by which it could take this back are given up.
    """
    refused = _unshare(CLONE_NEWNS)
    if refused:
        return f"the system refuses a mount namespace: {refused}"
    libc = ctypes.CDLL(None, use_errno=True)
    shared = home / ".shared-memory"
    bound = f"size={most_bytes},nr_inodes={FILES_AT_MOST},mode=700"
    binds = [(each, each) for name in DEVICES for each in Path("/dev").glob(name)]
    binds += [(shared, SHARED_MEMORY)] if SHARED_MEMORY.is_dir() else []
    steps: list[Callable[[], int]] = [
        lambda: _make_private(libc),
        lambda: _mount_processes(libc) if os.getpid() == 1 else 0,
        lambda: int(libc.mount(b"tmpfs", os.fsencode(home), b"tmpfs", 0, bound.encode())),
        lambda: int(libc.mkdir(os.fsencode(shared), 0o700)),
        *(partial(_bind, libc, each, place) for each, place in binds),
        lambda: _set_attributes(libc, Path("/"), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0, AT_RECURSIVE),
        lambda: _set_attributes(libc, home, 0, MOUNT_ATTR_RDONLY, 0),
        *(partial(_set_attributes, libc, place, 0, _needed(place), 0) for _, place in binds),
        lambda: int(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
        lambda: _keep_capabilities(libc),
        lambda: refuse_system_calls(libc),
    ]
    for step in steps:
        if step():
            return f"the system refuses what keeps a check to its home: {os.strerror(ctypes.get_errno())}"
    return None


def _needed(place: Path) -> int:
    return MOUNT_ATTR_RDONLY if place == SHARED_MEMORY else MOUNT_ATTR_NODEV


def _make_private(libc: ctypes.CDLL) -> int:
    return int(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))


def _mount_processes(libc: ctypes.CDLL) -> int:
    return int(libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID_NODEV_NOEXEC, None))


def _bind(libc: ctypes.CDLL, what: Path, place: Path) -> int:
    return int(libc.mount(os.fsencode(what), os.fsencode(place), None, MS_BIND, None))


def _set_attributes(libc: ctypes.CDLL, place: Path, add: int, remove: int, flags: int) -> int:
    attributes = ATTRIBUTES.pack(add, remove, 0, 0)
    where, size = os.fsencode(place), len(attributes)
    return int(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, where, flags, attributes, ctypes.c_size_t(size)))


def _keep_capabilities(libc: ctypes.CDLL) -> int:
    """Give up what is not kept, of what there is: with the right to mount, files could be made writable again."""
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    there = ctypes.create_string_buffer(24)
    if libc.capget(header, there):
        return -1
    kept = [each & CAPABILITIES_KEPT for each in struct.unpack("3I", there.raw[:12])]
    return int(libc.capset(header, struct.pack("6I", *kept, 0, 0, 0)))


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
    refused = _unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC)
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
