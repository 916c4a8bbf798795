"""What the wire path is compared with, and the wire path itself, over one loopback server.

The floor is a blocking socket, a search for blank lines and one `json.loads` an event. Bare httpx
is an `httpx.AsyncClient` that hands over raw bytes and reads nothing in them. Ours is a run of a
session, as a cell drives it: prepared, sent, read, typed, collected and committed.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import httpx
from support.asks import ask_of

from mm_magic.session.options import Options
from mm_magic.session.run import Step
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Ask

_STAMP = re.compile(rb"(\d{20}) (\d{20}) ")
_SERVER = Path(__file__).with_name("server.py")


@contextmanager
def server() -> Iterator[str]:
    """A server in a process of its own; its address."""
    process = subprocess.Popen([sys.executable, str(_SERVER)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def model(**options: int) -> str:
    """The name that asks the server for such an answer."""
    return "-".join(f"{name}-{value}" for name, value in options.items())


def body(name: str) -> bytes:
    """A request with about the fields of ours."""
    messages = [{"role": "user", "content": "Hi"}]
    return json.dumps(
        {"model": name, "messages": messages, "stream": True, "max_tokens": 2048, "temperature": 1}
    ).encode()


def own_nanoseconds(begin: int, first: bytes, end: int) -> int:
    """The time from `begin` to the first delta at `end`, less what the server took of it."""
    stamp = _STAMP.search(first)
    assert stamp is not None, "the first delta holds no times"
    received, sent = int(stamp[1]), int(stamp[2])
    return (received - begin) + (end - sent)


class Floor:
    """A blocking socket with a keep-alive connection."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._file = self._socket.makefile("rb", 65_536)

    def drain(self, name: str) -> int:
        """Read a whole answer; return how many characters of text it had."""
        data = body(name)
        head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data)
        self._socket.sendall(head + data)
        while self._file.readline() != b"\r\n":
            pass
        characters, rest = 0, b""
        while size := int(self._file.readline(), 16):
            rest += self._file.read(size + 2)[:-2]
            while (at := rest.find(b"\n\n")) >= 0:
                event, rest = rest[:at], rest[at + 2 :]
                wire = json.loads(event[event.find(b"data: ") + 6 :])
                if wire["type"] == "content_block_delta":
                    characters += len(wire["delta"]["text"])
        self._file.readline()
        return characters

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Bare:
    """httpx alone."""

    def __init__(self, url: str) -> None:
        self._url = url + "/v1/messages"
        self._client = httpx.AsyncClient(trust_env=False, timeout=None)
        self._headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}

    async def drain(self, name: str) -> None:
        async with self._client.stream(
            "POST", self._url, content=body(name), headers=self._headers
        ) as response:
            async for _ in response.aiter_raw():
                pass

    async def first(self, name: str) -> int:
        """Nanoseconds of our side until the first delta is there."""
        begin, found = time.monotonic_ns(), 0
        async with self._client.stream(
            "POST", self._url, content=body(name), headers=self._headers
        ) as response:
            async for data in response.aiter_raw():
                end = time.monotonic_ns()
                if not found:
                    found = own_nanoseconds(begin, data, end)
        return found

    async def close(self) -> None:
        await self._client.aclose()


class Ours:
    """A session, as the cell magic uses it."""

    def __init__(self, url: str) -> None:
        self.session = Session({"MINIMAX_BASE_URL": url})

    async def drain(self, name: str) -> int:
        run = self.session.turns.start(self._asked(name))
        characters = 0
        async with aclosing(self.session.turns.steps(run)) as steps:
            async for step in steps:
                if isinstance(step, Step):
                    characters += len(step.growth.text)
        return characters

    async def first(self, name: str) -> int:
        begin, found = time.monotonic_ns(), 0
        run = self.session.turns.start(self._asked(name))
        async with aclosing(self.session.turns.steps(run)) as steps:
            async for step in steps:
                end = time.monotonic_ns()
                if not found and isinstance(step, Step) and step.growth.text:
                    found = own_nanoseconds(begin, step.growth.text.encode(), end)
        return found

    async def ask(self, name: str) -> None:
        await self.session.turns.ask("Hi", Options(model=name), alone=True)

    async def close(self) -> None:
        await self.session.client.aclose()

    def _asked(self, name: str) -> Ask:
        return ask_of("Hi", Options(model=name), alone=True, is_cell=False)
