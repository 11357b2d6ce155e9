"""Nothing goes back to a version whose stored files are not those that were recorded."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry.decide import look
from registry.errors import Corrupt, NotFound
from registry.events import EventKind
from registry.history import Record
from registry.manifest import manifest_of
from registry.version import VersionRef
from registry.whole import recorded_manifest, require_whole
from tests.unit.registry.test_gate import Bench, touch


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
