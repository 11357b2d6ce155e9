"""The signature of a version and its card in an image, by model_signing, with a key of one's own.

It is Sigstore's form for models: whoever has the public key verifies a folder with `model_signing verify key`, without
Slipway. It lies beside the card. Another one comes of each signing, since ECDSA draws a random number; so it has a
layer of its own, and what it signs has the same digest as ever.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.registry.manifest import CARD, SIGNATURE
from slipway.serving.packaging.layers import Layer, LayerFile, write_layer
from slipway.serving.packaging.parts import MODELS
from slipway.serving.preparation.packaged import PackagedVersion

SAID_CHARACTERS = 400
FAILED = "Signing failed with error: "


def require_signing() -> None:
    """Raise Unavailable where model_signing is not installed."""
    if find_spec("model_signing") is None:
        raise Unavailable(
            "versions are signed by model_signing, which is not installed here",
            code="no-model-signing",
            hint="pip install 'slipway-ml[signing]'",
        )


def signature_layer(folder: Path, version: PackagedVersion, key: Path, work: Path) -> Layer:
    """Sign a version's files and its card as they will lie in the image, and write the layer with the signature.

    Raises
    ------
    InvalidInput
        The key cannot sign; model_signing's words say why.
    Unavailable
        model_signing is not installed.
    """
    require_signing()
    _sign(_as_in_image(folder, version, work / "signed"), key, work / SIGNATURE)
    return write_layer([LayerFile(path=f"{MODELS}/{SIGNATURE}", content=work / SIGNATURE)], work / "signature.layer")


def _as_in_image(folder: Path, version: PackagedVersion, into: Path) -> Path:
    """Lay out exactly the files of the manifest, by links, and the card."""
    for each in version.manifest.files:
        (into / each.path).parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / each.path, into / each.path)
    (into / CARD).write_text(version.to_json())
    return into


def _sign(folder: Path, key: Path, into: Path) -> None:
    words = ["sign", "key", str(folder), "--private_key", str(key), "--signature", str(into)]
    command = [sys.executable, "-m", "model_signing", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join(done.stderr.split()).removeprefix(FAILED)[-SAID_CHARACTERS:]
        raise InvalidInput(
            f"{key} cannot sign: {said}",
            code="wrong-key",
            hint="a private key in PEM, on P-256, P-384 or P-521, without a password:"
            " openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
        )
