"""Nothing goes back to a version whose stored files are not those that were recorded."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.registry.errors import Conflict, Corrupt, NotFound
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.situation import look
from slipway.registry.manifest import manifest_of
from slipway.registry.model_registry import Measured
from slipway.registry.version import VersionRef
from slipway.registry.versions.file_integrity import (
    place_to_read,
    recorded_location,
    recorded_manifest,
    require_known_place,
    require_whole,
)
from slipway.registry.versions.provenance import recorded_provenance
from tests.doubles.fakes import logged_model
from tests.unit.registry.gate.checks.test_checks import stored
from tests.unit.registry.gate.test_gate import Bench, touch


def about(bench: Bench) -> tuple[Record, ...]:
    """Return what the ledger has about m/2."""
    return bench.history.about(look("m", bench.ledger).model_uid, 2)


def require(bench: Bench, records: tuple[Record, ...]) -> None:
    """Require that m/2 is whole."""
    version = bench.registry.version(VersionRef(model="m", number=2))
    require_whole(version, records, bench.registry, else_do="choose another")


def test_changed_missing_and_extra_files_are_named(tmp_path: Path):
    """Five at most, and how many more there are."""
    bench = Bench(tmp_path, {"lineage": {}})
    require(bench, about(bench))
    for i in range(6):
        (bench.folders[2] / f"extra-{i}").touch()
    touch(bench.folders[2])
    said = "changed: MLmodel; extra: extra-0; extra: extra-1; extra: extra-2; extra: extra-3 and 2 more"
    with pytest.raises(Corrupt, match=said) as refused:
        require(bench, about(bench))
    assert (refused.value.code, refused.value.hint) == ("artifacts-changed", "restore its files, or choose another")


def test_files_that_are_gone_are_told_from_changed_ones(tmp_path: Path):
    """Also where no manifest was ever recorded: there has to be something."""
    bench = Bench(tmp_path, {"lineage": {}})
    touch(bench.folders[2])
    require(bench, ())
    bench.registry.folders["models:/m-2"] = tmp_path / "nowhere"
    for records in (about(bench), ()):
        with pytest.raises(NotFound, match="m/2 has no stored files any more") as refused:
            require(bench, records)
        assert (refused.value.code, refused.value.hint) == ("artifacts-gone", "choose another")


def test_the_first_manifest_counts(tmp_path: Path):
    """That of the registration, or of the adoption where there was none before; a later one changes nothing."""
    bench = Bench(tmp_path, {"lineage": {}})
    (registered,) = about(bench)
    touch(bench.folders[2])
    later = replace(
        registered.event, kind=EventKind.VERSION_ADOPTED, details={"manifest": manifest_of(bench.folders[2]).to_json()}
    )
    bench.history.append(later, after_seq=look("m", bench.ledger).seq)
    assert recorded_manifest(about(bench)).digest == registered.event.digests["manifest"]
    assert recorded_manifest(about(bench)[1:]) == manifest_of(bench.folders[2])


def recorded_by_an_old_slipway(bench: Bench) -> tuple[Record, ...]:
    """Make m/3, which is on record with its manifest alone, and return what the ledger has about it."""
    folder = stored(bench.folders[2].parent / "3")
    bench.folders[3] = bench.registry.folders["models:/m-3"] = folder
    bench.registry.create_version(logged_model(model_uri="models:/m-3"), model="m", description="", tags={})
    (now,) = about(bench)
    details = {"manifest": manifest_of(folder).to_json()}
    uid = look("m", bench.ledger).model_uid
    bench.history.append(replace(now.event, version=3, details=details), after_seq=look("m", bench.ledger).seq)
    return bench.history.about(uid, 3)


def test_what_an_old_slipway_recorded_is_held_by_its_manifest(tmp_path: Path):
    """It is read where MLflow reads it now; only what nobody recorded has to lie where no name leads elsewhere."""
    bench = Bench(tmp_path, {"lineage": {}})
    records = recorded_by_an_old_slipway(bench)
    version = bench.registry.version(VersionRef(model="m", number=3))
    assert (recorded_location(records), place_to_read(version, records, bench.registry)) == (None, "models:/m-3")
    bench.registry.doubtful.add("m/3")
    require_known_place(version, records, bench.registry)
    with pytest.raises(Conflict, match="may lead elsewhere"):
        require_known_place(version, (), bench.registry)
    for known in (records, ()):
        require_whole(version, known, bench.registry, else_do="x")
    touch(bench.folders[3])
    with pytest.raises(Corrupt, match="changed: MLmodel"):
        require_whole(version, records, bench.registry, else_do="x")


def test_register_completes_what_an_old_slipway_recorded(tmp_path: Path):
    """With where its files lie and where it comes from: once, and only if they are the same files."""
    bench = Bench(tmp_path, {"lineage": {}})
    uid = look("m", bench.ledger).model_uid
    recorded_by_an_old_slipway(bench)
    ref = VersionRef(model="m", number=3)
    untouched = (bench.folders[3] / "MLmodel").read_text()
    touch(bench.folders[3])
    with pytest.raises(Corrupt, match="m/3 is recorded with other files: changed: MLmodel"):
        bench.decisions.register(ref, "x")
    (bench.folders[3] / "MLmodel").write_text(untouched)
    bench.decisions.register(ref, "x")
    records = bench.history.about(uid, 3)
    assert (recorded_location(records), recorded_provenance(records) is None) == ("models:/m-3", False)
    with pytest.raises(Conflict, match="recorded already"):
        bench.decisions.register(ref, "x")


def test_files_that_were_moved_keep_what_was_known_of_them(tmp_path: Path):
    """A new place is recorded; where the version comes from is not told anew, whatever its run says by now."""
    bench = Bench(tmp_path, {"lineage": {}})
    before = recorded_provenance(about(bench))
    bench.registry.recorded["r2"] = Measured(metrics={"accuracy": 1.0}, params={}, status="FINISHED", user="eve")
    bench.registry.moved["m/2"] = "elsewhere"
    bench.registry.folders["elsewhere"] = bench.folders[2]
    with pytest.raises(Conflict, match="MLflow serves it from elsewhere"):
        require(bench, about(bench))
    touch(bench.folders[2])
    with pytest.raises(Corrupt, match="m/2 is recorded with other files"):
        bench.decisions.register(VersionRef(model="m", number=2), "moved", recorded_manifest(about(bench)))
    (bench.folders[2] / "MLmodel").write_text((bench.folders[2] / "MLmodel").read_text()[:-1])
    bench.decisions.register(VersionRef(model="m", number=2), "moved")
    require(bench, about(bench))
    assert recorded_provenance(about(bench)) == before
