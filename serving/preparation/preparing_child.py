"""How a preparing child is asked and answers: a job as JSON in its argument, one JSON object on standard output."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from slipway.registry.errors import SlipwayError
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.preparation.preparing import PrepareJob, job_from


def answer_by(prepare: Callable[[PrepareJob], Prepared]) -> None:
    """Run the job, and exit with 0 whether or not it can be done: the answer says which."""
    # The one JSON object must stay alone on standard output, whatever a model prints while it is loaded.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        document: dict[str, Any] = {"prepared": asdict(prepare(job_from(sys.argv[1])))}
    except SlipwayError as error:
        document = error.to_document()
    json.dump(document, answer)
    answer.close()
    sys.stderr.flush()
    os._exit(0)  # to take down all that was imported takes half a second, and the version waits for it
