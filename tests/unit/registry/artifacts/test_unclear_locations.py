"""Which locations mean one place to everybody, and which are refused where they are given."""

import pytest

from slipway.registry.artifacts.unclear_locations import require_plain
from slipway.registry.errors import NotApproved


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket/team/1/models/m-1/artifacts/../../zzz",
        "s3://bucket/team/./1",
        "s3://bucket//team",
        "s3://bucket/team//1",
        "s3://bucket/team/1//",
        "s3://bucket/team/%2e%2e/x",
        "s3://bucket/t%65am",
        "s3://bucket/team?x=1",
        "s3://bucket/team#x",
        "s3://b%75cket/team",
        "s3://[bucket/team",
        "slipway+s3://bucket/a/../b",
        "/srv/%31/models",
        "/srv/%2531/models",
        "/srv/./models",
        "//srv/models",
        "./models",
        "../models",
        "/srv\\models",
        "/srv/mod\tels",
        " /srv/models",
        "file:///srv/%31/models",
        "file:///srv/%2e%2e/models",
        "file:///srv/%2531/models",
        "file:///srv/%2fmodels",
        "file:///srv/a%00b",
        "file:///srv/../models",
        "file:////srv/models",
        "file://host/srv/models",
        "RUNS:/r/model",
        "Runs:/r/model",
        "runs://r/model",
        "runs:///r/model",
        "MODELS:/m/1",
        "models://m/1",
        "models:///m-1",
        "runs:",
        "FILE:///srv/models",
        "slipway+File:///srv/models",
        "mlflow-artifacts:/1/r/artifacts/mod%65l",
        "mlflow-artifacts:/1/r/artifacts/./model",
        "mlflow-artifacts:/1/r/artifacts//model",
        "mlflow-artifacts:/1/r/artifacts/model?x",
        "http://host/api/2.0/mlflow-artifacts/artifacts/1/%6d",
        "runs:/r/mod%65l",
    ],
)
def test_what_some_decode_and_others_do_not_is_refused(location: str):
    """It would be looked for in one place and written to another."""
    with pytest.raises(NotApproved) as found:
        require_plain(location, "no experiment keeps its artifacts")
    assert found.value.code == "unclear-location"
    assert "no experiment keeps its artifacts" in found.value.message
    assert found.value.hint


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/team/1/",
        "S3://bucket/team 1/é",
        "/srv/mlruns",
        "mlruns",
        "/srv/a b/..hidden",
        "file:///srv/a%20b/%C3%A9",
        "file:///srv/a b",
        "file://localhost/srv",
        "mlflow-artifacts:/",
        "mlflow-artifacts:/1/r/artifacts/my model",
        "mlflow-artifacts://host:5000/1",
        "http://host:5000/api/2.0/mlflow-artifacts/artifacts/1",
        "hdfs://node:8020/data",
        "runs:/r/model",
        "models:/m-1",
        "models:/100%41 sure?/3",
        "prompt-template",
    ],
)
def test_plain_locations_are_taken(location: str):
    """Also a folder's own URI, in which a space can be written in one way only, and what names a model."""
    require_plain(location, "a version")
