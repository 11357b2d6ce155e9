"""A store that is not there is told at once, and is not made."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.registry import reachable
from slipway.registry.errors import NotFound, Unavailable
from slipway.registry.reachable import require_answer, require_store


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a socket that listens, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db", "sqlite:///deep/mlflow.db"])
def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path, uri: str):
    """With what to do."""
    environ = {"MLFLOW_TRACKING_URI": uri} if uri else {}
    with pytest.raises(NotFound, match=r"there is no store here: .*mlflow.db is not there") as refused:
        require_store(environ, tmp_path)
    assert "slipway train" in str(refused.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_stores_that_are_there_are_taken(tmp_path: Path):
    """A database here or elsewhere, and MLflow's old plain files; what is in memory is made by whoever asks."""
    file = tmp_path / "mlflow.db"
    file.touch()
    require_store({}, tmp_path)
    other = tmp_path / "other"
    require_store({"MLFLOW_TRACKING_URI": f"sqlite:///{file}"}, other)
    require_store({"MLFLOW_TRACKING_URI": "sqlite://"}, other)
    (other / "mlruns" / "0").mkdir(parents=True)
    (other / "mlruns" / "0" / "meta.yaml").touch()
    require_store({}, other)


def test_each_store_has_to_be_there(tmp_path: Path):
    """Runs and models may be kept apart."""
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(NotFound, match=r"models.db is not there"):
        require_store({"MLFLOW_REGISTRY_URI": "sqlite:///models.db"}, tmp_path)


@pytest.mark.parametrize("scheme", ["http", "postgresql", "postgresql+psycopg"])
def test_where_nobody_listens_it_is_said(scheme: str, listener: socket.socket, tmp_path: Path):
    """No password is shown; a listener is all that is asked for."""
    uri = f"{scheme}://ann:secret@127.0.0.1:{listener.getsockname()[1]}/db"
    require_answer({"MLFLOW_TRACKING_URI": uri})
    listener.close()
    with pytest.raises(Unavailable, match=r"nothing answers at .*127.0.0.1.*: Connection refused") as refused:
        require_store({"MLFLOW_TRACKING_URI": uri}, tmp_path)
    assert "secret" not in refused.value.message


def test_a_host_without_a_name_is_said():
    """The resolver's own words."""
    with pytest.raises(Unavailable, match=r"nothing answers at http://nowhere.invalid"):
        require_answer({"MLFLOW_TRACKING_URI": "http://nowhere.invalid:5000"})


def test_a_host_that_is_silent_is_given_up_soon(monkeypatch: pytest.MonkeyPatch):
    """Not after the minutes that the system takes."""
    asked = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append((address, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(reachable.socket, "create_connection", connect)
    with pytest.raises(Unavailable, match=r"timed out"):
        require_answer({"MLFLOW_TRACKING_URI": "https://quiet"})
    assert asked == [(("quiet", 443), reachable.ANSWERS_WITHIN_S)]
    assert reachable.ANSWERS_WITHIN_S < 5


def test_what_a_proxy_reaches_is_left_to_it(monkeypatch: pytest.MonkeyPatch):
    """The way past it may be closed."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    require_answer({"MLFLOW_TRACKING_URI": "http://nowhere.invalid:5000"})
    monkeypatch.setenv("no_proxy", "nowhere.invalid")
    with pytest.raises(Unavailable):
        require_answer({"MLFLOW_TRACKING_URI": "http://nowhere.invalid:5000"})
