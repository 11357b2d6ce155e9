"""What a broken download may count on, and how long a transfer goes on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.registry.artifacts.s3_attempts import Attempts, Patience
from slipway.registry.artifacts.s3_client import Connection, place_of
from slipway.registry.artifacts.s3_download import RANGE_BYTES, download, ranges_of
from slipway.registry.artifacts.s3_journal import NAME, Journal, Range
from slipway.registry.artifacts.s3_listing import Listing, StoredFile
from slipway.registry.errors import Corrupt, InvalidInput, NotFound, SlipwayError, Unavailable


def stored(size_bytes: int = 100, etag: str = '"1"', path: str = "data/weights") -> StoredFile:
    """Return a listed file."""
    return StoredFile(path=path, size_bytes=size_bytes, etag=etag, modified=datetime(2026, 1, 1, tzinfo=UTC))


def part_of(file: StoredFile) -> Range:
    """Return its first half."""
    return Range(file=file, start=0, end=file.size_bytes // 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file of 100 bytes, of which the first half is noted."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weights").write_bytes(bytes(100))
    journal = Journal(tmp_path)
    journal.add(part_of(stored()))
    journal.close()
    return tmp_path


def test_a_range_that_was_written_is_known_later(folder: Path):
    """A range of the same object, and no other."""
    journal = Journal(folder)
    assert part_of(stored()) in journal
    assert Range(file=stored(), start=50, end=100) not in journal
    assert part_of(stored(etag='"2"')) not in journal
    assert part_of(stored(size_bytes=101)) not in journal


def test_a_file_that_is_gone_or_cut_has_no_ranges(folder: Path):
    """Whatever the journal says."""
    (folder / "data" / "weights").write_bytes(bytes(99))
    assert part_of(stored()) not in Journal(folder)
    (folder / "data" / "weights").unlink()
    assert part_of(stored()) not in Journal(folder)


def test_a_line_that_was_cut_counts_for_nothing(folder: Path):
    """A crash may leave half of it, and what comes after is noted all the same."""
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text[:-3])
    journal = Journal(folder)
    assert part_of(stored()) not in journal
    journal.add(part_of(stored()))
    journal.add(Range(file=stored(), start=50, end=100))
    journal.close()
    assert Range(file=stored(), start=50, end=100) in Journal(folder)


@given(st.integers(0, 5 * RANGE_BYTES))
def test_ranges_cover_a_file_without_gap_or_overlap(size_bytes: int):
    """Whatever its size."""
    edges = [(part.start, part.end) for part in ranges_of(stored(size_bytes))]
    assert [start for start, _ in edges] == [0, *(end for _, end in edges)][: len(edges)]
    assert (edges[-1][1] if edges else 0) == size_bytes
    assert all(start < end for start, end in edges)


def failing(*errors: Exception) -> Callable[[], str]:
    """Return a call that raises these errors, then succeeds."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


HASTY = Patience(stalled_s=0.05)


def test_what_passes_is_tried_again():
    """Until it succeeds."""
    assert Attempts("reading", Patience()).until_done(failing(ConnectionError(), ConnectionError())) == "done"


def test_patience_ends():
    """With the last error, when nothing succeeds any more."""
    with pytest.raises(Unavailable, match="reading failed: the 40th"):
        Attempts("reading", HASTY).until_done(failing(*[ConnectionError("the 40th")] * 40))


def test_when_one_thread_fails_the_others_stop():
    """Those that would try again for ever, and those that were not begun."""
    attempts = Attempts("reading", Patience(stalled_s=3600))
    for_ever = failing(*[ConnectionError()] * 10**6)
    gone = NotFound("gone", code="artifacts-gone", hint=None)
    calls = [lambda: attempts.until_done(for_ever)] * 20
    with pytest.raises(NotFound, match="gone"):
        attempts.all_done([*calls[:3], failing(gone), *calls])


@pytest.mark.parametrize(("uri", "said"), [("s3://b/a/c/", "s3://b/a/c"), ("s3://b", "s3://b"), ("s3://b/", "s3://b")])
def test_a_place_is_a_bucket_and_a_folder(uri: str, said: str):
    """With or without slashes at its end."""
    assert str(place_of(uri)) == said


@pytest.mark.parametrize("uri", ["s3://", "s3:///m", "http://b/m", "b/m"])
def test_what_names_no_place_is_refused(uri: str):
    """Before anything is asked."""
    with pytest.raises(InvalidInput, match="names no folder in S3"):
        place_of(uri)


class Answering:
    """A client of S3 whose answers have this tag and length, whatever was asked for."""

    def __init__(self, etag: str, size_bytes: int) -> None:
        self._answer = {"ETag": etag, "ContentLength": size_bytes}

    def get_object(self, **asked: str) -> dict[str, object]:
        return self._answer


@pytest.mark.parametrize(
    ("etag", "size_bytes", "kind", "code"),
    [('"2"', 100, Corrupt, "artifacts-changed"), ('"1"', 1000, Unavailable, "s3-no-ranges")],
)
def test_what_is_between_here_and_the_store_may_not_change_what_is_asked(
    tmp_path: Path, etag: str, size_bytes: int, kind: type[SlipwayError], code: str
):
    """A proxy that drops headers serves another object, or a whole one."""
    connection = Connection(client=Answering(etag, size_bytes), owner={}, patience=Patience())
    with pytest.raises(kind) as caught:
        download(Listing(place=place_of("s3://b/m"), files=(stored(),)), tmp_path, connection)
    assert caught.value.code == code


def test_what_was_written_just_before_it_was_listed_has_no_name():
    """It may be overwritten within the same second by a twin of its MD5; what is older would tell another time."""
    files, now = (stored(),), stored().modified
    names = {
        seconds: Listing(place=place_of("s3://b/m"), files=files, asked_at=now + timedelta(seconds=seconds)).fingerprint
        for seconds in (-1, 0, 2, 3, 100)
    }
    assert [name is None for name in names.values()] == [True, True, True, False, False]
    assert names[3] == names[100]
    assert Listing(place=place_of("s3://b/m"), files=files).fingerprint is None
