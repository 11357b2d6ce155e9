"""What an image holds: the card says which version it is, and what differs from the card is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.registry.errors import Conflict, Corrupt, InvalidInput, NotFound, Unavailable
from slipway.registry.manifest import CARD, manifest_of
from slipway.serving.preparation.packaged import STAGE, PackagedVersion, PackagedViews, packaged_version
from slipway.serving.preparation.prepare_packaged import prepare
from slipway.serving.preparation.preparing import PrepareJob
from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.following import seen_of
from slipway.serving.supervision.sources import require_readers, source_of
from slipway.serving.target import Sighting, Target


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a folder as it lies in an image."""
    folder = tmp_path / "models"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights").write_bytes(bytes(100))
    version = PackagedVersion(model="iris", number=3, identity="default/17/iris/x", manifest=manifest_of(folder))
    (folder / CARD).write_text(version.to_json())
    return folder


def job(image: Path, cache: Path) -> PrepareJob:
    version = packaged_version(image)
    return PrepareJob(
        model="iris",
        number=3,
        identity=version.identity,
        manifest=version.manifest.digest,
        registry="image",
        cache=str(cache),
        cache_max_bytes=1,
        accelerate=True,
        image=str(image),
    )


def test_the_card_says_what_was_packaged(image: Path):
    """It lies beside the version's files and is none of them."""
    version = packaged_version(image)
    assert (version.model, version.number) == ("iris", 3)
    assert version.manifest == manifest_of(image)
    assert [file.path for file in version.manifest.files] == ["MLmodel", "data/weights"]


def changed(document: dict) -> str:
    document["manifest"][0]["sha256"] = "0" * 64
    return json.dumps(document)


@pytest.mark.parametrize(
    "write",
    [changed, lambda d: "{", lambda d: "[]", lambda d: "{}", lambda d: json.dumps({**d, "stage": "production"})],
    ids=["other files", "half", "a list", "empty", "unknown field"],
)
def test_a_card_that_was_changed_is_refused(write: Callable[[dict], str], image: Path):
    """Nothing is served by it, and the error says what to do."""
    (image / CARD).write_text(write(json.loads((image / CARD).read_text())))
    with pytest.raises(Corrupt, match="is not as it was written") as refused:
        packaged_version(image)
    assert "pull the image anew" in refused.value.hint


def test_a_folder_without_a_card_is_no_image(tmp_path: Path):
    """A model that somebody copied there has passed no gate."""
    with pytest.raises(NotFound, match="holds no packaged version"):
        packaged_version(tmp_path)


def test_an_engine_sees_the_version_as_what_a_decision_put_there(image: Path):
    """With the files that were chosen, under a stage that no registry has; and nothing else."""
    version = packaged_version(image)
    views = PackagedViews(version)
    there = Target("iris", STAGE)
    assert (views.models_with(STAGE), views.models_with("production"), views.model_names()) == (
        ("iris",),
        (),
        ("iris",),
    )
    shown = views.look([("iris", STAGE), ("iris", "production")])
    assert list(shown) == [("iris", STAGE)]
    seen = seen_of(there, shown["iris", STAGE], require_history=True)
    assert seen.sighting == Sighting(identity=version.identity, number=3, manifest=version.manifest.digest)
    assert seen.is_recorded


def spoiled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda image: spoiled(image / "data" / "weights"), "changed: data/weights"),
        (lambda image: (image / "MLmodel").unlink(), "missing: MLmodel"),
        (lambda image: (image / "code.py").write_text("import os"), "extra: code.py"),
    ],
    ids=["a byte", "a file less", "a file more"],
)
def test_files_that_are_not_those_of_the_card_are_never_opened(
    spoil: Callable[[Path], object], said: str, image: Path, tmp_path: Path
):
    """One byte is enough, and the file is named; nothing is left in the cache."""
    asked = job(image, tmp_path / "cache")
    spoil(image)
    with pytest.raises(Corrupt, match=said):
        prepare(asked)
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_was_exchanged_meanwhile_is_refused(image: Path, tmp_path: Path):
    """What was seen is what is prepared."""
    with pytest.raises(Conflict, match="another version"):
        prepare(replace(job(image, tmp_path / "cache"), number=4))


def test_an_image_is_followed_where_no_registry_is_named(image: Path, tmp_path: Path):
    """One that is named comes first: then the image is a place to run in."""
    settings = ServingSettings(image=Path("models"), cache=tmp_path / "cache")
    alone = source_of(settings, {}, tmp_path)
    assert alone.settings.image == image
    assert alone.views.models_with(alone.settings.stage) == ("iris",)
    assert (alone.heartbeats, alone.decided_at_server, alone.stages_of("iris")) == (None, False, (STAGE,))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        following = source_of(settings, {name: f"sqlite:///{tmp_path}/mlflow.db"}, tmp_path)
        assert (following.settings.image, following.settings.stage) == (None, "production")


def test_a_registry_is_not_followed_without_what_reads_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error names the library that an image lacks, and how to make an image that has it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "doors_that_lack_one.py").write_text("import no_such_library\n")
    with pytest.raises(Unavailable, match="MLFLOW_TRACKING_URI names a registry, and no_such_library") as refused:
        require_readers({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}, "doors_that_lack_one")
    assert "--with tracking" in refused.value.hint


def test_an_engine_that_can_write_nowhere_says_what_to_mount(image: Path, tmp_path: Path):
    """A read-only root without room of its own is refused at start, not at the first version."""
    (tmp_path / "full").write_text("a file, where a folder is wanted")
    settings = ServingSettings(image=image, cache=tmp_path / "full" / "cache")
    with pytest.raises(InvalidInput, match="cannot write there") as refused:
        source_of(settings, {}, tmp_path)
    assert "--tmpfs /tmp" in refused.value.hint
