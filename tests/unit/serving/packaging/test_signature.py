"""The signature of a version's files: whoever has the public key verifies what was unpacked, by model_signing."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from slipway.registry.errors import InvalidInput
from slipway.registry.manifest import CARD, SIGNATURE, differences, manifest_of
from slipway.serving.packaging.layers import Layer
from slipway.serving.packaging.parts import model_layer
from slipway.serving.packaging.signature import signature_layer
from slipway.serving.preparation.packaged import PackagedVersion

PRIVATE = ec.generate_private_key(ec.SECP256R1())


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, encryption: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def version(tmp_path: Path) -> PackagedVersion:
    """Return a version whose files lie in the folder `files`, and beside the key that signs it."""
    (tmp_path / "files" / "data").mkdir(parents=True)
    (tmp_path / "files" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "files" / "data" / "weights").write_bytes(bytes(9))
    manifest = manifest_of(tmp_path / "files")
    (tmp_path / "files" / "registered_model_meta").write_text("alias: production")
    (tmp_path / "key.pem").write_bytes(pem(PRIVATE))
    (tmp_path / "public.pem").write_bytes(
        PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return PackagedVersion(model="iris", number=3, identity="x", manifest=manifest)


def unpacked(layers: list[Layer], folder: Path) -> Path:
    for layer in layers:
        with tarfile.open(layer.file) as tar:
            tar.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked" / "models"


def verified(models: Path, public: Path) -> "subprocess.CompletedProcess[str]":
    words = ["verify", "key", str(models), "--signature", str(models / SIGNATURE), "--public_key", str(public)]
    return subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True, check=False)


def test_what_lies_in_the_image_is_verified_and_a_changed_byte_is_not(version: PackagedVersion, tmp_path: Path):
    """Files and card; to the engine the signature is none of the version's files."""
    layers = [
        model_layer(tmp_path / "files", version, tmp_path / "model"),
        signature_layer(tmp_path / "files", version, tmp_path / "key.pem", tmp_path),
    ]
    models = unpacked(layers, tmp_path)
    assert differences(version.manifest, manifest_of(models)) == ()
    done = verified(models, tmp_path / "public.pem")
    assert done.returncode == 0, done.stderr
    for path in (models / CARD, models / "data" / "weights"):
        before = path.read_bytes()
        path.write_bytes(before + b"x")
        assert "mismatch" in verified(models, tmp_path / "public.pem").stderr, path
        path.write_bytes(before)


def test_a_key_that_cannot_sign_is_refused_with_the_reason(version: PackagedVersion, tmp_path: Path):
    """One of RSA, one with a password, and what is no key."""
    wrong = {
        "rsa": (pem(rsa.generate_private_key(65537, 2048)), "curve"),
        "locked": (pem(PRIVATE, BestAvailableEncryption(b"x")), "encrypted"),
        "text": (b"no key", "PEM"),
    }
    for name, (content, why) in wrong.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_bytes(content)
        with pytest.raises(InvalidInput, match=why) as refused:
            signature_layer(tmp_path / "files", version, tmp_path / name / "key", tmp_path / name)
        assert refused.value.code == "wrong-key"
        assert not (tmp_path / name / SIGNATURE).exists()
