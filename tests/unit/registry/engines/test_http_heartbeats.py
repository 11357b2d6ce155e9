"""What an engine is told when a server takes its word on some of its models only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.registry.engines.http_heartbeats import HttpHeartbeats
from slipway.registry.errors import NotApproved


@dataclass
class Answering:
    """A server that answers each post with the same document."""

    document: Mapping[str, Any]
    posted: list[str] = field(default_factory=list)

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.posted.append(path)
        return self.document


def test_models_that_a_server_takes_no_word_on_are_named():
    """The others were written; a server of an earlier Slipway names none."""
    error = {"kind": "NotApproved", "code": "not-yours-to-see", "message": "you may not see a", "hint": "ask"}
    refused = [{"model": "a", "stage": "production", "error": error}]
    with pytest.raises(NotApproved, match="a@production: you may not see a") as raised:
        HttpHeartbeats(Answering({"written": 2, "refused": refused})).beat([])
    assert (raised.value.code, raised.value.hint) == ("not-yours-to-see", "ask")
    for document in ({"written": 2, "refused": []}, {"written": 2}):
        HttpHeartbeats(Answering(document)).beat([])
