"""A name can be given away and given again, an identity cannot."""

from collections.abc import Callable

from registry.errors import Conflict, NotFound
from registry.identity import RegisteredModel, uid_of
from tests.fakes import FakeHistory
from tests.unit.registry.test_history import event

UID = "default/1/m"


def model(name: str, created_ms: int = 1, workspace: str = "default") -> RegisteredModel:
    """Return a registered model."""
    return RegisteredModel(name=name, created_ms=created_ms, workspace=workspace)


def registry(*models: RegisteredModel) -> Callable[[str], RegisteredModel]:
    """Return how a registry with these models finds one; `greeting` is a prompt."""

    def find(name: str) -> RegisteredModel:
        if name == "greeting":
            raise Conflict("a prompt", code="is-a-prompt", hint=None)
        for each in models:
            if each.name == name:
                return each
        raise NotFound("no model", code="unknown-model", hint=None)

    return find


def known(*names: str) -> FakeHistory:
    """Return a history that knows models of one millisecond by these names."""
    history = FakeHistory()
    for name in names:
        history.append(event(model_uid=f"default/1/{name}", model=name), after_seq=0)
    return history


def test_a_model_that_was_made_again_or_elsewhere_is_another():
    """By its creation time, and by its workspace."""
    for other in (model("m", created_ms=2), model("m", workspace="team_a")):
        assert uid_of(other, known("m"), registry(other)) != UID
    assert uid_of(model("m"), known("m"), registry(model("m"))) == UID


def test_a_renamed_model_is_the_same():
    """Whoever has the old name now, and once an event was recorded under the new one without asking."""
    renamed = model("tumour")
    for others in ((), (model("m", created_ms=2),)):
        assert uid_of(renamed, known("m"), registry(renamed, *others)) == UID
    as_prompt = known("greeting")
    assert uid_of(renamed, as_prompt, registry(renamed)) == "default/1/greeting"
    history = known("m")
    history.append(event(model_uid=UID, model="tumour"), after_seq=1)
    assert uid_of(renamed, history, registry()) == UID


def test_two_models_of_one_millisecond_are_two():
    """One of them has a history and the other has none yet; or both have one."""
    both = registry(model("m"), model("n"))
    assert uid_of(model("n"), known("m"), both) == "default/1/n"
    assert uid_of(model("n"), known("m", "n"), both) == "default/1/n"
    renamed = registry(model("m"), model("tumour"))
    assert uid_of(model("tumour"), known("m", "n"), renamed) == "default/1/n"
