"""The contract of `Aliases`: straight from SQL and through MLflow's client the same is seen."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from slipway.registry.errors import Unavailable
from slipway.registry.versions.aliases import Aliases, identity_of
from slipway.registry.versions.mlflow_aliases import MlflowAliases
from slipway.registry.versions.sql_aliases import SqlAliases

PRODUCTION, STAGING = ("cancer", "production"), ("cancer", "staging")


@pytest.fixture
def client(store: Path) -> MlflowClient:
    """Return a client of an empty registry in SQLite."""
    return MlflowClient()


@pytest.fixture(params=["sql", "mlflow"])
def aliases(request: pytest.FixtureRequest, client: MlflowClient, store: Path) -> Aliases:
    """Return each door to the registry."""
    return SqlAliases(f"sqlite:///{store}/mlflow.db") if request.param == "sql" else MlflowAliases()


def register(client: MlflowClient, model: str) -> int:
    """Register a version of a model, and return its number."""
    if not client.search_registered_models(f"name='{model}'"):
        client.create_registered_model(model)
    return int(client.create_model_version(model, "file:///nowhere").version)


def test_the_holder_of_an_alias_is_seen_at_once_when_it_moves(client: MlflowClient, aliases: Aliases):
    """Also when it is taken away; what was not asked for is not told."""
    assert aliases.holders([PRODUCTION]) == {}
    for number in (register(client, "cancer"), register(client, "cancer")):
        client.set_registered_model_alias("cancer", "production", str(number))
        assert aliases.holders([PRODUCTION, STAGING])[PRODUCTION].number == number
    client.delete_registered_model_alias("cancer", "production")
    assert aliases.holders([PRODUCTION, STAGING]) == {}


def test_a_recreated_model_has_another_identity(client: MlflowClient, aliases: Aliases):
    """Though its numbers start at 1 again."""
    seen = []
    for _ in range(2):
        client.set_registered_model_alias("cancer", "production", str(register(client, "cancer")))
        seen.append(aliases.holders([PRODUCTION])[PRODUCTION])
        client.delete_registered_model("cancer")
    assert [each.number for each in seen] == [1, 1]
    assert seen[0].identity != seen[1].identity


def test_versions_of_one_millisecond_are_told_apart(client: MlflowClient, aliases: Aliases, store: Path):
    """Those of two models with one number, and those that were made of other files; both doors name them alike."""
    for model in ("cancer", "iris"):
        client.set_registered_model_alias(model, "production", str(register(client, model)))
    with contextlib.closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute("UPDATE model_versions SET creation_time = 1")
    wanted = [PRODUCTION, ("iris", "production")]
    cancer, iris = map(aliases.holders(wanted).__getitem__, wanted)
    assert (cancer.number, iris.number) == (1, 1)
    assert cancer.identity != iris.identity
    assert (
        cancer.identity
        == identity_of("default", 1, "cancer", "file:///nowhere")
        != identity_of("default", 1, "cancer", "")
    )
    assert aliases.numbered("cancer", 1) == cancer


def test_models_with_an_alias_are_told_without_prompts(client: MlflowClient, aliases: Aliases):
    """A prompt may have the same alias, and is no model."""
    for model in ("iris", "cancer", "wine"):
        register(client, model)
    for model in ("iris", "cancer"):
        client.set_registered_model_alias(model, "production", "1")
    client.register_prompt("greeting", "hello {{name}}")
    client.set_prompt_alias("greeting", "production", 1)
    assert aliases.models_with("production") == ("cancer", "iris")
    assert aliases.model_names() == ("cancer", "iris", "wine")


def test_a_prompt_holds_no_stage(client: MlflowClient, aliases: Aliases):
    """Nor is it a model, by whatever name it is asked for."""
    client.register_prompt("cancer", "hello {{name}}")
    client.set_prompt_alias("cancer", "production", 1)
    assert aliases.holders([PRODUCTION]) == {}
    assert aliases.models(["cancer", "nobody"]) == {}


def test_versions_are_found_by_number_while_they_are_there(client: MlflowClient, aliases: Aliases):
    """As the alias would show them; one that was deleted is gone."""
    client.set_registered_model_alias("cancer", "production", str(register(client, "cancer")))
    assert aliases.numbered("cancer", 1) == aliases.holders([PRODUCTION])[PRODUCTION]
    assert aliases.numbered("cancer", 2) is None
    client.delete_model_version("cancer", "1")
    assert aliases.numbered("cancer", 1) is None


def test_a_model_is_told_by_its_creation_time(client: MlflowClient, aliases: Aliases):
    """A re-created one is another."""
    register(client, "cancer")
    found = aliases.models(["cancer", "nobody"])["cancer"]
    assert found.created_ms == client.get_registered_model("cancer").creation_timestamp
    assert (found.name, found.workspace) == ("cancer", "default")


def test_both_doors_name_a_version_alike(client: MlflowClient, store: Path):
    """An engine that finds its version in the cache may have looked through the other one before."""
    client.set_registered_model_alias("cancer", "production", str(register(client, "cancer")))
    assert SqlAliases(f"sqlite:///{store}/mlflow.db").holders([PRODUCTION]) == MlflowAliases().holders([PRODUCTION])


def test_a_registry_that_is_not_there_is_unavailable(tmp_path: Path):
    """Said, not taken for an empty one."""
    with pytest.raises(Unavailable):
        SqlAliases(f"sqlite:///{tmp_path}/empty.db").holders([PRODUCTION])
