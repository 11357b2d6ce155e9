"""Whether a model may be loaded in a process that answers for other models: by its own files, and nobody's word."""

from pathlib import Path

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.registry.mlmodel import PYFUNC, read_mlmodel

LOOKED_THROUGH = "mlflow.sklearn"  # its arrays are, and no other flavor's


def require_harmless(model_folder: Path) -> None:
    """Refuse a model that could run code when it is loaded, or whose numbers nobody looked through.

    Raises
    ------
    NotApproved
        It belongs in a process of its own.
    """
    risky = risky_parts(model_folder, untrusted_types)
    loader = read_mlmodel(model_folder)["flavors"].get(PYFUNC, {}).get("loader_module")
    if risky or loader != LOOKED_THROUGH:
        why = risky[0].what if risky else f"it is loaded by {loader}"
        raise NotApproved(
            f"the model was prepared to be loaded among others, and belongs in a process of its own: {why}",
            code="not-harmless",
            hint="whoever prepared it was led astray by the model's code: look at its author",
        )
