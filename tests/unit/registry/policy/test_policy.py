"""The policy is strict where it is read, and named by what it demands of one model."""

import math
from pathlib import Path

import pytest

from slipway.registry.decisions.decisions import Receipt
from slipway.registry.decisions.http_decisions import HttpDecisions
from slipway.registry.errors import InvalidInput
from slipway.registry.gate.comparison.metric_pairs import SMALLEST_PROBABILITY
from slipway.registry.policy.policy import DEFAULT, FARTHEST, PolicyBook, default_policy
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.version import parse_ref

CHECKS = {"checks": {"lineage": {}}}


def book(**document) -> PolicyBook:
    """Return the policies of a document."""
    return PolicyBook(document, source="promotion.yaml")


def test_without_a_file_a_safe_policy_holds(tmp_path: Path):
    """Files, lineage, contract and serving before staging; the champion before production; no override."""
    found = load_policy(tmp_path / "promotion.yaml").default
    assert {name: list(stage.checks.rules()) for name, stage in found.stages.items()} == {
        "staging": ["artifact", "lineage", "contract", "servable"],
        "production": ["artifact", "contract", "champion"],
    }
    assert not any(stage.allow_override for stage in found.stages.values())
    assert (found.sources_of("staging"), found.sources_of("production")) == ((), ("staging",))


def test_a_model_has_what_differs_for_it():
    """Its settings lie over the defaults; null takes a check away."""
    policies = book(
        stages=DEFAULT["stages"],
        models={"cancer": {"production": {"checks": {"champion": {"margin": 0.1}, "contract": None}}}},
    )
    mine, others = policies.of("cancer"), policies.of("iris")
    assert mine.stages["production"].checks.champion.margin == 0.1
    assert mine.stages["production"].checks.contract is None
    assert others == policies.default
    assert mine.digest != others.digest


def test_the_digest_names_one_models_policy():
    """Another model's settings do not change it; its own do, in whatever order they are written."""
    one = book(stages=DEFAULT["stages"]).of("m")
    two = book(stages=DEFAULT["stages"], models={"other": {"staging": {"allow_override": True}}}).of("m")
    assert one.digest == two.digest
    turned = {"staging": {"checks": dict(reversed(DEFAULT["stages"]["staging"]["checks"].items()))}}
    assert book(stages={**DEFAULT["stages"], **turned}).of("m").digest == one.digest


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"stages": {"live": {"checks": {"champoin": {}}}}},
            "live.checks.champoin is unknown (did you mean 'champion'?)",
        ),
        ({"stages": {"live": {"checks": {"champion": {"margn": 1}}}}}, "margn is unknown (did you mean 'margin'?)"),
        ({"stages": {"live": {"checks": {}}}}, "a stage without checks would let everything pass"),
        ({"stages": {"live": {"checks": {"champion": {"margin": 0.1, "relative_margin": 0.1}}}}}, "not both"),
        ({"stages": {"live": {"checks": {"champion": {"metric": "mape"}}}}}, "metric: Input should be 'accuracy'"),
        (
            {"stages": {"live": {"checks": {"champion": {"metric": "pinball"}}}}},
            "pinball and quantile are given together",
        ),
        (
            {"stages": {"live": {"checks": {"slices": {"columns": ["a"], "quantile": 0.9}}}}},
            "pinball and quantile are given together",
        ),
        ({"stages": {"live": {"checks": {"slices": {}}}}}, "slices.columns: Field required"),
        ({"stages": {"live": {"checks": {"metric": {"limits": {"accuracy": {}}}}}}}, "give min, max or both"),
        ({"stages": {"live": {"checks": {"own": {"soak": {"command": ["x"]}}}}}}, "'soak' is a built-in check's name"),
        ({"stages": {"live": {"checks": {"own": {"x": {}}}}}}, "give command or entry_point"),
        ({"stages": {"latest": CHECKS}}, "'latest' is reserved by MLflow"),
        ({"stages": {"live": {**CHECKS, "enter_from": ["lab"]}}}, "live is entered from 'lab', which is no stage"),
        ({"stages": {"live": {**CHECKS, "enter_from": "lab"}}}, "live is entered from 'lab', which is no stage"),
        (
            {"stages": {"live": {**CHECKS, "enter_from": ["live"]}}},
            "live is entered from live alone, which is not before",
        ),
        (
            {"stages": {"a": {**CHECKS, "enter_from": "b"}, "b": CHECKS}},
            "a is entered from b alone, which is not before it, so that nothing",
        ),
        (
            {"stages": {"a": CHECKS, "b": {**CHECKS, "enter_from": ["c", "b"]}, "c": CHECKS}},
            "b is entered from c or b alone, which is not before it",
        ),
        (
            {"stages": {"a": CHECKS, "b": CHECKS}, "models": {"m": {"b": {"enter_from": "b"}}}},
            "models.m: b is entered from b alone",
        ),
        ({"stages": {"live": {"checks": {"lineage": None}}}}, "stages.live.checks.lineage is empty; write {} for its"),
        ({"stages": {"live": None}}, "stages.live: should be a mapping; got None"),
        ({"stages": ["live"]}, "stages is no mapping of names; got ['live']"),
        ({"stages": {"live": CHECKS}, "models": ["m"]}, "models is no mapping of names; got ['m']"),
        ({"stages": {"live": CHECKS}, "model": {}}, "'model' is unknown (did you mean 'models'?)"),
        ({"stages": {"live": CHECKS}, "models": {"m": {"lve": {}}}}, "models.m.lve is no stage (did you mean 'live'?)"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(document: dict, said: str):
    """And with the nearest known key."""
    with pytest.raises(InvalidInput) as refused:
        PolicyBook(document, source="promotion.yaml")
    assert refused.value.message.startswith("wrong policy in promotion.yaml: ")
    assert said in refused.value.message


@pytest.mark.parametrize("text", ["", "stages: {}", "[1]", "stages: [", "models: {}"])
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, text: str):
    """An empty one would let everything pass."""
    path = tmp_path / "promotion.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match="wrong policy in"):
        load_policy(path)


