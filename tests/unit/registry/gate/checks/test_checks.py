"""Each check by itself, on evidence made by hand: what it passes, what it refuses, and what it cannot tell."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.linear_model import LinearRegression

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.check_runner import CheckJob, made
from slipway.registry.gate.checks import approval, artifact, champion, contract, metric, own, servable, slices, soak
from slipway.registry.gate.evidence import Evidence, Rows, Served, Subject, Tools
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.ledger.events import EventKind
from slipway.registry.manifest import manifest_of
from slipway.registry.model_registry import Measured
from slipway.registry.policy.policy import (
    ApprovalRule,
    ArtifactRule,
    ChampionRule,
    ContractRule,
    MetricRule,
    OwnRule,
    ServableRule,
    SlicesRule,
    SoakRule,
)
from slipway.registry.rows import row_ids
from slipway.registry.version import Version
from tests.doubles.fakes import as_mlflow_does
from tests.unit.registry.ledger.test_history import event

NOW = datetime(2026, 1, 2, tzinfo=UTC)
COLUMN = {"type": "double", "name": "x", "required": True}
OUTPUT = [{"type": "long", "required": True}]
SKLEARN = {
    "sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"},
    "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops"},
}


class Threshold:
    """A model that says 1 above a threshold."""

    def __init__(self, at: float, *, classes: bool = True) -> None:
        self.at = at
        self.model = self
        self.columns = ("x",)
        self.optional = frozenset[str]()
        self.method = "predict"
        if classes:
            self.classes_ = (0, 1)

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        return features

    def called(self, features: pd.DataFrame) -> np.ndarray:
        return getattr(self, self.method)(features)

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return (features["x"] > self.at).astype(int).to_numpy()


def stored(
    folder: Path,
    *,
    inputs: list | None = None,
    outputs: list | None = None,
    params: list | None = None,
    flavors: dict | None = None,
) -> Path:
    """Write what MLflow stores of a model: its MLmodel, and a file of skops."""
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(LinearRegression(), folder / "model.skops")
    signature = {"inputs": json.dumps([COLUMN] if inputs is None else inputs), "outputs": json.dumps(outputs or OUTPUT)}
    signature["params"] = json.dumps(params) if params else None
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors or SKLEARN, "signature": signature}))
    return folder


def subject(number: int, folder: Path | None, *, trained_on: list[float] | None = None, **more) -> Subject:
    """Return a version under test, with what its run says of the rows it was trained on."""
    holdout = None
    if trained_on is not None:
        holdout = folder.parent / f"holdout-{number}"
        holdout.mkdir(exist_ok=True)
        ids = np.sort(row_ids(pd.DataFrame({"x": trained_on})))
        np.savez(holdout / "row_ids.npz", train=ids, holdout=ids[:0])
        (holdout / "holdout.json").write_text(json.dumps({"id_columns": ["x"], "target": "y"}))
    version = Version(
        model="m",
        number=number,
        run_id="r",
        source="s",
        created_at=NOW,
        mlflow_stage=None,
        aliases=frozenset(),
        tags={"slipway.task": "classification"},
    )
    fields = {
        "version": version,
        "folder": folder,
        "manifest": manifest_of(folder) if folder else None,
        "run": Measured(metrics={}, params={}),
        "holdout": holdout,
    }
    return Subject(**{**fields, **more})


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Return evidence about m/2, with m/1 in production, and 400 rows that neither was trained on."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.random(400), "city": rng.choice(["Oslo", "Rome"], 400)})
    rows["y"] = (rows.x > 0.5).astype(int)
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    models = {str(tmp_path / "1"): Threshold(0.5), str(tmp_path / "2"): Threshold(0.5)}
    return Evidence(
        stage="production",
        candidate=subject(2, stored(tmp_path / "2"), trained_on=[]),
        champion=subject(1, stored(tmp_path / "1"), trained_on=[]),
        occupant=1,
        rows={
            (None, None): Rows(
                path=tmp_path / "rows.parquet",
                champions_path=tmp_path / "rows.parquet",
                target="y",
                digest="d",
                source="s",
                held_out=True,
            )
        },
        events=[],
        entered_at=NOW - timedelta(hours=5),
        policy_digest="policy",
        promoter="petra",
        now=NOW,
        tools=Tools(
            load=models.__getitem__,
            load_as_served=lambda folder: models[str(folder)],
            example=lambda folder: pd.DataFrame({"x": [0.1, 0.9]}),
            serve=lambda folder, body, **_: Served(
                load_s=1.0, latencies_s=(0.01,) * 3, bodies=({"predictions": [0, 1]},) * 3, peak_memory_bytes=10**8
            ),
            rehearse=as_mlflow_does,
            untrusted=lambda folder: (),
        ),
    )


def with_model(evidence: Evidence, model: object) -> Evidence:
    """Return the evidence with another candidate behind the same files."""
    champion_model = evidence.tools.load(str(evidence.champion.folder))
    models = {str(evidence.candidate.folder): model, str(evidence.champion.folder): champion_model}
    tools = replace(evidence.tools, load=models.__getitem__, load_as_served=lambda folder: models[str(folder)])
    return replace(evidence, tools=tools)


def only(findings: tuple[Finding, ...]) -> Finding:
    """Return the one finding."""
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        (0.95, Outcome.PASS, "accuracy is 0.95"),
        (0.9, Outcome.PASS, "accuracy is 0.9"),
        (0.89, Outcome.FAIL, "accuracy is 0.89, below 0.9"),
        (1.5, Outcome.FAIL, "accuracy is 1.5, above 1"),
        (float("nan"), Outcome.ERROR, "accuracy is nan, which is no measurement"),
        (None, Outcome.INCONCLUSIVE, "its run did not record accuracy (did you mean 'accuracy_'?)"),
    ],
)
def test_metric_holds_what_the_run_recorded_against_limits(evidence: Evidence, value, outcome: Outcome, reason: str):
    """On a limit is within it; what is missing or no number never passes."""
    metrics = {"accuracy_": 1.0} if value is None else {"accuracy": value}
    run = Measured(metrics=metrics, params={})
    given = replace(evidence, candidate=replace(evidence.candidate, run=run))
    found = only(metric.check(given, MetricRule(limits={"accuracy": {"min": 0.9, "max": 1.0}})))
    assert (found.outcome, found.reason) == (outcome, reason)


@pytest.mark.parametrize(("hours", "outcome"), [(4, Outcome.PASS), (5, Outcome.PASS), (6, Outcome.INCONCLUSIVE)])
def test_soak_counts_the_hours_in_the_stage(evidence: Evidence, hours: float, outcome: Outcome):
    """Too few are not enough seen, and not a fault of the model's."""
    assert only(soak.check(evidence, SoakRule(hours=hours))).outcome is outcome


