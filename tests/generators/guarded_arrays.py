"""Memory for NumPy's arrays that ends the process when anybody reads or writes behind an array, if only by one number.

Each array ends where a page begins that may not be touched (NumPy's enhancement proposal 49 lets its allocator be
exchanged). What is allocated and not written is no zeros, so that whoever takes it for places goes far. Nothing is ever
freed: a process that does much of this has to end before there is `no_room`.
"""

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
NOTHING, READ_AND_WRITE = 0, mmap.PROT_READ | mmap.PROT_WRITE
FAILED = 2**64 - 1
UNWRITTEN = 0x7F
ALIGNED = 8
LARGEST = 2**31
# Each takes two of the 65,530 mappings that Linux gives a process.
MOST = 20_000
# The place of PyDataMem_SetHandler in the table of NumPy's functions for C, which is one for all of NumPy 2.
SET_HANDLER = 304

Address, Size = ctypes.c_void_p, ctypes.c_size_t
Malloc = ctypes.CFUNCTYPE(Address, Address, Size)
Calloc = ctypes.CFUNCTYPE(Address, Address, Size, Size)
Realloc = ctypes.CFUNCTYPE(Address, Address, Address, Size)
Free = ctypes.CFUNCTYPE(None, Address, Address, Size)

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = Address
libc.mmap.argtypes = [Address, Size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [Address, Size, ctypes.c_int]
libc.munmap.argtypes = [Address, Size]
sizes: dict[int, int] = {}


class Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("ctx", Address),
        ("malloc", Malloc),
        ("calloc", Calloc),
        ("realloc", Realloc),
        ("free", Free),
    )


def _allocate(size: int, filled: int | None = UNWRITTEN) -> int | None:
    pages = max(1, -(-size // PAGE))
    if size > LARGEST:
        return None
    start = libc.mmap(None, (pages + 1) * PAGE, READ_AND_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if start == FAILED:
        return None
    if filled is not None:
        ctypes.memset(start, filled, pages * PAGE)
    libc.mprotect(start + pages * PAGE, PAGE, NOTHING)
    address = int(start + pages * PAGE - max(1, size)) & -ALIGNED
    sizes[address] = size
    return address


def _move(_: object, address: int | None, size: int) -> int | None:
    moved = _allocate(size)
    if moved is not None and address is not None:
        ctypes.memmove(moved, address, min(size, sizes[address]))
    return moved


HANDLER = Handler(
    name=b"guarded",
    version=1,
    malloc=Malloc(lambda _, size: _allocate(size)),
    calloc=Calloc(lambda _, count, size: _allocate(count * size, None)),
    realloc=Realloc(_move),
    # Arrays are freed while exceptions travel, when no Python can be called: nothing is done, by a function of C.
    free=ctypes.cast(libc.getpid, Free),
)


def no_room() -> bool:
    """Return whether this process should leave further arrays to another."""
    return len(sizes) > MOST


def guard_arrays() -> None:
    """Guard every array that this process makes from now on."""
    capsule: Any = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    pointer_of: Callable[..., int] = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = Address, [ctypes.py_object, ctypes.c_char_p]  # type: ignore[attr-defined]
    table = ctypes.cast(pointer_of(capsule, None), ctypes.POINTER(Address))
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [Address, ctypes.c_char_p, Address]
    handler = new_capsule(ctypes.byref(HANDLER), b"mem_handler", None)
    ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[SET_HANDLER])(handler)
