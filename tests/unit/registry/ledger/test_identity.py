"""A name can be given away and given again, an identity cannot."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from slipway.registry.errors import Conflict, NotFound
from slipway.registry.ledger.chain import HEAD_TAG
from slipway.registry.ledger.identity import name_now, uid_last_named, uid_named, uid_of
from slipway.registry.registered_model import RegisteredModel
from tests.doubles.fakes import FakeHistory
from tests.unit.registry.ledger.test_history import event

UID = "default/1/m"


def model(name: str, created_ms: int = 1, workspace: str = "default") -> RegisteredModel:
    """Return a registered model about which something was decided: it notes the head of its chain."""
    return RegisteredModel(name=name, created_ms=created_ms, workspace=workspace, tags={HEAD_TAG: "1:…"})


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
    new = replace(model("n"), tags={})
    assert uid_of(new, known("m"), registry(model("renamed"), new)) == "default/1/n", "it notes no head of a chain"
    assert uid_of(model("renamed"), known("m"), registry(model("renamed"), new)) == "default/1/m"


def test_a_model_of_the_same_millisecond_has_no_name_of_anothers_history():
    """Its own chain has the head that it notes, even where the history knows the other one by the name that it has."""
    history = known("a", "b")
    for seq, name in enumerate(("churn", "lax"), start=1):
        history.append(event(model_uid="default/1/a", model=name), after_seq=seq)
    a, b = (
        RegisteredModel(name=name, created_ms=1, workspace="default", tags={HEAD_TAG: str(history.head(uid))})
        for name, uid in (("lax", "default/1/a"), ("churn", "default/1/b"))
    )
    now = registry(a, b)
    assert uid_of(a, history, now) == "default/1/a"
    assert uid_of(b, history, now) == "default/1/b"
    assert uid_of(replace(b, name="a"), history, now) == "default/1/b", "the other one's first name"
    assert uid_named("churn", history, now) == "default/1/b"
    as_churn = replace(a, name="gone")
    history.append(event(model_uid="default/1/a", model="churn"), after_seq=3)
    found = name_now("default/1/a", history, registry(as_churn, b), lambda: (as_churn, b))
    assert found == "gone", "the name by which the history knows it last is the other's now"


def swapped() -> FakeHistory:
    """Return a history of m, which became n; of another that was called m after that, and became o."""
    history = FakeHistory()
    told = [("default/1/m", 1, "m"), ("default/1/m", 2, "n"), ("default/2/m", 1, "m"), ("default/2/m", 2, "o")]
    for day, (uid, seq, name) in enumerate(told, start=1):
        history.append(event(model_uid=uid, model=name, at=datetime(2026, 1, day, tzinfo=UTC)), after_seq=seq - 1)
    return history


def test_a_name_means_the_model_that_has_it_now():
    """The older one has its first name again, and the newer was known by it since."""
    now = registry(model("m", created_ms=1), model("o", created_ms=2))
    assert uid_named("m", swapped(), now) == "default/1/m"
    assert uid_named("o", swapped(), now) == "default/2/m"
    assert uid_named("m", swapped(), registry(model("n", created_ms=1), model("m", created_ms=2))) == "default/2/m"
    assert uid_named("p", swapped(), registry(model("p", created_ms=1), model("o", created_ms=2))) == "default/1/m"


def test_a_new_model_under_an_old_name_has_none_of_the_others_history():
    """Its own has not begun; identities are found as ever."""
    now = registry(model("m", created_ms=3), model("n", created_ms=1))
    with pytest.raises(NotFound, match="nothing was decided yet about the model that is called 'm' now"):
        uid_named("m", swapped(), now)
    assert uid_named("default/2/m", swapped(), now) == "default/2/m"


@pytest.mark.parametrize(("name", "uid"), [("m", "default/2/m"), ("n", "default/1/m"), ("o", "default/2/m")])
def test_a_name_that_no_model_has_means_the_last_one_known_by_it(name: str, uid: str):
    """By the time of the event, and of those first that were not renamed since."""
    assert uid_named(name, swapped(), registry()) == uid
    assert uid_last_named(name, swapped()) == uid


def test_who_still_had_a_name_comes_before_who_lost_it_later():
    """The newer was renamed; the latest event of the older bears the name."""
    history = FakeHistory()
    told = [("default/2/m", 1, "m"), ("default/2/m", 2, "o"), ("default/1/m", 1, "m")]
    for day, (uid, seq, name) in enumerate(told, start=1):
        history.append(event(model_uid=uid, model=name, at=datetime(2026, 1, day, tzinfo=UTC)), after_seq=seq - 1)
    assert uid_named("m", history, registry()) == "default/1/m"
    assert uid_named("greeting", known("greeting"), registry()) == "default/1/greeting", "a prompt has the name now"