def test_a_version_in_no_stage_has_not_soaked(evidence: Evidence):
    """Its time is not known."""
    given = replace(evidence, entered_at=None)
    assert only(soak.check(given, SoakRule(hours=0.1))).outcome is Outcome.INCONCLUSIVE


def approved(evidence: Evidence, actor: str, **digests: str):
    """Return an approval of the candidate."""
    named = {"manifest": evidence.manifest_digest, "policy": "policy", **digests}
    return event(EventKind.VERSION_APPROVED, version=2, actor=actor, digests=named)


def test_approval_counts_others_who_approved_just_this(evidence: Evidence):
    """Not the author, not the promoter, not of other files or under another policy, and each once."""
    registered = event(EventKind.VERSION_REGISTERED, version=2, stage=None, actor="ann")
    ways = [
        approved(evidence, "ann"),
        approved(evidence, "petra"),
        approved(evidence, "bob", manifest="other"),
        approved(evidence, "carl", policy="other"),
        replace(approved(evidence, "dora"), stage="staging"),
        replace(approved(evidence, "mal"), model="free"),
    ]
    none = only(approval.check(replace(evidence, events=[registered, *ways]), ApprovalRule()))
    assert (none.outcome, none.measured) == (Outcome.INCONCLUSIVE, 0)
    for why in (
        "ann is the version's author",
        "petra is the promoter",
        "bob approved other files",
        "another policy",
        "free/2, as it",
    ):
        assert why in none.reason
    trained = Measured(metrics={}, params={}, user="fred")
    given = replace(evidence, candidate=replace(evidence.candidate, run=trained))
    for events in ([approved(evidence, "fred")], [registered, approved(evidence, "fred")]):
        assert (
            "fred is the version's author" in only(approval.check(replace(given, events=events), ApprovalRule())).reason
        )
    twice = [approved(evidence, "eva"), approved(evidence, "eva")]
    assert only(approval.check(replace(evidence, events=twice), ApprovalRule())).outcome is Outcome.PASS
    assert only(approval.check(replace(evidence, events=twice), ApprovalRule(count=2))).measured == 1


def test_approval_may_ask_for_authenticated_actors(evidence: Evidence):
    """An actor nobody authenticated is recorded as unverified, and counts only where that is enough."""
    given = replace(evidence, events=[approved(evidence, "eva")])
    found = only(approval.check(given, ApprovalRule(authenticated=True)))
    assert "eva was authenticated by nobody" in found.reason
    vouched = replace(given, events=[replace(approved(evidence, "eva"), actor_authenticated=True)])
    assert only(approval.check(vouched, ApprovalRule(authenticated=True))).outcome is Outcome.PASS


def test_artifact_finds_one_changed_byte(evidence: Evidence):
    """And a missing file, and one that was added."""
    same, formats = artifact.check(evidence, ArtifactRule())
    assert (same.outcome, formats.outcome) == (Outcome.PASS, Outcome.PASS)
    (evidence.candidate.folder / "MLmodel").write_text((evidence.candidate.folder / "MLmodel").read_text() + " ")
    changed, _ = artifact.check(evidence, ArtifactRule())
    assert (changed.outcome, "changed: MLmodel" in changed.reason) == (Outcome.FAIL, True)


