"""The line between supervisor and workers: both ends ask and answer, and an end that is gone is said."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from slipway.registry.errors import NotFound, Unavailable
from slipway.serving.supervision.control import Peer


def talk(scenario: Callable[[Peer, Peer], Awaitable[None]], answer: Any) -> None:
    """Run a scenario on two ends of a line, whose second end answers with a function."""

    async def run() -> None:
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
        first, second = Peer(answer), Peer(answer)
        lines = [asyncio.create_task(peer.talk(end)) for peer, end in zip((first, second), ends, strict=True)]
        await asyncio.sleep(0)
        try:
            await scenario(first, second)
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)

    asyncio.run(run())


async def echo(word: str, fields: dict[str, Any]) -> Any:
    """Answer with what was asked; some words are refused, one never ends."""
    if word == "refused":
        raise NotFound("that was not opened here", code="not-opened", hint=None)
    if word == "broken":
        raise ZeroDivisionError("oh")
    if word == "never":
        await asyncio.Event().wait()
    return {word: fields}


def test_both_ends_ask_at_once_and_each_gets_its_answer():
    """A hundred questions from both sides, answered in whatever order."""

    async def scenario(first: Peer, second: Peer) -> None:
        asked = [peer.ask(f"w{i}", {"i": i}, within_s=5) for i in range(50) for peer in (first, second)]
        answers = await asyncio.gather(*asked)
        assert answers == [{f"w{i}": {"i": i}} for i in range(50) for _ in range(2)]

    talk(scenario, echo)


@pytest.mark.parametrize(
    ("word", "said"),
    [("refused", "that was not opened here"), ("broken", "ZeroDivisionError: oh"), ("never", "no answer to 'never'")],
)
def test_a_refusal_a_failure_and_silence_are_all_unavailable(word: str, said: str):
    """With the other end's words."""

    async def scenario(first: Peer, second: Peer) -> None:
        with pytest.raises(Unavailable, match=said):
            await first.ask(word, {}, within_s=0.2)
        assert await first.ask("again", {}, within_s=5) == {"again": {}}

    talk(scenario, echo)


def test_whoever_waits_for_an_end_that_goes_is_told_at_once():
    """Not after its patience."""

    async def scenario(first: Peer, second: Peer) -> None:
        asked = asyncio.create_task(first.ask("never", {}, within_s=60))
        await asyncio.sleep(0.05)
        second._writer.close()
        with pytest.raises(Unavailable, match="the other process is gone"):
            await asyncio.wait_for(asked, 5)
        with pytest.raises(Unavailable, match="the other process is gone"):
            await first.ask("later", {}, within_s=60)

    talk(scenario, echo)
