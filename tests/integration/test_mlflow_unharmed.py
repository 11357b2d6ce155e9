"""MLflow works as before on a database that holds the history too: upgrade, runs, registry, UI."""

import json
import subprocess
import urllib.request

from mlflow import MlflowClient

from tests.generators.deciding import MODEL, Copies, promote_second, require_agreement
from tests.servers.processes import answers, environment, free_port, process, wait_for


def test_mlflow_is_unharmed(copies: Copies):
    """Its migrations run again, its client writes runs and versions, its server shows what the ledger decided."""
    place = copies.of("promote", "unharmed")
    promote_second(place)
    upgrade = ("mlflow", "db", "upgrade", place.uri)
    subprocess.run(upgrade, cwd=place.folder, env=environment(), check=True, capture_output=True)
    client = MlflowClient(place.uri, place.uri)
    run = client.create_run(client.create_experiment("more"))
    client.log_metric(run.info.run_id, "m", 1.5)
    client.set_terminated(run.info.run_id)
    assert client.get_run(run.info.run_id).data.metrics == {"m": 1.5}
    client.create_registered_model("other")
    made = client.create_model_version("other", f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias("other", "live", made.version)
    client.delete_model_version("other", made.version)
    client.delete_registered_model("other")
    port = free_port()
    log = place.folder / "ui.log"
    words = ("mlflow", "server", "--backend-store-uri", place.uri, "--port", str(port), "--workers", "1")
    with process(*words, folder=place.folder, log=log):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/"), within_s=180, log=log)
        url = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/registered-models/get?name={MODEL}"
        with urllib.request.urlopen(url, timeout=30) as response:
            shown = json.load(response)["registered_model"]
    assert shown["aliases"] == [{"alias": "production", "version": "2"}]
    stages = {version["current_stage"]: version["version"] for version in shown["latest_versions"]}
    assert stages["Production"] == "2"
    assert require_agreement(place) == {"production": 2}