def test_artifact_cannot_tell_without_a_manifest_and_refuses_without_files(evidence: Evidence):
    """The first says which command records one."""
    given = replace(evidence, candidate=replace(evidence.candidate, manifest=None))
    same, _ = artifact.check(given, ArtifactRule())
    assert same.outcome is Outcome.INCONCLUSIVE
    assert "slipway register m/2" in same.reason
    gone = replace(evidence, candidate=replace(evidence.candidate, folder=None))
    assert only(artifact.check(gone, ArtifactRule())).outcome is Outcome.FAIL


PICKLED = {"pickled_model": "m.dat", "serialization_format": "pickle"}


@pytest.mark.parametrize(
    ("flavors", "file", "content", "format"),
    [
        (SKLEARN, "requirements.txt", b"mlflow\n", None),
        (SKLEARN, "hidden.bin", b"\x80\x04.", "pickle"),
        (SKLEARN, "notes.md", b"x", "unproven"),
        ({"sklearn": PICKLED}, "m.dat", b"(", "pickle"),
        ({"sklearn": {**PICKLED, "serialization_format": "cloudpickle"}}, "m.dat", b"\x80\x05.", "cloudpickle"),
        ({"python_function": {"loader_module": "mlflow.sklearn", "code": "code"}}, "x", b"", "code"),
        ({"python_function": {"loader_module": "my.loader"}}, "x", b"", "unknown"),
    ],
)
def test_artifact_judges_the_format(evidence: Evidence, flavors: dict, file: str, content: bytes, format: str | None):
    """What may run code on loading needs the policy's word, whatever the file is called."""
    folder = stored(evidence.candidate.folder, flavors=flavors)
    (folder / file).write_bytes(content)
    refused = artifact.check(evidence, ArtifactRule())[1]
    assert (refused.outcome is Outcome.PASS) == (format is None)
    if format:
        assert f"[{format}]" in refused.reason
        allowed = artifact.check(evidence, ArtifactRule(allow=(format,)))[1]
        assert allowed.outcome is Outcome.PASS
        assert "which the policy allows" in allowed.reason


def test_artifact_names_the_types_that_nobody_reviewed(evidence: Evidence):
    """Those that skops would have to be told to trust."""
    tools = replace(evidence.tools, untrusted=lambda file: ["sklearn.tree._tree.Tree", "evil.Type"])
    refused = artifact.check(replace(evidence, tools=tools), ArtifactRule())[1]
    assert "skops would have to trust evil.Type: it could run" in refused.reason
    assert refused.details == {"risky": [{"format": "unreviewed", "what": "skops would have to trust evil.Type"}]}


