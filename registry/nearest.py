"""What somebody probably meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(asked: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"``, or an empty string where nothing known is near.

    >>> did_you_mean("tagret", ["target", "age"])
    " (did you mean 'target'?)"
    >>> did_you_mean("prod", ["production"])
    " (did you mean 'production'?)"
    >>> did_you_mean("zzz", ["target"])
    ''
    """
    known_by_folded = {name.casefold(): name for name in known}
    begun = [name for name in known_by_folded if len(asked) > 1 and name.startswith(asked.casefold())]
    near = begun or difflib.get_close_matches(asked.casefold(), known_by_folded, n=1)
    return f" (did you mean '{known_by_folded[near[0]]}'?)" if near else ""
