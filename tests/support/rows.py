"""A server that answers each row with its own prompt, and `mm.map` asking it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mm_magic.session.api import forget_session
from support.loopback import Answer, Connection, Loopback, captured, failure, streamed


def prompt_of(connection: Connection) -> str:
    """The prompt of the request that is being answered, "" if it is one for a list of models."""
    if connection.request.method == "GET":
        return ""
    return str(connection.request.json["messages"][-1]["content"])


def echo(connection: Connection) -> None:
    """Answer with the prompt in angle brackets; a prompt with "boom" is refused."""
    prompt = prompt_of(connection)
    if "boom" in prompt:
        failure(400, "invalid params, boom (2013)")(connection)
        return
    for step in streamed(captured(text=f"<{prompt}>")):
        step(connection)


def first(count: int, before: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """Answer the first `count` requests by `before`, and then echo."""
    came = 0

    def answer(connection: Connection) -> None:
        nonlocal came
        came += 1
        (before if came <= count else echo)(connection)

    return answer


class AtOnce:
    """Answers as `echo` does, a moment later. `most` is how many requests were there at once."""

    def __init__(self) -> None:
        self._here = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
        connection.closed.wait(0.02)
        with self._lock:
            self._here -= 1
        echo(connection)


@contextmanager
def server_process(latency: float, at_a_time: int | None = None) -> Iterator[str]:
    """The address of a server in a process of its own; see `rows_server`."""
    words = [str(latency), *([] if at_a_time is None else [str(at_a_time)])]
    command = [sys.executable, str(Path(__file__).with_name("rows_server.py")), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@contextmanager
def kernel(
    monkeypatch: pytest.MonkeyPatch, answer: Answer = echo, **environ: str
) -> Iterator[Loopback]:
    """A server, and a new session that asks it."""
    with Loopback(answer) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        forget_session()
        try:
            yield server
        finally:
            forget_session()


def asked(server: Loopback) -> list[str]:
    """The prompts that a server got, in alphabetical order."""
    return sorted(request.json["messages"][-1]["content"] for request in server.requests)
