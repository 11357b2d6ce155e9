"""Errors have six kinds and one shape; every vendor error becomes one of them."""

import json

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

from slipway import command_line
from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Conflict, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable


def translation_of(code: str) -> SlipwayError:
    """Return what an MLflow error becomes."""
    with pytest.raises(SlipwayError) as caught, translated():
        raise MlflowException("some\nlines", error_code=ErrorCode.Value(code))
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_PARAMETER_VALUE", InvalidInput),
        ("RESOURCE_DOES_NOT_EXIST", NotFound),
        ("RESOURCE_ALREADY_EXISTS", InvalidInput),
        ("RESOURCE_CONFLICT", Conflict),
        ("PERMISSION_DENIED", NotApproved),
        ("UNAUTHENTICATED", NotApproved),
        ("REQUEST_LIMIT_EXCEEDED", Unavailable),
        ("TEMPORARILY_UNAVAILABLE", Unavailable),
        ("INTERNAL_ERROR", Unavailable),
    ],
)
def test_mlflows_errors_become_what_the_caller_can_do(code: str, kind: type[SlipwayError]):
    """By the HTTP status that MLflow has for each."""
    assert type(translation_of(code)) is kind


@pytest.mark.parametrize("code", ErrorCode.keys())
def test_every_code_of_mlflow_is_translated(code: str):
    """Also one that a later MLflow adds: on one line, with a stable code."""
    error = translation_of(code)
    assert error.message == "some lines"
    assert error.code == f"mlflow-{code.lower().replace('_', '-')}"


def test_programs_see_one_shape(capsys: pytest.CaptureFixture[str]):
    """Kind, code, message, hint."""
    command_line.report(NotFound("no model 'x'", code="unknown-model", hint=None), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "error": {"kind": "NotFound", "code": "unknown-model", "message": "no model 'x'", "hint": None}
    }


def test_people_see_two_lines(capsys: pytest.CaptureFixture[str]):
    """What is wrong, and what to do, on standard error."""
    command_line.report(NotFound("no model 'x'", code="unknown-model", hint="slipway versions"), as_json=False)
    assert capsys.readouterr() == ("", "error: no model 'x'\nhint: slipway versions\n")


def test_a_package_that_a_store_needs_is_named():
    """MLflow imports it when the store is first asked for."""
    with pytest.raises(Unavailable) as caught, translated():
        raise ModuleNotFoundError("No module named 'google'", name="google.cloud")
    assert (caught.value.code, "google.cloud" in caught.value.message) == ("missing-package", True)


@pytest.mark.parametrize(
    "said",
    [
        "the store slipway+postgresql://ann:{secret}@db:5432/mlflow does not answer",
        "postgresql+psycopg2://ann:{secret}/with@slash@db/mlflow",
        "see 'https://ann:{secret}@host/path' and more",
        "mssql://db/mlflow?odbc=x&password={secret}, and more",
    ],
)
def test_no_error_says_a_password(said: str):
    """Whatever a vendor put into its message."""
    error = Unavailable(said.format(secret="s3cret"), code="x", hint=None)
    assert "s3cret" not in f"{error} {error.message} {error.to_document()}"
    assert "***" in error.message
    plain = "no version at http://host:5000/m@production in ann@example.org"
    assert Unavailable(plain, code="x", hint=None).message == plain
