"""A manifest names every logged file byte for byte."""

from pathlib import Path

from slipway.registry.manifest import Manifest, copied, differences, manifest_of


def folder_with(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_same_files_have_the_same_digest(tmp_path: Path):
    """Where they lie does not matter, and storing the manifest loses nothing."""
    files = {"MLmodel": "m", "data/model.skops": "bytes"}
    first, second = (manifest_of(folder_with(tmp_path / name, files)) for name in ("a", "b"))
    assert first.digest == second.digest
    assert [file.path for file in first.files] == ["MLmodel", "data/model.skops"]
    assert Manifest.from_json(first.to_json()) == first


def test_every_difference_is_named(tmp_path: Path):
    """Missing, changed and extra files each by their path."""
    logged = manifest_of(folder_with(tmp_path / "a", {"kept": "1", "gone": "2", "changed": "3"}))
    found = manifest_of(folder_with(tmp_path / "b", {"kept": "1", "changed": "4", "new": "5"}))
    assert differences(logged, found) == ("missing: gone", "changed: changed", "extra: new")


def test_every_byte_of_every_file_counts(tmp_path: Path):
    """Whichever is changed, and nothing else is named."""
    names = ("MLmodel", "data/model.skops", "serving_input_example.json", "empty/.keep")
    folder = folder_with(tmp_path, {name: f"bytes of {name}" for name in names})
    logged = manifest_of(folder)
    for name in names:
        content = (folder / name).read_bytes()
        for place in range(len(content)):
            (folder / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert differences(logged, manifest_of(folder)) == (f"changed: {name}",)
        (folder / name).write_bytes(content)
    assert differences(logged, manifest_of(folder)) == ()


def test_what_mlflow_adds_later_is_not_part_of_it(tmp_path: Path):
    """Loading a version for the first time changes no digest."""
    folder = folder_with(tmp_path, {"MLmodel": "m"})
    before = manifest_of(folder)
    folder_with(folder, {"registered_model_meta": "model_name: x"})
    assert manifest_of(folder) == before


def test_what_is_in_no_manifest_is_not_copied(tmp_path: Path):
    """Whoever judges a copy would be led by what anybody may write over afterwards."""
    files = {"MLmodel": "m", "registered_model_meta": "weights", "data/registered_model_meta": "in the manifest"}
    folder = folder_with(tmp_path / "a", files)
    copy = copied(folder, tmp_path / "b")
    assert manifest_of(copy) == manifest_of(folder)
    assert not (copy / "registered_model_meta").exists()
    assert (copy / "data" / "registered_model_meta").exists()
