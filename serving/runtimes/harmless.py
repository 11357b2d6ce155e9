"""Whether a model may be loaded in a process that answers for other models: by its own files, and nobody's word."""

from collections.abc import Iterator
from pathlib import Path

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.boosters import BOOSTER_TYPES
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.registry.mlmodel import PYFUNC, read_mlmodel

LOOKED_THROUGH = "mlflow.sklearn"  # its arrays are, and no other flavor's
UNSEEN = "its numbers are read by a library that looks at none of them"


def require_harmless(model_folder: Path) -> None:
    """Refuse a model that could run code when it is loaded, or whose numbers nobody looked through.

    Raises
    ------
    NotApproved
        It belongs in a process of its own.
    """
    risky = risky_parts(model_folder, untrusted_types)
    why = risky[0].what if risky else why_unseen(model_folder)
    if why:
        raise NotApproved(
            f"the model was prepared to be loaded among others, and belongs in a process of its own: {why}",
            code="not-harmless",
            hint="whoever prepared it was led astray by the model's code: look at its author",
        )


def why_unseen(model_folder: Path) -> str | None:
    """Return why nobody looks through the numbers of a model that runs no code when loaded; `None` where they are.

    Of a pipeline of scikit-learn's that has a booster inside, the booster's are not.
    """
    flavors = read_mlmodel(model_folder)["flavors"]
    loader = flavors.get(PYFUNC, {}).get("loader_module")
    if loader != LOOKED_THROUGH:
        return f"{UNSEEN} ({loader})"
    held = sorted(_boosters(model_folder / str(flavors[PYFUNC].get("model_path"))))
    return f"{UNSEEN} ({', '.join(held)})" if held else None


def _boosters(file: Path) -> Iterator[str]:
    yield from {each.partition(".")[0] for each in untrusted_types(file) if each in BOOSTER_TYPES}
