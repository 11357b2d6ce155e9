"""What a request is called in logs, exchanges and answers: as its caller says, else by a number of ours."""

import itertools
import os
import re

SAFE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIds:
    """The ids of the requests of one transport in one process."""

    def __init__(self) -> None:
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)

    def __call__(self, asked: bytes) -> str:
        """Return the caller's id where it is 1 to 128 printable characters, else one of ours."""
        if asked and SAFE_ID.fullmatch(asked):
            return asked.decode()
        return f"{self._prefix}-{next(self._numbers):x}"
