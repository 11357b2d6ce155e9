"""A decoded request: what every protocol makes of what it was sent, and what the engine has predicted."""

import pickle
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from slipway.serving.runtimes.runner import PREDICT


@dataclass(frozen=True, slots=True)
class PickledRows:
    """Rows on their way from another process of ours; whoever may wait for that reads them."""

    content: bytes

    def read(self) -> Any:
        """Return the rows."""
        return pickle.loads(self.content)


# Not a dataclass: msgspec makes this one in a tenth of the time, and there is one for each request.
class Understood(Struct, frozen=True, gc=False):
    """The rows of a request, and what is asked about them.

    `rows` is a `Table` where the signature is one of columns, else what MLflow's parsing made of the request: a frame,
    an array, a dictionary, as `PyFuncModel.predict` takes it. `params` are validated, with the defaults of those left
    out. `also` are further methods, whose answers come with that of `method`, which is not `predict` then: all of them
    as method → predictions. `form` is what the protocol needs to know when it writes the answer; nobody else reads it.
    """

    rows: Any
    params: dict[str, Any] | None = None
    method: str = PREDICT
    form: Any = None
    also: tuple[str, ...] = ()
