"""Take one answer with the real client, for the tests of the transport."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.messages import Message
from mm_magic.protocol.request import Request
from mm_magic.transport.body import Clocks
from mm_magic.transport.client import Client, Retrying
from mm_magic.transport.endpoint import Endpoint
from support.asks import request_of

PROMPT = request_of("Why is the sky blue?")
THINKING, TEXT = "The sky scatters blue light.", "\n\nRayleigh scattering."


@dataclass
class Got:
    """What one request brought."""

    accumulator: Accumulator = field(default_factory=Accumulator)
    retries: list[Retrying] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def message(self) -> Message:
        return self.accumulator.message()


def new_client(clocks: Clocks | None = None) -> Client:
    # Without other clocks a client that waits where it should not fails its test in 5 s.
    return Client(clocks=clocks or Clocks(silence=5, progress=5, ending=1), jitter=lambda: 0.0)


async def take(client: Client, url: str, got: Got, request: Request = PROMPT, n: int = 0) -> Got:
    async with aclosing(client.stream(Endpoint(url), request, retries=n)) as arriving:
        async for arrival in arriving:
            if isinstance(arrival, Retrying):
                got.retries.append(arrival)
            else:
                got.accumulator.add(arrival.events)
                got.seconds.append(arrival.seconds)
    got.accumulator.end()
    return got


def get(url: str, *, retries: int = 0, clocks: Clocks | None = None) -> Got:
    """One request to its end, on a loop of its own."""
    return asyncio.run(take(new_client(clocks), url, Got(), n=retries))


def get_error(url: str, *, retries: int = 0, clocks: Clocks | None = None) -> MiniMaxError:
    with pytest.raises(MiniMaxError) as caught:
        get(url, retries=retries, clocks=clocks)
    return caught.value


def check_captured(message: Message) -> None:
    assert (message.thinking, message.text) == (THINKING, TEXT)
    assert message.content[0].to_wire()["signature"] == "5f" * 32
    assert (message.usage.input_tokens, message.usage.output_tokens) == (39, 41)
    assert message.usage.cache_creation_input_tokens == 0
    assert message.usage.cache_read_input_tokens is None
    assert (message.model, message.stop_reason) == ("MiniMax-M2.7", "end_turn")
