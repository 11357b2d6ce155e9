"""The policy file: read once for a command; of a server, read again when it was changed."""

import os
from pathlib import Path

from slipway.registry.errors import InvalidInput
from slipway.registry.policy.policy import DEFAULT, PolicyBook, default_policy, wrong_policy
from slipway.registry.yaml_files import document_of, is_there


def load_policy(path: Path) -> PolicyBook:
    """Return the policies of a file; the default one where there is no file.

    A file that names models alone says how they differ from the default policy.

    Raises
    ------
    InvalidInput
        The file cannot be read, is no YAML with one meaning, or not a policy.
    """
    if not is_there(path):
        return default_policy()
    try:
        document = document_of(path, without_gaps=True)
    except ValueError as error:
        raise wrong_policy(str(path), [str(error)]) from None
    if isinstance(document, dict) and set(document) == {"models"} and document["models"]:
        document = {**DEFAULT, **document}
    if not isinstance(document, dict) or not document.get("stages"):
        raise wrong_policy(str(path), ["it names no stages"])
    return PolicyBook(document, source=str(path))


class PolicyFile:
    """The policies of a file; calling it returns what holds now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, ...] | None, PolicyBook] | None = None

    def __call__(self) -> PolicyBook:
        """Return the policies.

        Raises
        ------
        InvalidInput
            The file was changed to something that is no policy, or is gone: then nothing is decided, whatever held
            before. Without it everybody would be judged by the default policy, which may ask for less.
        """
        state = self._state()
        if state is None and self._read is not None and self._read[0] is not None:
            raise InvalidInput(
                f"the policy at {self._path} is gone, and was there",
                code="policy-gone",
                hint="put it back; to decide by the default policy, start the server again without it",
            )
        if self._read is None or state is None or self._read[0] != state:
            self._read = (state, load_policy(self._path))
        return self._read[1]

    def last(self) -> PolicyBook:
        """Return the policies that were read last, whatever the file says now; the default ones before any were."""
        return self._read[1] if self._read else default_policy()

    def _state(self) -> tuple[int, ...] | None:
        """Return what changes with the file; `None` where that cannot be told, and where there is none.

        Who unpacks files may give all of them one time of change, and a disk may give a freed number to the next file:
        the time of the last change of its entry is nobody's to set.
        """
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino
