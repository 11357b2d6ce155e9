"""Which headers does an engine read? All others are passed over, on the short way and on the other.

A header that something new is to read is put into `WANTED`; nothing else has to know its name.
"""

WANTED = frozenset(
    {
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"inference-header-content-length",
        b"traceparent",
        b"tracestate",
        b"transfer-encoding",
        b"x-request-id",
    }
)
OURS = b"x-slipway-"
# A header's name as it is sent → in lower case where it is wanted, else `None`; filled as names come. A name that was
# seen before costs one look-up, and is looked up for every header of every request: a plain `dict` is quickest at that.
SPELLINGS: dict[bytes, bytes | None] = {}
# Clients spell names in few ways, and shortly; who sends ever new ones is not remembered.
MOST_SPELLINGS, LONGEST_SPELLING = 512, 64


def spelled(name: bytes) -> bytes | None:
    """Return what a name stands for, `None` where it is not wanted, and remember it.

    >>> spelled(b"Content-TYPE")
    b'content-type'
    """
    lower = name.lower()
    meant = lower if lower in WANTED or lower.startswith(OURS) else None
    if len(name) <= LONGEST_SPELLING and len(SPELLINGS) < MOST_SPELLINGS:
        SPELLINGS[name] = meant
    return meant