def test_a_stage_may_be_entered_from_elsewhere():
    """From named stages, or from anywhere."""
    stages = {"a": CHECKS, "b": {**CHECKS, "enter_from": ["a"]}, "c": {**CHECKS, "enter_from": "any"}}
    found = book(stages={**stages, "d": {**CHECKS, "enter_from": "a"}}).default
    assert [found.sources_of(name) for name in "abcd"] == [(), ("a",), None, ("a",)]


@pytest.mark.parametrize(("stage", "own"), [("margin", "relative_margin"), ("relative_margin", "margin")])
def test_a_models_margin_takes_the_place_of_its_stages(stage: str, own: str):
    """Whichever of the two kinds each is."""
    found = book(
        stages={"production": {"checks": {"champion": {"metric": "mae", stage: 0.06}}}},
        models={"flats": {"production": {"checks": {"champion": {own: 0.1}}}}},
    ).of("flats")
    rule = found.stages["production"].checks.champion
    assert (rule.metric, getattr(rule, own), getattr(rule, stage)) == ("mae", 0.1, None)


@pytest.mark.parametrize("margin", [True, False, float("inf"), float("nan"), "much", [0.1]])
def test_a_limit_is_a_finite_number(margin: object):
    """An infinite margin, or the 1 that a truth value would be taken for, lets everything pass."""
    with pytest.raises(InvalidInput, match=r"stages.production.checks.champion.margin"):
        PolicyBook({"stages": {"production": {"checks": {"champion": {"margin": margin}}}}}, source="x")


@pytest.mark.parametrize(
    ("check", "key", "value"),
    [("artifact", "max_memory_mb", 100), ("contract", "accept", ["input_order"]), ("champion", "network", True)],
)
def test_a_key_that_is_used_changes_the_digest(check: str, key: str, value: object):
    """What a check may reach, and what is accepted, is part of what was decided under; its default is not."""
    default = default_policy().default.stages["production"].checks

    def digest(**more: object) -> str:
        rule = {"timeout_s": 300, **more}
        return PolicyBook({"stages": {"production": {"checks": {check: rule}}}}, source="x").default.digest

    assert getattr(default, check) is not None
    assert digest(**{key: value}) != digest()


