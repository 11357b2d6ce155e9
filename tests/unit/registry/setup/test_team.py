"""Parts are made in order, once; MLflow's file about its users is written for its owner."""

import configparser
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.setup.auth_config import AuthConfig, auth_config
from slipway.registry.setup.server_settings import ServerSettings
from slipway.registry.setup.team import missing, prepare

URL = "postgresql://ann:p%40ss@db/mlflow"
SERVER = ServerSettings(database=URL, artifacts="s3://models", admin_name="50%")


@dataclass
class FakePart:
    """A part that is there once it was made."""

    name: str
    log: list[str] = field(default_factory=list)
    there: bool = False

    def is_there(self) -> bool:
        self.log.append(f"{self.name}?")
        return self.there

    def make(self) -> None:
        self.log.append(f"{self.name}!")
        self.there = True


def test_each_part_is_made_before_the_next_is_looked_at():
    """Ours are looked for after MLflow's tables were made."""
    log: list[str] = []
    found = prepare([FakePart("a", log), FakePart("b", log, there=True), FakePart("c", log)])
    assert log == ["a?", "a!", "b?", "c?", "c!"]
    assert [each.was_there for each in found] == [False, True, False]


def test_a_second_time_nothing_is_made():
    """Everything was there."""
    parts = [FakePart("a"), FakePart("b")]
    prepare(parts)
    assert all(each.was_there for each in prepare(parts))


def test_to_look_makes_nothing():
    """A dry run leaves everything as it is."""
    part = FakePart("a")
    assert [each.was_there for each in missing([part])] == [False]
    assert part.log == ["a?"]


def test_the_file_says_what_the_settings_say(tmp_path: Path):
    """MLflow reads the same database from it, percent signs included; others cannot read it."""
    config = auth_config(SERVER, {}, tmp_path)
    assert not config.is_there()
    config.make()
    assert config.is_there()
    read = configparser.ConfigParser()
    read.read(config.path)
    assert (read["mlflow"]["database_uri"], read["mlflow"]["admin_username"]) == (URL, "50%")
    assert config.path.stat().st_mode & 0o777 == 0o600
    config.path.write_text("")
    assert not config.is_there()


def test_a_file_of_the_teams_own_is_read_and_left_as_it_is(tmp_path: Path):
    """It says where the users are."""
    own = tmp_path / "own.ini"
    own.write_text("[mlflow]\ndatabase_uri = sqlite:///users.db\n")
    assert auth_config(SERVER, {"MLFLOW_AUTH_CONFIG_PATH": str(own)}, tmp_path) == AuthConfig(
        path=own, database_url="sqlite:///users.db"
    )
    assert auth_config(SERVER, {"MLFLOW_AUTH_CONFIG_PATH": str(own)}, tmp_path).is_there()


@pytest.mark.parametrize("text", [None, "", "[mlflow]\n", "no section"])
def test_a_file_that_says_of_no_database_is_refused(tmp_path: Path, text: str | None):
    """Before a server is started that would not know its users."""
    own = tmp_path / "own.ini"
    if text is not None:
        own.write_text(text)
    with pytest.raises(InvalidInput, match="which says of no database"):
        auth_config(SERVER, {"MLFLOW_AUTH_CONFIG_PATH": str(own)}, tmp_path)
