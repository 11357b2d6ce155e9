"""The settings of a team's server: in one place, wrong ones said at once, nothing secret repeated."""

from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.settings import RegistrySettings, load_settings
from slipway.registry.setup.server_settings import ServerSettings, TeamSettings

DATABASE, ARTIFACTS = "postgresql://ann:hunter2@db/mlflow", "s3://models/team/"


def load(folder: Path, text: str = "", **environ: str) -> TeamSettings:
    """Load settings from a file's text and the server's variables."""
    (folder / "slipway.yaml").write_text(text)
    variables = {f"SLIPWAY_REGISTRY__SERVER__{name}": value for name, value in environ.items()}
    return load_settings(TeamSettings, "registry", environ=variables, folder=folder)


def test_without_a_section_there_is_no_server(tmp_path: Path):
    """The embedded mode stays the default."""
    assert load(tmp_path).server is None


def test_who_is_no_server_needs_none_of_its_secrets(tmp_path: Path):
    """The file is in git, and is read by every command of its folder, and by the server that MLflow starts."""
    (tmp_path / "slipway.yaml").write_text("registry: {mirror_stages: false, server: {artifacts: s3://models/team}}")
    assert load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path).mirror_stages is False
    with pytest.raises(InvalidInput, match=r"registry\.server\.database is missing"):
        load_settings(TeamSettings, "registry", environ={}, folder=tmp_path)


def test_file_and_environment_make_one(tmp_path: Path):
    """The password comes from the environment, the rest from the file; what nobody says has a default."""
    text = "registry: {server: {artifacts: 's3://models/team/', users: on, addresses: ['https://mlflow.example.org']}}"
    found = load(tmp_path, text, DATABASE=DATABASE).server
    assert found.database_url == DATABASE
    assert (found.artifacts, found.users, found.workers, found.url) == (
        "s3://models/team",
        True,
        4,
        "http://127.0.0.1:5000",
    )
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("secret", ["007", "yes", "[broken", "a: b", "#5"])
def test_a_secret_of_the_environment_is_taken_as_it_is_written(tmp_path: Path, secret: str):
    """YAML would make another password of it, or none."""
    found = load(tmp_path, DATABASE=DATABASE, ARTIFACTS=ARTIFACTS, ADMIN_PASSWORD=secret).server
    assert found.admin_password.get_secret_value() == secret


def test_all_that_is_wrong_is_said_at_once_and_no_secret_is(tmp_path: Path):
    """From the file and from the environment, with what was probably meant."""
    text = (
        "registry: {server: {artifacts: 'gs://b', databse: 'postgresql://ann:hunter2@db', admin_password: [hunter2]}}"
    )
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, text, PORT="many", DATABASE="mysql://ann:hunter2@db", S3_ENDPOINT="ceph:8000")
    said = caught.value.message
    assert "slipway.yaml: registry.server.artifacts='gs://b': expected s3://bucket/prefix, or a folder" in said
    assert "slipway.yaml: registry.server.databse is unknown (did you mean 'database'?)" in said
    assert "slipway.yaml: registry.server.admin_password=(hidden): Input should be a valid string" in said
    assert "SLIPWAY_REGISTRY__SERVER__DATABASE=(hidden): expected postgresql://user:password@host/database" in said
    assert "SLIPWAY_REGISTRY__SERVER__PORT='many': Input should be a valid integer" in said
    assert "SLIPWAY_REGISTRY__SERVER__S3_ENDPOINT='ceph:8000': expected http://host:port" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "text", ["registry: {server: 'postgresql://ann:hunter2@db'}", "registry: {server: {users: on}}"]
)
def test_a_section_that_is_none_or_lacks_something_repeats_nothing(tmp_path: Path, text: str):
    """What lies in it may be secret."""
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, text)
    assert "hunter2" not in caught.value.message


def test_what_is_missing_is_named_in_both_places(tmp_path: Path):
    """Where to write it is the reader's choice."""
    with pytest.raises(
        InvalidInput, match=r"registry\.server\.database is missing, and so is SLIPWAY_REGISTRY__SERVER__"
    ):
        load(tmp_path, "registry: {server: {artifacts: 's3://b'}}")


@pytest.mark.parametrize(
    ("given", "kept"), [("artifacts", "{here}/artifacts"), ("file:///a%20b", "/a b"), ("/a b", "/a b")]
)
def test_a_folder_becomes_a_url(given: str, kept: str):
    """So that the server's own folder does not matter."""
    found = ServerSettings(database=DATABASE, artifacts=given)
    assert found.artifacts == Path(kept.format(here=Path.cwd())).as_uri()


def test_a_server_that_listens_everywhere_answers_here_too():
    """Its own machine asks it on the loopback."""
    assert ServerSettings(database=DATABASE, artifacts=ARTIFACTS, host="0.0.0.0").url == "http://127.0.0.1:5000"