def tensor(dtype: str, *shape: int) -> dict:
    """Return an output as MLflow stores that of an array."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


OPTIONAL = {"type": "double", "name": "z", "required": False}


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([COLUMN], OUTPUT, None),
        ([COLUMN, OPTIONAL], OUTPUT, None),
        ([{**COLUMN, "required": False}], OUTPUT, None),
        ([OPTIONAL], OUTPUT, "input 'x' is gone"),
        ([COLUMN, {**OPTIONAL, "required": True}], OUTPUT, "input 'z' is new and required"),
        ([{**COLUMN, "type": "long"}], OUTPUT, "input 'x' was double, is long"),
        ([COLUMN], [{"type": "string", "required": True}], "the output was long, is string"),
        ([COLUMN], [{"type": "double", "required": True}], "the output was long, is double"),
        ([COLUMN], [{"type": "long", "name": "label", "required": True}], "the output was long, is long"),
        ([COLUMN], [tensor("int32", -1)], None),
        ([COLUMN], [{"type": "integer", "required": True}], None),
        ([COLUMN], [tensor("int64", -1, 2)], "the output was long, is int64[-1, 2]"),
        ([{**COLUMN, "name": "X"}], OUTPUT, "input 'x' is gone; input 'X' is new and required"),
    ],
)
def test_contract_finds_what_breaks_callers(evidence: Evidence, inputs: list, outputs: list, said: str | None):
    """An added optional column does not."""
    stored(evidence.candidate.folder, inputs=inputs, outputs=outputs)
    found = contract.check(evidence, ContractRule())[0]
    assert found.outcome is (Outcome.FAIL if said else Outcome.PASS)
    assert (said or "takes and gives what m/1 did") in found.reason


A, B, Z = ({"type": "double", "name": name, "required": name != "z"} for name in "abz")


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ([A, B], [B, A], True),
        ([A, B], [A, B, Z], False),
        ([A, B], [A, Z, B], True),
        ([A, B], [Z, A, B], True),
        ([A, Z, B], [A, B, Z], True),
        ([{"type": "double"}, {"type": "double"}], [{"type": "double"}, {"type": "double"}], False),
    ],
)
def test_contract_holds_the_order_of_inputs_unless_the_policy_accepts_another(
    evidence: Evidence, before: list, after: list, moved: bool
):
    """Whoever sends values by place would get other answers, without an error."""
    stored(evidence.champion.folder, inputs=before)
    stored(evidence.candidate.folder, inputs=after)
    found = contract.check(evidence, ContractRule())[0]
    assert (found.outcome is Outcome.FAIL) == moved
    assert ("values sent by place go to others" in found.reason) == moved
    assert ("the policy accepts it: contract: {accept: [input_order]}" in found.reason) == moved
    accepted = contract.check(evidence, ContractRule(accept=("input_order",)))[0]
    assert accepted.outcome is Outcome.PASS
    assert ("accepted by the policy: the inputs in their order" in accepted.reason) == moved


def test_contract_retires_inputs_that_the_policy_names(evidence: Evidence):
    """These and no others; one that comes back, or changes, is no retired one."""
    stored(evidence.champion.folder, inputs=[A, B, {**COLUMN, "name": "customer_id"}])
    stored(evidence.candidate.folder, inputs=[A])
    refused = contract.check(evidence, ContractRule())[0]
    assert refused.outcome is Outcome.FAIL
    assert "input 'b' is gone; input 'customer_id' is gone" in refused.reason
    assert "the policy retires: contract: {retire: [b, customer_id]}" in refused.reason
    one = contract.check(evidence, ContractRule(retire=("customer_id",)))[0]
    assert (one.outcome, "input 'customer_id'" in one.reason) == (Outcome.FAIL, False)
    both = contract.check(evidence, ContractRule(retire=("customer_id", "b")))[0]
    assert both.outcome is Outcome.PASS
    assert "accepted by the policy: input 'b' is gone; input 'customer_id' is gone" in both.reason
    stored(evidence.candidate.folder, inputs=[A, B, {**COLUMN, "name": "customer_id", "type": "long"}])
    assert contract.check(evidence, ContractRule(retire=("customer_id",)))[0].outcome is Outcome.FAIL


def test_a_place_cannot_be_retired(evidence: Evidence):
    """Inputs without names are told apart by their places, of which none can be left out."""
    stored(evidence.champion.folder, inputs=[{"type": "double"}, {"type": "double"}])
    stored(evidence.candidate.folder, inputs=[{"type": "double"}])
    found = contract.check(evidence, ContractRule(retire=("1",)))[0]
    assert (found.outcome, "retire" in found.reason) == (Outcome.FAIL, False)


def test_contract_accepts_nothing_but_what_is_named(evidence: Evidence):
    """An input that is gone stays one."""
    stored(evidence.champion.folder, inputs=[A, B])
    stored(evidence.candidate.folder, inputs=[B])
    found = contract.check(evidence, ContractRule(accept=("input_order",)))[0]
    assert (found.outcome, "input 'a' is gone" in found.reason) == (Outcome.FAIL, True)


@pytest.mark.parametrize(
    ("before", "after", "answers", "outcome"),
    [
        ("object", "str", ["no", "yes"], Outcome.PASS),
        ("str", "object", ["no", None], Outcome.PASS),
        ("object", "object", [1, 2], Outcome.FAIL),
        ("str", "object", [1, 2], Outcome.FAIL),
        ("str", "object", [["no"], ["yes"]], Outcome.FAIL),
        ("str", "str", [1, 2], Outcome.FAIL),
        ("str", "str", [[-1.5, -0.3], [-0.1, -2.0]], Outcome.FAIL),
    ],
)
def test_contract_compares_what_callers_see(
    evidence: Evidence, before: str, after: str, answers: list, outcome: Outcome
):
    """Text is text in JSON, however it was stored; where the types do not tell, the answers do."""

    class Says(Threshold):
        def predict(self, features: pd.DataFrame) -> np.ndarray:
            return np.array(self.at, dtype=object)

    stored(evidence.champion.folder, outputs=[tensor(before, -1)])
    stored(evidence.candidate.folder, outputs=[tensor(after, -1)])
    models = {str(evidence.champion.folder): Says(["no", "yes"]), str(evidence.candidate.folder): Says(answers)}
    tools = replace(evidence.tools, load_as_served=lambda folder: models[str(folder)])
    signatures, replayed = contract.check(replace(evidence, tools=tools), ContractRule())
    assert (signatures.outcome, replayed.outcome) == (Outcome.PASS, outcome)


@pytest.mark.parametrize(("before", "after"), [("float64", "float32"), ("int64", "int32"), ("str", "<U3")])
def test_contract_takes_numbers_of_another_width_as_the_same(evidence: Evidence, before: str, after: str):
    """JSON has no width."""
    stored(evidence.champion.folder, outputs=[tensor(before, -1)])
    stored(evidence.candidate.folder, outputs=[tensor(after, -1)])
    assert contract.check(evidence, ContractRule())[0].outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ({"type": "array", "items": {"type": "double"}}, {"type": "array", "items": {"type": "float"}}, Outcome.PASS),
        ({"type": "array", "items": {"type": "double"}}, {"type": "array", "items": {"type": "string"}}, Outcome.FAIL),
        (
            {"type": "object", "properties": {"p": {"type": "float", "required": True}}},
            {"type": "object", "properties": {"p": {"type": "double", "required": True}}},
            Outcome.PASS,
        ),
        (
            {"type": "object", "properties": {"p": {"type": "float", "required": True}}},
            {"type": "object", "properties": {"q": {"type": "float", "required": True}}},
            Outcome.FAIL,
        ),
        ({"type": "float"}, {"type": "double"}, Outcome.PASS),
        ({"type": "float"}, {"type": "long"}, Outcome.FAIL),
    ],
)
def test_contract_has_one_rule_for_all_outputs(evidence: Evidence, before: dict, after: dict, outcome: Outcome):
    """Named columns, lists and mappings of numbers are as wide to a caller as a vector of them."""
    stored(evidence.champion.folder, outputs=[{"name": "score", "required": True, **before}])
    stored(evidence.candidate.folder, outputs=[{"name": "score", "required": True, **after}])
    assert contract.check(evidence, ContractRule())[0].outcome is outcome


def test_contract_finds_a_parameter_that_became_a_list(evidence: Evidence):
    """Its type is the same."""
    for version, shape in ((evidence.champion, None), (evidence.candidate, [-1])):
        param = {"name": "k", "type": "long", "default": None, "shape": shape}
        stored(version.folder, params=[param])
    found = contract.check(evidence, ContractRule())[0]
    assert (found.outcome, "parameter 'k' is gone or changed" in found.reason) == (Outcome.FAIL, True)


def test_contract_sends_the_champions_example_through_the_candidate(evidence: Evidence):
    """A signature may say yes where the model says no."""

    class Picky(Threshold):
        def predict(self, features: pd.DataFrame) -> np.ndarray:
            raise ValueError("not these rows")

    class Short(Threshold):
        def predict(self, features: pd.DataFrame) -> np.ndarray:
            return np.array([1])

    refused = contract.check(with_model(evidence, Picky(0.5)), ContractRule())[1]
    assert refused.outcome is Outcome.FAIL
    assert refused.reason == "the input example of m/1 is refused: ValueError: not these rows"
    assert contract.check(with_model(evidence, Short(0.5)), ContractRule())[1].outcome is Outcome.FAIL


def test_contract_without_a_champion_or_a_signature(evidence: Evidence):
    """Nobody calls it yet; or nobody can tell."""
    assert only(contract.check(replace(evidence, champion=None), ContractRule())).outcome is Outcome.PASS
    (evidence.candidate.folder / "MLmodel").write_text("flavors: {}")
    assert only(contract.check(evidence, ContractRule())).outcome is Outcome.INCONCLUSIVE


def served(evidence: Evidence, **changes) -> Evidence:
    """Return the evidence with another scoring server."""
    fields = {"load_s": 1.0, "latencies_s": (0.01,) * 3, "bodies": ({"predictions": [0, 1]},), "peak_memory_bytes": 1}
    result = Served(**{**fields, **changes})
    (evidence.candidate.folder / "serving_input_example.json").write_text("{}")
    return replace(evidence, tools=replace(evidence.tools, serve=lambda *_, **__: result))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"bodies": ({"predictions": [0, 0]},)}, "Slipway's engine answers [0, 0], the model itself [0, 1]"),
        ({"latencies_s": (2.0,)}, "the slowest of 1 request is 2e+03 ms, over the budget of 1000 ms"),
        ({"load_s": 500.0}, "time to the first answer is 500 s, over the budget of 120 s"),
        ({"peak_memory_bytes": 5 * 10**9}, "peak memory is 5e+03 MB, over the budget of 4096 MB"),
        ({"problem": "the scoring server ended by itself: boom"}, "the scoring server ended by itself: boom"),
    ],
)
def test_servable_compares_answers_and_budgets(evidence: Evidence, changes: dict, said: str | None):
    """The answers are those of the model itself."""
    found = servable.check(served(evidence, **changes), ServableRule())
    failed = [finding.reason for finding in found if finding.outcome is Outcome.FAIL]
    assert failed == ([said] if said else [])


def test_servable_says_what_there_is_to_send(evidence: Evidence):
    """Nothing, or what no request can be made of; neither is a fault of the model."""
    without = replace(evidence, tools=replace(evidence.tools, example=lambda folder: None))
    nothing = only(servable.check(without, ServableRule()))
    assert (nothing.outcome, nothing.reason[:37]) == (Outcome.INCONCLUSIVE, "it has no input example to send: log ")
    odd = only(servable.check(served(without), ServableRule()))
    assert (odd.outcome, "neither a table nor an array" in odd.reason) == (Outcome.INCONCLUSIVE, True)


def test_servable_says_which_quantile_of_how_many_requests_of_which_server(evidence: Evidence):
    """One in a hundred may be slow; of fewer than a hundred the slowest one counts."""
    times = (0.01,) * 99 + (1.5,)
    for latencies, said in ((times, "p99 latency of 100 requests is 24.9 ms"), (times[-50:], "the slowest of 50 req")):
        answers, latency, *_ = servable.check(served(evidence, latencies_s=latencies), ServableRule(server="mlflow"))
        assert "MLflow's scoring server answered 1 request as the model itself does" in answers.reason
        assert latency.reason.startswith(said)


@pytest.mark.parametrize(
    ("slow", "outcomes"),
    [
        ([{"latencies_s": (3.0,) * 100, "waited_s": (2.5,) * 100}], ["PASS", "INCONCLUSIVE"]),
        ([{"latencies_s": (3.0,) * 100, "waited_s": (2.5,) * 100}, {}], ["PASS", "PASS"]),
        ([{"load_s": 200.0, "load_waited_s": 150.0}], ["PASS", "PASS", "INCONCLUSIVE"]),
        ([{"latencies_s": (3.0,) * 100, "waited_s": (0.5,) * 100}], ["PASS", "FAIL"]),
    ],
)
def test_a_busy_machine_is_no_slow_model(evidence: Evidence, slow: list[dict], outcomes: list[str]):
    """Where a processor was waited for it is measured once more, and is then not told; a slow model stays a FAIL."""
    every = [served(evidence, **each) for each in slow]
    asked: list[str] = []

    def serve(*_: object, **__: object) -> Served:
        asked.append("")
        return every[min(len(asked), len(every)) - 1].tools.serve()

    found = servable.check(replace(every[0], tools=replace(every[0].tools, serve=serve)), ServableRule())
    assert [finding.outcome.name for finding in found][: len(outcomes)] == outcomes
    assert len(asked) == (1 if "FAIL" in outcomes else 2)
    assert all("measure again on an idle one" in f.reason for f in found if f.outcome is Outcome.INCONCLUSIVE)


def test_champion_passes_as_good_and_refuses_worse(evidence: Evidence):
    """The same threshold; one that is wrong on a tenth of the rows."""
    same = only(champion.check(evidence, ChampionRule()))
    assert (same.outcome, same.n, same.measured) == (Outcome.PASS, 400, 0.0)
    worse = only(champion.check(with_model(evidence, Threshold(0.6)), ChampionRule()))
    assert worse.outcome is Outcome.FAIL
    assert "shown to be worse by more than 0.02" in worse.reason


def test_champion_drops_rows_that_either_was_trained_on(evidence: Evidence):
    """And says how many; too few left cannot decide."""
    rows = pd.read_parquet(evidence.rows[None, None].path)
    mine = subject(2, evidence.candidate.folder, trained_on=list(rows.x[:100]))
    theirs = subject(1, evidence.champion.folder, trained_on=list(rows.x[50:150]))
    found = only(champion.check(replace(evidence, candidate=mine, champion=theirs), ChampionRule()))
    assert (found.n, found.details["dropped"]) == (250, 150)
    assert "150 dropped because a version was trained on them" in found.reason
    nearly_all = subject(1, evidence.champion.folder, trained_on=list(rows.x[:390]))
    few = only(champion.check(replace(evidence, champion=nearly_all), ChampionRule()))
    assert few.outcome is Outcome.INCONCLUSIVE
    assert "10 rows are left to compare on, and 30 are needed" in few.reason


def test_champion_says_what_it_needs(evidence: Evidence):
    """No rows; nobody knows what a version was trained on; a metric that does not suit."""
    nothing = replace(evidence, rows={(None, None): "m/2 has no held-out rows on record"})
    assert only(champion.check(nothing, ChampionRule())).reason == "m/2 has no held-out rows on record"
    unknown = replace(evidence, champion=replace(evidence.champion, holdout=None))
    assert "which rows m/1 was trained on is not recorded" in only(champion.check(unknown, ChampionRule())).reason
    named = replace(unknown, rows={(None, None): replace(evidence.rows[None, None], held_out=False)})
    vouched = only(champion.check(named, ChampionRule()))
    assert (vouched.outcome, "the policy vouches" in vouched.reason) == (Outcome.PASS, True)
    wrong = only(champion.check(evidence, ChampionRule(metric="rmse")))
    assert wrong.reason.startswith("rmse does not measure classification")
    assert "needs class scores" in only(champion.check(evidence, ChampionRule(metric="roc_auc"))).reason


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_champion_measures_on_no_scores_that_are_no_numbers(evidence: Evidence, metric: str, number: float):
    """Whichever version gives them."""

    class Strange(Threshold):
        strange: float | None = None

        def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
            scores = np.column_stack([1 - features["x"], features["x"]])
            if self.strange is not None:
                scores[features["x"].to_numpy() > 0.95, 1] = self.strange
            return scores

    models = {str(evidence.champion.folder): Strange(0.5), str(evidence.candidate.folder): Strange(0.5)}
    given = replace(evidence, tools=replace(evidence.tools, load=models.__getitem__))
    assert only(champion.check(given, ChampionRule(metric=metric))).outcome is Outcome.PASS
    for model in models.values():
        model.strange = number
        found = only(champion.check(given, ChampionRule(metric=metric)))
        model.strange = None
        assert found.outcome is Outcome.INCONCLUSIVE
        assert "are not finite numbers" in found.reason


def test_numbers_are_compared_only_where_there_are_some(evidence: Evidence):
    """A row whose target is unknown is not looked at; an answer that is no number cannot be compared."""

    class Guess(Threshold):
        above = 1.0

        def predict(self, features: pd.DataFrame) -> np.ndarray:
            return np.where(features["x"] > self.above, np.nan, 0.5)

    rows = evidence.rows[None, None]
    pd.read_parquet(rows.path).assign(y=lambda frame: frame.x.where(frame.index >= 10)).to_parquet(rows.path)
    model = Guess(0.5, classes=False)
    loaded = {str(evidence.champion.folder): Threshold(0.5, classes=False), str(evidence.candidate.folder): model}
    untold = replace(evidence.champion, version=replace(evidence.champion.version, tags={}))
    given = replace(evidence, champion=untold, tools=replace(evidence.tools, load=loaded.__getitem__))
    assert only(champion.check(given, ChampionRule())).n == 390
    assert only(slices.check(given, SlicesRule(columns=("city",)))).n == 2
    model.above = 0.99
    for found in (champion.check(given, ChampionRule()), slices.check(given, SlicesRule(columns=("city",)))):
        assert only(found).outcome is Outcome.INCONCLUSIVE
        assert "answers of m/2 are not finite numbers" in only(found).reason


def test_champion_is_not_deceived_by_rows_with_other_class_names(evidence: Evidence):
    """Two versions that are both always wrong are not as good as each other."""
    rows = evidence.rows[None, None]
    pd.read_parquet(rows.path).assign(y=lambda frame: frame.y.map({0: "no", 1: "yes"})).to_parquet(rows.path)
    found = only(champion.check(evidence, ChampionRule()))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "m/1 answers 0, 1, and the rows' classes are 'no', 'yes'" in found.reason


def test_champion_of_an_empty_stage_is_passed(evidence: Evidence):
    """With that reason."""
    found = only(champion.check(replace(evidence, champion=None), ChampionRule()))
    assert (found.outcome, found.reason) == (Outcome.PASS, "nothing is in production yet to compare with")


def test_slices_find_the_part_that_is_worse(evidence: Evidence):
    """Where the whole looks acceptable; parts that are too small are listed."""

    class WorseInRome(Threshold):
        columns = ("x", "city")
        method = "predict"

        def predict(self, features: pd.DataFrame) -> np.ndarray:
            wrong = (features["city"] == "Rome") & (features["x"] * 1000 % 4 < 1)
            return np.where(wrong, 1 - super().predict(features), super().predict(features))

    model = WorseInRome(0.5)
    model.columns = ("x", "city")
    rule = SlicesRule(columns=("city", "x"), bins=2)
    found = only(slices.check(with_model(evidence, model), rule))
    assert found.outcome is Outcome.FAIL
    assert "city = Rome" in found.reason
    assert "city = Oslo" not in found.reason
    assert only(slices.check(evidence, rule)).outcome is Outcome.PASS
    small = only(slices.check(evidence, SlicesRule(columns=("city",), min_rows=300)))
    assert small.outcome is Outcome.INCONCLUSIVE
    assert "every slice has fewer than 300 rows" in small.reason
    assert "no column town" in only(slices.check(evidence, SlicesRule(columns=("town",)))).reason


def test_numbers_are_sliced_into_bins_and_missing_values_apart():
    """Every row is in one slice of a column."""
    column = pd.Series([*range(10), None, None], dtype=float, name="age")
    parts = dict(slices.slices_of(column, 2))
    assert [int(members.sum()) for members in parts.values()] == [5, 5, 2]
    assert np.sum(list(parts.values()), axis=0).tolist() == [1] * 12


ANSWER = "import json, sys; asked = json.load(sys.stdin); print(json.dumps({answer}))"


@pytest.mark.parametrize(
    ("program", "outcome", "said"),
    [
        (ANSWER.format(answer="dict(outcome='PASS', reason=asked['version'], measured=0.5)"), Outcome.PASS, "m/2"),
        (ANSWER.format(answer="dict(outcome='FAIL', reason=asked['target'])"), Outcome.FAIL, "y"),
        (ANSWER.format(answer="[1]"), Outcome.ERROR, "own check 'fair' answered [1]"),
        ("print('hello')", Outcome.ERROR, "own check 'fair' answered hello"),
        (ANSWER.format(answer="dict(outcome='GREAT', reason='r')"), Outcome.ERROR, "outcome: Input should be 'PASS'"),
        (ANSWER.format(answer="dict(outcome='PASS')"), Outcome.ERROR, "reason: Field required"),
        (ANSWER.format(answer="dict(outcome='PASS', reason='r', details=[1])"), Outcome.ERROR, "details: Input should"),
        (ANSWER.format(answer="dict(outcome='PASS', reason='r', measured=float('nan'))"), Outcome.ERROR, "with nan"),
        (
            ANSWER.format(answer="dict(outcome='PASS', reason='x' * 5_000_000)"),
            Outcome.ERROR,
            "has 5,000,000 characters",
        ),
        (
            ANSWER.format(answer="dict(outcome='PASS', reason='a\\0b')"),
            Outcome.ERROR,
            "the reason of own check 'fair' holds NUL",
        ),
        (
            ANSWER.format(answer="dict(outcome='PASS', reason='r', measured='\\x1b[2J')"),
            Outcome.ERROR,
            "the measured of own",
        ),
        (
            ANSWER.format(answer="dict(outcome='PASS', reason='r', details=dict(a=[chr(0)]))"),
            Outcome.ERROR,
            "holds NUL",
        ),
        (
            ANSWER.format(answer="dict(outcome='PASS', reason='r', details=dict(a='x' * 200_000))"),
            Outcome.ERROR,
            "as JSON",
        ),
        ("import sys; sys.exit('no luck')", Outcome.ERROR, "ended with status 1: no luck"),
    ],
)
def test_ones_own_program_is_asked_in_json(evidence: Evidence, program: str, outcome: Outcome, said: str):
    """An answer of another shape is an ERROR that shows it."""
    rule = OwnRule(command=(sys.executable, "-c", program))
    job = CheckJob(name="fair", check=lambda e, r: own.check(e, r, name="fair"), evidence=evidence, rule=rule)
    (found,) = made(job)
    assert (found.check, found.outcome) == ("fair", outcome)
    assert said in found.reason


@pytest.mark.parametrize(
    ("granted", "said"),
    [
        ({}, "it had no network (network: true) and none of your variables (environment: [NAME, …])"),
        ({"network": True, "environment": ("TOKEN",)}, "it had the network and environment: [TOKEN] (environment:"),
    ],
)
def test_ones_own_program_that_fails_is_told_what_it_had(evidence: Evidence, granted: dict, said: str):
    """It may have worked before checks were confined, and the policy's author has to know what to grant."""
    rule = OwnRule(command=(sys.executable, "-c", "raise SystemExit('no luck')"), **granted)
    with pytest.raises(InvalidInput) as refused:
        own.check(evidence, rule, name="fair")
    assert f"ended with status 1: no luck; {said}" in refused.value.message


