"""Standard output, kept for the documents of `--json`.

MLflow prints links of runs there, libraries in C their progress: a program that reads a document would choke on it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

STDERR = 2


class Documents:
    """Where documents go: standard output as it is at the moment, or as it was before it was kept for them."""

    def __init__(self) -> None:
        self._kept: TextIO | None = None

    def write(self, text: str) -> None:
        """Write a document and end its line."""
        print(text, file=self._kept or sys.stdout, flush=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep standard output for documents: what anything else writes there goes to standard error meanwhile."""
        with _apart(sys.stdout) as kept, redirect_stdout(sys.stderr):
            self._kept = kept
            try:
                yield
            finally:
                self._kept = None


@contextmanager
def _apart(stream: TextIO) -> Iterator[TextIO]:
    """Yield a stream to where this one leads, whose own descriptor leads to standard error meanwhile.

    Libraries in C and child processes know the descriptor only. A stream that somebody put in the place of the
    process's own has none that they could write to.
    """
    if stream is not sys.__stdout__:
        yield stream
        return
    stream.flush()
    number = stream.fileno()
    with open(os.dup(number), "w", encoding=stream.encoding, errors=stream.errors) as kept:
        os.dup2(STDERR, number)
        try:
            yield kept
        finally:
            kept.flush()
            os.dup2(kept.fileno(), number)


DOCUMENTS = Documents()
