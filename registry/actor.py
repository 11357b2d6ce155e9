"""Who acts, as far as this machine can tell."""

import getpass
import os


def actor() -> str:
    """Return who acts: the user that MLflow's server knows, else whoever is logged in here."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
