"""People name versions by number or alias, and nothing else."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.version import parse_ref


@pytest.mark.parametrize(("text", "number", "alias"), [("churn/5", 5, None), ("churn@production", None, "production")])
def test_a_version_is_named_by_number_or_alias(text: str, number: int | None, alias: str | None):
    """MLflow's own URI of the version is understood as well."""
    for written in (text, f"models:/{text}"):
        ref = parse_ref(written)
        assert (ref.model, ref.number, ref.alias, ref.uri) == ("churn", number, alias, f"models:/{text}")


@pytest.mark.parametrize("text", ["churn", "churn/", "churn/0", "churn/x", "churn/1/2", "@production", ""])
def test_anything_else_is_refused_with_examples(text: str):
    """A bare name could mean any version."""
    with pytest.raises(InvalidInput, match=r"names no version; write churn/5 or churn@production"):
        parse_ref(text)


@pytest.mark.parametrize(
    "text",
    ["churn/99999999999999999999", f"churn/{2**31}", "churn/-1", "churn/١", "churn/1\0", "churn/１", "churn/1e3"],
)
def test_numbers_that_no_version_can_have_are_refused(text: str):
    """A database would answer with an error of its own; digits of other scripts look like ours."""
    with pytest.raises(InvalidInput) as error:
        parse_ref(text)
    assert error.value.code == "not-a-version"
    assert len(error.value.message) < 300


@pytest.mark.parametrize("text", ["a\0b/1", "a\udcff/1", "a@\0", f"{'x' * 257}/1"])
def test_names_that_no_database_could_have_are_refused(text: str):
    """Whatever the shell let through."""
    with pytest.raises(InvalidInput):
        parse_ref(text)


@pytest.mark.parametrize("name", ["two\nlines", "a@b", "my model", "日本", "🦉"])
def test_names_that_mlflow_allows_are_understood(name: str):
    """Whoever has such a model can still name its versions."""
    assert parse_ref(f"{name}/1").model == parse_ref(f"{name}@production").model == name
