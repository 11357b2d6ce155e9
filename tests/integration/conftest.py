"""What tests with real components share: prepared registries on each database."""

from pathlib import Path

import pytest

from tests.deciding import Copies


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Return prepared registries on each database."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = Copies(folder=tmp_path_factory.mktemp(request.param), postgres=server)
    made.prepare()
    return made


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give every test an environment and a folder that it may leave as it likes."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "SLIPWAY_REGISTRY__HISTORY_URI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
