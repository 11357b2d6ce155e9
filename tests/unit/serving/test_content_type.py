"""What a Content-Type says; that MLflow agrees is tested in contract/test_scoring_agrees."""

import pytest

from registry.errors import InvalidInput
from serving.protocols.content_type import ContentType, content_type


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"application/json", ContentType.JSON),
        (b"application/json; charset=UTF-8", ContentType.JSON),
        (b" text/csv ;charset=utf-8", ContentType.CSV),
        (b"application/vnd.apache.parquet", ContentType.PARQUET),
    ],
)
def test_types_that_are_scored(header: bytes, expected: ContentType):
    """JSON, CSV and Parquet, with or without the charset that they have anyway."""
    assert content_type(header) is expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"text/plain",
        b"Application/JSON",
        b"application/json; charset=latin-1",
        b"application/json; v=2",
        b"\xff",
    ],
)
def test_types_that_are_not(header: bytes | None):
    """Everything else is refused with what is taken, and without what was sent."""
    with pytest.raises(InvalidInput) as refusal:
        content_type(header)
    assert refusal.value.code == "unsupported-content-type"
    assert "latin" not in refusal.value.message
