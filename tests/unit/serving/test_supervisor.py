"""An engine says what it serves, and serving does not depend on whether anybody lets it."""

import asyncio
import logging
from pathlib import Path

import pytest

from registry.errors import NotApproved, SlipwayError, Unavailable
from serving.settings import ServingSettings
from serving.supervisor import Supervisor
from serving.target import Target
from tests.fakes import FakeHeartbeats


class Refusing(FakeHeartbeats):
    """A place that takes no word, and counts who tried."""

    def __init__(self, error: SlipwayError) -> None:
        super().__init__()
        self.error, self.tried = error, 0

    def beat(self, beats: object) -> None:
        self.tried += 1
        raise self.error


@pytest.mark.parametrize("kind", [NotApproved, Unavailable])
def test_an_engine_that_may_not_speak_goes_on_and_says_why_once(
    kind: type[SlipwayError], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """It tries again, since a role may be given to it."""
    refusing = Refusing(kind("not your role", code="not-your-role", hint="have the policy list you"))
    supervisor = Supervisor(
        (Target("m", "production"),),
        ServingSettings(cache=tmp_path, beat_s=0.01),
        engine="e",
        address="http://e",
        registry="sqlite:///nowhere.db",
        aliases=None,
        heartbeats=refusing,
    )

    async def beat_for_a_while() -> None:
        beating = asyncio.create_task(supervisor._beat())
        async with asyncio.timeout(10):
            while refusing.tried < 3:
                assert not beating.done()
                await asyncio.sleep(0.01)
        beating.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(beat_for_a_while())
    (said,) = [record.getMessage() for record in caplog.records if "heartbeats" in record.getMessage()]
    assert said.endswith("not your role (have the policy list you)")