def always(asked: dict) -> dict:
    """Judge by the name of the stage."""
    return {"outcome": "PASS" if asked["stage"] == "production" else "FAIL", "reason": "by its name"}


def strange(asked: dict) -> dict:
    """Answer what no JSON can hold."""
    return {"outcome": "PASS", "reason": "r", "details": {"found": np.int64(1)}}


def crash(asked: dict) -> dict:
    """Find nothing."""
    return {"outcome": "PASS", "reason": 1 / 0}


def test_ones_own_function_is_found_beside_the_policy(evidence: Evidence, tmp_path: Path):
    """Wherever the command is started from."""
    (tmp_path / "beside_the_policy.py").write_text(
        "def judge(asked):\n    return dict(outcome='PASS', reason='here')\n"
    )
    rule = OwnRule(entry_point="beside_the_policy:judge")
    assert only(own.check(replace(evidence, own_checks=tmp_path), rule, name="fair")).reason == "here"
    sys.path.remove(str(tmp_path))


def test_ones_own_function_is_asked_the_same(evidence: Evidence):
    """A missing one is an error of the policy's; what it answers has to fit into JSON."""
    here = "tests.unit.registry.gate.checks.test_checks"
    rule = OwnRule(entry_point=f"{here}:always")
    assert only(own.check(evidence, rule, name="fair")).reason == "by its name"
    said = {
        "tests.unit:nobody": "there is no function tests.unit:nobody",
        f"{here}:strange": "details",
        f"{here}:crash": "it crashed: ZeroDivisionError: ",
    }
    for entry_point, words in said.items():
        rule = OwnRule(entry_point=entry_point)
        job = CheckJob(name="fair", check=lambda e, r: own.check(e, r, name="fair"), evidence=evidence, rule=rule)
        (found,) = made(job)
        assert found.outcome is Outcome.ERROR
        assert words in found.reason
