"""Locations of artifacts: the same place however it is written, and what touches it."""

from pathlib import Path

import pytest

from slipway.registry.artifacts.locations import Place, place_of, places_named, unguarded

BUCKET = "slipway+s3://bucket/mlflow"
PROTECTED = "mlflow-artifacts:/0/models/m-1/artifacts"


def at(location: str, destination: str | None = BUCKET, workspace: str = "default") -> Place | None:
    """Return a place on a server that keeps its artifacts in a bucket."""
    return place_of(location, destination=destination, workspace=workspace)


@pytest.mark.parametrize(
    "spelling",
    [
        "mlflow-artifacts:/0/models/m-1/artifacts",
        "mlflow-artifacts://host:5000/0/models/m-1/artifacts/",
        "http://host:5000/api/2.0/mlflow-artifacts/artifacts/0/models/m-1/artifacts",
        "s3://bucket/mlflow/0/models/m-1/artifacts",
        "s3://BUCKET/mlflow/0/models/m-1/artifacts/",
        "slipway+s3://bucket/mlflow/0/models/m-1/artifacts",
        "S3://bucket/mlflow/0/models/m-1/artifacts",
    ],
)
def test_one_place_has_many_spellings(spelling: str):
    """Through the server, past it, and around corners."""
    assert at(spelling) == at(PROTECTED)


@pytest.mark.parametrize(
    ("path", "touches"),
    [
        ("0/models/m-1/artifacts/MLmodel", True),
        ("0/models/m-1/artifacts", True),
        ("0/models/m-1", True),
        ("0", True),
        ("", True),
        ("0/models/m-10/artifacts/MLmodel", False),
        ("0/models/m-1/artifacts2", False),
        ("1/models/m-1/artifacts/MLmodel", False),
    ],
)
def test_what_lies_in_or_around_a_place_touches_it(path: str, touches: bool):
    """A folder that is deleted takes with it what is in it; a name that begins alike is another."""
    assert at(f"mlflow-artifacts:/{path}").touches(at(PROTECTED)) is touches


def test_only_what_lies_in_a_place_is_in_it():
    """A folder around it is not."""
    assert at(f"{PROTECTED}/x").is_in(at(PROTECTED))
    assert at(PROTECTED).is_in(at(PROTECTED))
    assert not at("mlflow-artifacts:/0").is_in(at(PROTECTED))


def test_workspaces_lie_apart():
    """The same path in another workspace is another place, with or without its prefix."""
    team = at("mlflow-artifacts:/0/m", workspace="team")
    assert team == at("mlflow-artifacts:/workspaces/team/0/m", workspace="team")
    assert team == at("s3://bucket/mlflow/workspaces/team/0/m")
    assert not team.touches(at("mlflow-artifacts:/0/m"))


def test_a_link_is_the_folder_that_it_leads_to(tmp_path: Path):
    """Local paths are resolved."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert at(f"file://{tmp_path}/link/m") == at(str(tmp_path / "real" / "m"))
    assert at((tmp_path / "a b").as_uri()) == at(str(tmp_path / "a b"))


@pytest.mark.parametrize("location", ["models:/m-1", "runs:/abc/model", ""])
def test_what_names_no_place_is_none(location: str):
    """It has to be resolved by whoever knows runs and models."""
    assert at(location) is None


@pytest.mark.parametrize("path", ["0/models/x/../m-1/artifacts", "0/./models/m-1/artifacts", "0//models/m-1/artifacts"])
def test_a_store_of_objects_takes_names_as_they_are_written(path: str):
    """A key with dots in it lies where it begins, and a folder is where the system says."""
    key = at(f"s3://bucket/mlflow/{path}")
    assert key.parts == ("mlflow", *path.split("/"))
    assert at("s3://bucket/mlflow/0").below(path.removeprefix("0/")) == key
    assert at(f"/srv/{path}") == at("/srv/0/models/m-1/artifacts")


def test_what_climbs_out_of_a_key_still_lies_in_it():
    """What is stored there is listed among the objects of the version, and nobody can remove it."""
    assert at("s3://bucket/mlflow/0/models/m-1/artifacts/../../zzz").is_in(at(PROTECTED))


def test_slashes_at_the_end_hide_nothing():
    """MLflow takes them off before it deletes what is below."""
    assert at("s3://bucket/mlflow/0").below("models//").touches(at(PROTECTED))


def test_a_path_without_a_scheme_is_decoded_as_mlflow_does():
    """MLflow writes to what is left of it."""
    assert at("/srv/%31/m%6fdel") == at("/srv/1/model") == at("file:///srv/1/m%6Fdel")


@pytest.mark.parametrize(
    "spelling",
    [
        "mlflow-artifacts:/0/mod%65ls/m-1/artifacts",
        "mlflow-artifacts:/0/mod%2565ls/m-1/artifacts",
        "mlflow-artifacts:/0%2Fmodels/m-1/artifacts",
        "mlflow-artifacts:/0/./models//m-1/artifacts?x=1#y",
        "http://host/api/2.0/mlflow%2Dartifacts/artifacts/0/models/m-1/artifacts",
        "http://host/ajax-api/2.0//mlflow-artifacts/artifacts/0/models/m-1/artifacts",
        "s3://bucket/mlflow/0/%6dodels/m-1/artifacts",
        "s3://bucket//mlflow/./0/models/x/../m-1/artifacts",
    ],
)
def test_a_location_may_be_taken_for_all_that_it_decodes_to(spelling: str):
    """Servers, clients and stores decode in different places: each of them is meant."""
    named = places_named(spelling, destination=BUCKET)
    assert at(PROTECTED) in named
    assert named[0] == at(spelling)


def test_a_local_path_is_also_what_is_written(tmp_path: Path):
    """Both the folder with the code in its name and the one that the code stands for."""
    named = places_named(f"{tmp_path}/%2531", destination=None)
    assert {place.parts[-1] for place in named} == {"%2531", "%31", "1"}
    assert places_named("models:/m/1", destination=None) == ()


def test_without_a_destination_nothing_is_passed_on():
    """The server does not keep these bytes."""
    assert at(PROTECTED, destination=None) is None


def test_the_mark_of_the_guard_is_taken_off():
    """In whatever case."""
    assert unguarded("SLIPWAY+sqlite:///a.db") == "sqlite:///a.db"
    assert unguarded("sqlite:///a.db") == "sqlite:///a.db"