def test_what_was_decided_under_a_policy_holds_when_keys_are_added():
    """The digests are those of before `quantile`, and before `metric` of slices; a key that is used changes them."""
    rules = {"champion": {"metric": "mae", "margin": 0.1}, "slices": {"columns": ["a"]}}
    book = PolicyBook({"stages": {"production": {"checks": rules}}}, source="x")
    assert default_policy().default.digest == "sha256:20d01ab4858f2c31e5972e0d858d13b6af840ba24c4fa8cafb5177e53294bf81"
    assert book.default.digest == "sha256:10517c36712da73fc7829e98873a0e64d546df70e993f0f998fb88b47edfaa16"
    rules["slices"] = {"columns": ["a"], "metric": "rmse"}
    changed = PolicyBook({"stages": {"production": {"checks": rules}}}, source="x")
    assert changed.default.digest != book.default.digest


def rule(check: str, **keys: object) -> dict:
    """Return a policy of one check."""
    return {"stages": {"live": {"checks": {check: keys}}}}


@pytest.mark.parametrize(
    ("check", "key", "value"),
    [
        *(("lineage", "timeout_s", value) for value in (0, -1, float("inf"), 1e9, 10**400)),
        *(("lineage", "max_memory_mb", value) for value in (0, float("inf"), 1e30)),
        *(("lineage", "max_processes", value) for value in (0, 1.5, 10**9)),
        ("lineage", "environment", ["A", "A"]),
        ("lineage", "environment", ["A=B"]),
        ("lineage", "environment", [""]),
        ("lineage", "require", []),
        ("lineage", "require", ["run", "run"]),
        ("artifact", "allow", ["pickle", "pickle"]),
        ("contract", "accept", ["input_order", "input_order"]),
        *(("soak", "hours", value) for value in (0, -1, float("inf"), float("nan"), 1e9, True)),
        *(("approval", "count", value) for value in (0, -1, 10**9, 1.5, True)),
        *(("servable", "requests", value) for value in (0, 10**9)),
        *(("servable", "p99_ms", value) for value in (0, float("inf"), 1e12)),
        *(("servable", "memory_mb", value) for value in (0, float("inf"), 1e30)),
        *(("servable", "load_s", value) for value in (0, float("inf"), 1e9)),
        ("metric", "limits", {}),
        *(("metric", "limits", {"accuracy": {"min": value}}) for value in (float("nan"), float("inf"), True)),
        ("metric", "limits", {"accuracy": {"min": 0.9, "max": 0.8}}),
        ("metric", "limits", {"": {"min": 0.9}}),
        *(("champion", "confidence", value) for value in (0.5, 0.9999999, 1, float("nan"))),
        *(("champion", "relative_margin", value) for value in (0, 1, 5, float("inf"), True)),
        *(("champion", "min_rows", value) for value in (0, 9, 10**12)),
        ("champion", "quantile", 1),
        *(("slices", "columns", value) for value in ([], ["a", "a"], [""])),
        *(("slices", "bins", value) for value in (1, 21, True)),
        ("slices", "relative_margin", 1),
        ("own", "x", {"command": []}),
        ("own", "x", {"command": [""]}),
        ("own", "x", {"entry_point": "module"}),
        ("own", "x", {"command": ["x"], "data": "", "target": "y"}),
        ("own", "", {"command": ["x"]}),
    ],
)
def test_a_limit_that_holds_nothing_back_or_cannot_be_kept_is_refused(check: str, key: str, value: object):
    """Each with its place; what fails later would be a check that passes all, or a crash."""
    rest = {"columns": ["a"]} if check == "slices" and key != "columns" else {}
    with pytest.raises(InvalidInput, match=rf"wrong policy in x: stages\.live\.checks\.{check}\.{key}"):
        PolicyBook(rule(check, **rest, **{key: value}), source="x")


