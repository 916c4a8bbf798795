"""Each way in which a request can fail has a card of its own; storms are waited out in bounds."""

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.loopback import Answer, Loopback, close, failure, streamed, whole
from support.printed import on_one_line
from support.taking import get, get_error

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.failure import CODES
from mm_magic.session.options import Options
from mm_magic.session.session import Session

STATUSES = (400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 529)


def card(url: str) -> str:
    """What a cell shows where its request fails."""
    session = Session({"MINIMAX_BASE_URL": url})
    with pytest.raises(MiniMaxError) as caught:
        asyncio.run(session.turns.ask("Why?", Options(retries=0), alone=True))
    (shown,) = caught.value._render_traceback_()
    shown = re.sub(r"\n *(?!→)", " ", shown)  # its lines are broken at words
    assert caught.value.next_steps
    assert all(step in on_one_line(shown) for step in caught.value.next_steps)
    return shown


def card_of(answer: Answer) -> str:
    with Loopback(answer) as server:
        return card(server.url).replace(server.url, "URL")


def in_200(code: int) -> Answer:
    return whole(200, {"base_resp": {"status_code": code, "status_msg": f"words {code}"}})


@pytest.mark.parametrize("code", CODES)
def test_code_has_one_card_however_it_comes(code: int) -> None:
    """An error of the table shows the server's words, its number and what to do, and the same under
    HTTP 200 as with a status of its own."""
    with_status = card_of(failure(500, f"words {code} ({code})"))
    under_200 = card_of(in_200(code))
    for shown in (with_status, under_200):
        assert f"words {code}" in on_one_line(shown)
        assert f"MiniMax's code {code}" in shown
        assert "\n→ " in shown
    told = [on_one_line(shown).split(f"words {code}")[0] for shown in (with_status, under_200)]
    assert told[0] == told[1]


def test_cards_differ() -> None:
    """No two kinds of failure look the same, whatever their bodies are."""
    bodies = {"JSON": {"error": {"message": "words"}}, "text": b"words", "HTML": b"<h1>words</h1>"}
    answers: dict[str, Answer] = {
        f"{status} {name}": whole(status, body, "text/html")
        for status in STATUSES
        for name, body in bodies.items()
    }
    seen: dict[str, set[str]] = {}
    for name, answer in answers.items():
        seen.setdefault(name.split()[0], set()).add(card_of(answer))
    assert all(len(cards) == 1 for cards in seen.values()), seen
    assert len({next(iter(cards)) for cards in seen.values()}) == len(STATUSES)
    others = [
        card_of(whole(200, b"<html>Log in</html>", "text/html")),
        card_of(whole(200, b"", "text/event-stream")),
        card_of(whole(200, {"choices": []})),
        card_of(whole(302, b"", location="https://a.invalid/")),
        card_of(close),
        card("http://nowhere.invalid"),
    ]
    assert len(set(others)) == len(others)
    assert "nowhere.invalid could not be reached" in others[-1]


@pytest.mark.parametrize("status", [429, 529])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("0.05", 0.05), ("99999", 0.5), ("60.1", 0.5), ("-1", 0.5), ("0", 0.5), ("nan", 0.5),
        ("1e1", 0.5), ("soon", 0.5), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.5), ("", 0.5),
        ("9" * 400, 0.5), (None, 0.5),
    ],
)  # fmt: skip
def test_wait_in_a_storm_is_bounded(status: int, asked: str | None, seconds: float) -> None:
    """A busy server is waited for as long as it asks, up to a minute; else for our own time."""
    header = {} if asked is None else {"retry_after": asked}
    with Loopback(failure(status, "busy (1002)", **header), streamed()) as server:
        got = get(server.url, retries=1)
    assert [retry.delay for retry in got.retries] == [seconds]


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[int]:
    """The port of a TLS server whose certificate nobody trusts."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("there is no openssl")
        pytest.skip("there is no openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_certificate_that_nobody_trusts(self_signed: int) -> None:
    """A bad certificate is told as such, with what to do, and is not tried again."""
    url = f"https://127.0.0.1:{self_signed}"
    error = get_error(url, retries=0)
    assert (error.kind, error.retryable) == ("connection", False)
    assert "its certificate was not accepted" in on_one_line(card(url))
    assert "SSL_CERT_FILE" in card(url)
