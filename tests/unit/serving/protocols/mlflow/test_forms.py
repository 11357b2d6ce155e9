"""Which bodies may come where; that MLflow agrees on `/invocations` is tested in contract/test_scoring_agrees."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.forms import FORMS, INVOCATIONS, PREDICT, BodyKind, is_json


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"application/json", BodyKind.JSON),
        (b"application/json; charset=UTF-8", BodyKind.JSON),
        (b" text/csv ;charset=utf-8", BodyKind.CSV),
        (b"application/vnd.apache.parquet", BodyKind.PARQUET),
    ],
)
def test_types_that_are_scored(header: bytes, expected: BodyKind):
    """JSON, CSV and Parquet, with or without the charset that they have anyway."""
    assert INVOCATIONS.kind(header) is expected


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"text/plain",
        b"Application/JSON",
        b"application/json; charset=latin-1",
        b"application/json; v=2",
        b"\xff",
    ],
)
def test_types_that_are_not(header: bytes):
    """Everything else is refused with what is taken, and without what was sent; each time anew."""
    for _ in range(2):
        with pytest.raises(InvalidInput) as refusal:
            INVOCATIONS.kind(header)
        assert refusal.value.code == "wrong-content-type"
        assert "latin" not in refusal.value.message
    assert not is_json(header)


def test_predict_takes_json_only():
    """The plain form is one of JSON; the hint says so."""
    assert PREDICT.kind(b"application/json") is BodyKind.FEATURES
    with pytest.raises(InvalidInput) as refusal:
        PREDICT.kind(b"text/csv")
    assert refusal.value.hint == "send application/json"


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_looks_like_json_is_taken_as_json(form):
    """The short way never takes a body that the long way would refuse or read as something else."""
    for header in (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=UTF-8"):
        assert is_json(header)
        assert form.kind(header) in {BodyKind.JSON, BodyKind.FEATURES}
    assert not is_json(b"text/csv")