@pytest.mark.parametrize("check", ["champion", "slices"])
@pytest.mark.parametrize(
    ("metric", "most"),
    [(name, 1) for name in ("accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision", "brier")]
    + [("log_loss", 6.3)],
)
def test_a_margin_as_wide_as_its_metric_is_refused(check: str, metric: str, most: float):
    """No candidate could ever be worse than by that; an error in its own unit has no such bound."""
    rest = {"columns": ["a"]} if check == "slices" else {}
    with pytest.raises(InvalidInput, match=f"no {metric} is worse than another by more than .* forbids nothing"):
        PolicyBook(rule(check, **rest, metric=metric, margin=most), source="x")
    PolicyBook(rule(check, **rest, metric=metric, margin=0.5), source="x")
    PolicyBook(rule(check, **rest, metric="mae", margin=50), source="x")


def test_slices_take_one_margin():
    """As the champion does; one of two would be left aside without a word."""
    with pytest.raises(InvalidInput, match="give margin or relative_margin, not both"):
        PolicyBook(rule("slices", columns=["a"], margin=0.1, relative_margin=0.1), source="x")


def test_the_farthest_log_loss_is_that_of_the_smallest_probability():
    """The policy and the measure say the same of it."""
    assert FARTHEST["log_loss"] >= -math.log(SMALLEST_PROBABILITY)


def test_lists_that_say_nobody_or_nothing_more_stay():
    """They had a meaning before, and have it now."""
    stages = {"live": {"checks": {"artifact": {"allow": []}}, "roles": {"assess": []}, "enter_from": []}}
    assert book(stages=stages).default.stages["live"].roles.assess == ()


def test_a_policy_that_is_unreadable_compares_nothing_at_a_server_and_keeps_no_rollback(tmp_path: Path):
    """The server decides under its own; every other decision is refused."""
    (tmp_path / "promotion.yaml").write_bytes(b"# \xe9")
    asked: list[dict] = []

    class Server:
        def post(self, path: str, body: dict) -> dict:
            asked.append(body)
            return {**dict.fromkeys(Receipt.__dataclass_fields__), "notes": ["its own"]}

    def policies() -> PolicyBook:
        return load_policy(tmp_path / "promotion.yaml")

    here = HttpDecisions(Server(), actor="ann", policies=policies)
    anything = {"stage": None, "from_version": None, "to_version": None, "skip_damaged": False, "dry_run": False}
    done = here.rollback("m", "errors doubled", **anything)
    assert [body["policy_digest"] for body in asked] == [None]
    assert "byte 0xe9 is not UTF-8" in done.notes[0]
    assert done.notes[1:] == ["its own"]
    with pytest.raises(InvalidInput, match="wrong policy"):
        here.archive(parse_ref("m/1"), "x", dry_run=False)
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["churn ", " churn", "churn*", "churn@production", "chu\u200brn", "churn\n", "a/b"])
def test_a_name_that_no_model_has_is_refused(name: str):
    """What is said of it would protect nothing, and nobody would be told."""
    document = {"stages": {"production": {"checks": {"lineage": {}}}}, "models": {name: {"production": {"roles": {}}}}}
    with pytest.raises(InvalidInput, match="no model is called so"):
        PolicyBook(document, source="test")


def test_a_file_of_models_alone_says_how_they_differ_from_the_default(tmp_path: Path):
    """As docs/models-you-have.md has it for PyTorch; everything else stays as without a file."""
    path = tmp_path / "promotion.yaml"
    stages = "".join(
        f"    {stage}: {{checks: {{artifact: {{allow: [torch]}}}}}}\n" for stage in ("staging", "production")
    )
    path.write_text(f"models:\n  faces:\n{stages}")
    book = load_policy(path)
    assert book.default.digest == default_policy().default.digest
    faces = book.of("faces")
    assert faces.names == ("staging", "production")
    assert [faces.stages[stage].checks.artifact.allow for stage in faces.names] == [("torch",)] * 2
    assert faces.stages["production"].checks.champion is not None
