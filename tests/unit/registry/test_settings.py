"""Settings come from the file and above it the environment; all bad ones are said at once."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.settings import (
    RegistrySettings,
    Section,
    load_settings,
    others_write_runs,
    policy_place,
    registry_view,
)


class Vault(Section):
    """Settings with something to hide."""

    connections: dict[str, SecretStr] = {}  # noqa: RUF012
    limit: int = 5


def load(folder: Path, text: str = "", environ: dict[str, str] | None = None, kind: type = RegistrySettings):
    """Load settings from a file's text and an environment."""
    (folder / "slipway.yaml").write_text(text)
    section = "registry" if kind is RegistrySettings else "training"
    return load_settings(kind, section, environ=environ or {}, folder=folder)


def test_without_anything_the_defaults_hold(tmp_path: Path):
    """The policy is in the working folder, MLflow's stage label is mirrored."""
    found = load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path)
    assert (found.policy, found.mirror_stages, found.history_uri) == (Path("promotion.yaml"), True, None)


def test_the_environment_wins_over_the_file(tmp_path: Path):
    """Key by key: what the environment does not say stays as the file says."""
    found = load(
        tmp_path, "registry: {policy: gates.yaml, mirror_stages: true}", {"SLIPWAY_REGISTRY__MIRROR_STAGES": "false"}
    )
    assert (found.policy, found.mirror_stages) == (Path("gates.yaml"), False)


def test_a_nested_key_is_joined_by_two_underscores(tmp_path: Path):
    """A connection of the environment stands beside one of the file."""
    environ = {"SLIPWAY_TRAINING__CONNECTIONS__LAKE": "sqlite:///lake.db"}
    found = load(tmp_path, "training: {connections: {house: 'sqlite:///house.db'}}", environ, kind=Vault)
    assert {name: url.get_secret_value() for name, url in found.connections.items()} == {
        "house": "sqlite:///house.db",
        "lake": "sqlite:///lake.db",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registri: {}", r"unknown section 'registri' \(did you mean 'registry'\?\)"),
        ("registry: {polcy: a.yaml}", r"slipway.yaml: registry.polcy is unknown \(did you mean 'policy'\?\)"),
        ("registry: {mirror_stages: 7}", "slipway.yaml: registry.mirror_stages=7: Input should be a valid boolean"),
        ("registry: [", "is not YAML"),
    ],
)
def test_a_bad_key_is_named_with_its_source(tmp_path: Path, text: str, said: str):
    """What is wrong, where, and what was probably meant."""
    with pytest.raises(InvalidInput, match=said):
        load(tmp_path, text)


def test_all_bad_keys_are_said_at_once(tmp_path: Path):
    """From the file and from the environment."""
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, "registry: {polcy: a.yaml}", {"SLIPWAY_REGISTRY__MIRROR_STAGES": "perhaps"})
    assert "slipway.yaml: registry.polcy is unknown" in caught.value.message
    assert "SLIPWAY_REGISTRY__MIRROR_STAGES='perhaps': Input should be a valid boolean" in caught.value.message


def test_a_secret_is_never_repeated(tmp_path: Path):
    """A connection that cannot be read is not printed."""
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, "training: {connections: {house: [hunter2]}, limit: many}", kind=Vault)
    assert "hunter2" not in caught.value.message
    assert "limit='many'" in caught.value.message


def test_a_policy_that_is_named_has_to_be_there(tmp_path: Path):
    """The default policy in its place would judge otherwise, and nobody would know."""
    assert policy_place(load(tmp_path), tmp_path) == tmp_path / "promotion.yaml"
    named = load(tmp_path, "registry: {policy: rules/strict.yaml}")
    with pytest.raises(NotFound, match=r"the settings name the policy .*strict\.yaml, and there is no such file"):
        policy_place(named, tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/strict.yaml").touch()
    assert policy_place(named, tmp_path) == tmp_path / "rules/strict.yaml"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SLIPWAY_REGISTRI__POLICY", r"unknown section 'registri' \(did you mean 'registry'\?\)"),
        ("SLIPWAY_REGISTRY_POLICY", "two underscores"),
    ],
)
def test_a_variable_that_would_not_be_read_is_refused(tmp_path: Path, name: str, said: str):
    """A misspelt one would be without effect, and nobody would know."""
    with pytest.raises(InvalidInput, match=said):
        load(tmp_path, environ={name: "strict.yaml"})


def test_variables_of_others_are_left_alone(tmp_path: Path):
    """Kubernetes sets some for a service that is called slipway, or slipway-registry."""
    load(tmp_path, environ={"SLIPWAY_SERVICE_HOST": "10.0.0.1", "SLIPWAY_REGISTRY_SERVICE_PORT": "80"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, False),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}, True),
        ({"MLFLOW_REGISTRY_URI": "https://models"}, True),
        ({"MLFLOW_TRACKING_URI": "http://runs", "MLFLOW_REGISTRY_URI": "sqlite:///mlflow.db"}, True),
    ],
)
def test_at_a_server_others_write_runs_too(environ: dict[str, str], expected: bool):
    """Whichever of both is there."""
    assert others_write_runs(environ) is expected


def test_a_view_is_of_whoever_asks_wherever_mlflow_finds_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the file of credentials, by a token, or in the address: another may be denied what one could read."""
    server, views = {"MLFLOW_TRACKING_URI": "http://registry"}, []
    for user in ("ann", "eve"):
        (tmp_path / user / ".mlflow").mkdir(parents=True)
        kept = f"[mlflow]\nmlflow_tracking_username = {user}\nmlflow_tracking_password = secret\n"
        (tmp_path / user / ".mlflow" / "credentials").write_text(kept)
        monkeypatch.setenv("HOME", str(tmp_path / user))
        views.append(registry_view(server, tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    others = ({**server, "MLFLOW_TRACKING_TOKEN": "a"}, {**server, "MLFLOW_TRACKING_TOKEN": "b"}, server)
    views += [registry_view(each, tmp_path) for each in others]
    assert len(set(views)) == 5


def test_a_view_of_a_registry_is_told_from_every_other(tmp_path: Path):
    """By the place, the folder of a database file, the history, the workspace and the user; never by a password."""
    server = {"MLFLOW_TRACKING_URI": "http://registry"}
    others = [
        {},
        server,
        {"MLFLOW_TRACKING_URI": "http://other"},
        {**server, "MLFLOW_WORKSPACE": "team"},
        {**server, "MLFLOW_TRACKING_USERNAME": "ann"},
        {**server, "SLIPWAY_REGISTRY__HISTORY_URI": "postgresql://u:secret@db/history"},
    ]
    (tmp_path / "other").mkdir()
    views = [registry_view(each, tmp_path) for each in others]
    assert len({*views, registry_view({}, tmp_path / "other")}) == len(others) + 1
    assert registry_view(server, tmp_path / "other") == registry_view(server, tmp_path)
    assert not any("secret" in view for view in views)
