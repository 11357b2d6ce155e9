"""Which prepared runners may go: none that an engine needs now, or would open when it is started."""

import os
import time
from pathlib import Path

from slipway.serving.preparation.leftovers import DRAFTS, RUNNERS, leftovers
from slipway.serving.target import Sighting
from tests.unit.serving.preparation.test_prepared import TARGET, index, prepare


def age(place: str | Path) -> None:
    """Make a folder as old as if no engine had needed it for a week."""
    then = time.time() - 7 * 24 * 3600
    os.utime(place, (then, then))


def test_a_runner_that_no_engine_needs_may_go(tmp_path: Path):
    """What was served last stays, with its files, and is found by the next engine; the other is prepared anew."""
    served, other = prepare(tmp_path), prepare(tmp_path, "default/18", said='{"row_s": 2}')
    index(tmp_path).remember(TARGET, served.sighting)
    age(served.runner)
    age(other.runner)
    (found,), needed = leftovers(tmp_path)
    assert (found.kind, found.place, found.size_bytes) == (RUNNERS, Path(other.runner), len('{"row_s": 2}'))
    assert needed == {Path(served.folder)}
    assert found.remove()
    assert not Path(other.runner).exists()
    assert index(tmp_path).find(Sighting(identity="default/17", number=3)) == served
    assert index(tmp_path).find(Sighting(identity="default/18", number=3)) is None
    assert leftovers(tmp_path)[0] == []


def test_a_runner_that_an_engine_begins_to_need_stays(tmp_path: Path):
    """It noted that since the runner was found, or serves it now."""
    prepared = prepare(tmp_path)
    assert leftovers(tmp_path)[0] == []
    age(prepared.runner)
    (found,) = leftovers(tmp_path)[0]
    index(tmp_path).need(prepared)
    assert not found.remove()
    age(prepared.runner)
    (found,) = leftovers(tmp_path)[0]
    index(tmp_path).remember(TARGET, prepared.sighting)
    assert not found.remove()
    assert index(tmp_path).find(prepared.sighting) == prepared


def test_a_preparation_that_was_broken_off_goes_after_a_day(tmp_path: Path):
    """One that is under way is left alone; what a crash left of a note says nothing."""
    for name in ("draft-now", "draft-before"):
        (tmp_path / "runners" / name).mkdir(parents=True)
    age(tmp_path / "runners" / "draft-before")
    (tmp_path / "index" / "targets").mkdir(parents=True)
    (tmp_path / "index" / "targets" / "1.json").write_text('{"target"')
    (found,) = leftovers(tmp_path)[0]
    assert (found.kind, found.place.name) == (DRAFTS, "draft-before")
    assert found.remove()
    assert [path.name for path in (tmp_path / "runners").iterdir()] == ["draft-now"]
