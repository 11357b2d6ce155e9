"""Which system calls the process of a check may not make: those that lead out of its namespaces or past its bounds.

A filter in the kernel answers them with an error. It sees numbers, not what pointers point to: that a UNIX socket is
connected to a path outside cannot be told, so no UNIX sockets are made but pairs that are connected already.
"""

import ctypes
import errno
import platform
import socket
import struct

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOWED, REFUSED = 0x7FFF0000, 0x00050000  # the error's number is added
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
NUMBER, ARCHITECTURE, FIRST, SECOND = 0, 4, 16, 24  # where they lie in what the filter is given; arguments' low half
OF_ANOTHER_KIND = 0x40000000  # numbers of x32, which would be a second name for each call
CLONE_NEW_ANYTHING = 0x7E020000
SOCKET_KIND = 0xF
FAMILIES = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_NETLINK", 16))

# Of each: machine → what the kernel names it, and its numbers. Calls since Linux 5.1 have one number everywhere.
NAMES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SOCKET = {"x86_64": 41, "aarch64": 198}
SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
CLONE = {"x86_64": 56, "aarch64": 220}
FCNTL = {"x86_64": 72, "aarch64": 25}
F_SETLEASE, F_NOTIFY = 1024, 1026  # a lease keeps whoever opens a file waiting, for as long as a system allows
# unshare, setns, mount, umount2, pivot_root, ptrace, process_vm_readv, process_vm_writev, kcmp, add_key, request_key,
# keyctl; everywhere: open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd, mount_setattr,
# open_tree_attr
LEAD_OUT = {
    "x86_64": (272, 308, 165, 166, 155, 101, 310, 311, 312, 248, 249, 250),
    "aarch64": (97, 268, 40, 39, 41, 117, 270, 271, 272, 217, 218, 219),
}
LEAD_OUT_EVERYWHERE = (428, 429, 430, 431, 432, 433, 438, 442, 467)
# Memory that belongs to no process (memfd_create, shmget, memfd_secret), and calls that say in memory what they do
# (io_uring_setup, clone3). Libraries do without them, as on a system that has none.
UNSEEN = {"x86_64": (319, 29), "aarch64": (279, 194)}
UNSEEN_EVERYWHERE = (425, 435, 447)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_system_calls(libc: ctypes.CDLL) -> int:
    """Have the kernel refuse these calls to this process and all that it starts, for good; return 0 where it does.

    The process must have given up the gain of privileges before. A machine whose numbers are not listed is `ENOSYS`.
    """
    if platform.machine() not in NAMES:
        ctypes.set_errno(errno.ENOSYS)
        return -1
    instructions = b"".join(_instructions(platform.machine()))
    program = _Program(len(instructions) // 8, instructions)
    return int(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def _instructions(machine: str) -> list[bytes]:
    lead_out = (*LEAD_OUT[machine], *LEAD_OUT_EVERYWHERE)
    unseen = (*UNSEEN[machine], *UNSEEN_EVERYWHERE)
    return [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, NAMES[machine], 1, 0),
        _refuse(errno.ENOSYS),
        _step(LOAD, NUMBER),
        *_when(AT_LEAST, OF_ANOTHER_KIND, [_refuse(errno.ENOSYS)]),
        *(each for number in lead_out for each in _when(EQUAL, number, [_refuse(errno.EPERM)])),
        *(each for number in unseen for each in _when(EQUAL, number, [_refuse(errno.ENOSYS)])),
        *_when(EQUAL, SOCKET[machine], _only(FIRST, FAMILIES, 0xFFFFFFFF)),
        *_when(EQUAL, SOCKETPAIR[machine], _only(SECOND, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), SOCKET_KIND)),
        *_when(
            EQUAL, CLONE[machine], [_step(LOAD, FIRST), *_when(ANY_BIT, CLONE_NEW_ANYTHING, [_refuse(errno.EPERM)])]
        ),
        *_when(EQUAL, FCNTL[machine], _but(SECOND, (F_SETLEASE, F_NOTIFY))),
        _step(RETURN, ALLOWED),
    ]


def _but(argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow a call but where an argument is one of these values."""
    refused = [each for value in values for each in _when(EQUAL, value, [_refuse(errno.EPERM)])]
    return [_step(LOAD, argument), *refused, _step(RETURN, ALLOWED)]


def _only(argument: int, values: tuple[int, ...], mask: int) -> list[bytes]:
    """Allow a call where an argument is one of these values; a UNIX pair for datagrams could still send to a path."""
    allowed = [each for value in values for each in _when(EQUAL, value, [_step(RETURN, ALLOWED)])]
    return [_step(LOAD, argument), _step(AND, mask), *allowed, _refuse(errno.EAFNOSUPPORT)]


def _when(test: int, value: int, then: list[bytes]) -> list[bytes]:
    return [_step(test, value, 0, len(then)), *then]


def _refuse(error: int) -> bytes:
    return _step(RETURN, REFUSED + error)


def _step(code: int, value: int, skipped_if_true: int = 0, skipped_if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, skipped_if_true, skipped_if_false, value)
