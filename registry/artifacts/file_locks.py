"""Locks between the processes of one machine: files that the kernel unlocks when their holder dies.

A lock file may be removed by whoever holds it alone; everybody else notices and takes the new one.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.registry.errors import Unavailable

LOOK_EVERY_S = 0.02


@contextmanager
def held_alone(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold a lock that nobody else holds, alone or shared.

    Raises
    ------
    Unavailable
        Somebody else still holds it after the wait.
    """
    with _held(path, fcntl.LOCK_EX, wait_s):
        yield


@contextmanager
def held_shared(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold a lock that others may hold too, but nobody alone; raises as `held_alone` does."""
    with _held(path, fcntl.LOCK_SH, wait_s):
        yield


@contextmanager
def _held(path: Path, mode: int, wait_s: float) -> Iterator[None]:
    file = _taken(path, mode, time.monotonic() + wait_s)
    if file is None:
        raise Unavailable(
            f"another process has held {path} for {wait_s:.0f} s",
            code="locked",
            hint=f"find it with: fuser {path}",
        )
    try:
        yield
    finally:
        os.close(file)


def _taken(path: Path, mode: int, deadline: float) -> int | None:
    """Return the locked file's descriptor, or `None` when the deadline passed."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # as the umask has it: a group may share a database
        locked = False
        try:
            locked = _lock_by(file, mode, deadline) and _is_still(path, file)
            if locked:
                return file
        finally:
            if not locked:
                os.close(file)
        if time.monotonic() >= deadline:
            return None


def _lock_by(file: int, mode: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_EVERY_S)
        else:
            return True


def _is_still(path: Path, file: int) -> bool:
    """Return whether the file that was locked is the one that the path names: its last holder may have removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False
