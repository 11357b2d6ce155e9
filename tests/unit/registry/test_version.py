"""People name versions by number or alias, and nothing else."""

import pytest

from registry.errors import InvalidInput
from registry.version import parse_ref


@pytest.mark.parametrize(("text", "number", "alias"), [("churn/5", 5, None), ("churn@production", None, "production")])
def test_a_version_is_named_by_number_or_alias(text: str, number: int | None, alias: str | None):
    """MLflow's own URI of the version is understood as well."""
    for written in (text, f"models:/{text}"):
        ref = parse_ref(written)
        assert (ref.model, ref.number, ref.alias, ref.uri) == ("churn", number, alias, f"models:/{text}")


@pytest.mark.parametrize("text", ["churn", "churn/", "churn/0", "churn/x", "churn/1/2", "@production", "", "a@b@c"])
def test_anything_else_is_refused_with_examples(text: str):
    """A bare name could mean any version."""
    with pytest.raises(InvalidInput, match=r"names no version; write churn/5 or churn@production"):
        parse_ref(text)
