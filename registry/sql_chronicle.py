"""A model's whole history out of SQL, for the command and for a server that is asked for it."""

import os
from pathlib import Path

from registry.decisions import Chronicle
from registry.errors import NotFound
from registry.nearest import did_you_mean
from registry.settings import RegistrySettings, history_place, load_settings
from registry.sql_history import SqlHistory, open_to_read


def chronicle_of(model: str) -> Chronicle:
    """Return the history, in the database that the settings name, of the model that was last known by a name."""
    settings = load_settings(RegistrySettings, "registry", environ=os.environ, folder=Path.cwd())
    url, _ = history_place(settings, os.environ)
    return read_chronicle(model, open_to_read(url))


def read_chronicle(model: str, history: SqlHistory, *, workspace: str | None = None) -> Chronicle:
    """Return the history of the model that was last known by a name: of a re-created one, the newer.

    Raises
    ------
    NotFound
        The history knows no such model, or not in the workspace.
    """
    prefix = f"{workspace}/" if workspace else ""
    known = history.model_uids(prefix=prefix, model=model)
    if not known:
        names = {uid.rpartition("/")[2] for uid in history.model_uids(prefix=prefix)}
        raise NotFound(
            f"the history knows no model '{model}'{did_you_mean(model, names)}",
            code="unknown-model",
            hint=f'slipway versions {model}; slipway adopt {model}@production --reason "…" begins a history',
        )
    uid = max(known, key=lambda each: int(each.split("/")[1]))
    return Chronicle(model_uid=uid, records=history.records(uid), anchors=history.anchors(uid))
