"""From what was prepared to a LoadedModel: open the runner, compile the decoder, warm both."""

from pathlib import Path

from slipway.registry.signature import stored_signature
from slipway.serving.engine.loaded import Loaded
from slipway.serving.preparation.prepared import Prepared, require_as_prepared
from slipway.serving.protocols.mlflow.forms import compile_decoder
from slipway.serving.protocols.oip.mapping import TensorMapping
from slipway.serving.runtimes.open import open_runner
from slipway.serving.scoring.mlflow_protocol import MLFLOW
from slipway.serving.scoring.oip_protocol import OIP
from slipway.serving.target import STABLE, Target

EXAMPLE = "serving_input_example.json"
WARM_UP_TIMES = 3


def load_prepared(target: Target, prepared: Prepared, *, variant: str = STABLE) -> Loaded:
    """Open a version that was prepared, from files that are what they were then.

    Raises
    ------
    Corrupt
        They are not.
    """
    require_as_prepared(prepared)
    return load(target, prepared, variant=variant)


def load(target: Target, prepared: Prepared, *, variant: str = STABLE) -> Loaded:
    """Open a version from its folders; what that costs is paid here, not by the first request."""
    folder = Path(prepared.folder)
    signature = stored_signature(folder)
    loaded = Loaded(
        target=target,
        number=prepared.number,
        digest=prepared.digest,
        folder=folder,
        runner=open_runner(Path(prepared.runner), folder, among_others=True),
        decoders={MLFLOW: compile_decoder(signature), OIP: TensorMapping(signature)},
        columns=tuple(field.name for field in signature.inputs) if signature else (),
        variant=variant,
    )
    _warm_up(loaded)
    return loaded


def _warm_up(loaded: Loaded) -> None:
    example = loaded.folder / EXAMPLE
    decoder = loaded.decoders[MLFLOW]
    if decoder is None or not example.is_file():
        return
    plain = decoder.decode(example.read_bytes())
    if plain is None:
        return
    for _ in range(WARM_UP_TIMES):
        loaded.runner.predict(plain.rows, plain.method, plain.params)
