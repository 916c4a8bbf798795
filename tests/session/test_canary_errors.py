"""Servers that repeat the key they were sent: no error shows it."""

import asyncio
import json
import pickle
import traceback
from collections.abc import Coroutine

import pytest
from support.canary import KEY, found_in
from support.loopback import END, Answer, Loopback, captured, chunk, close, head, send, sse, whole
from support.security_page import SECURITY_PAGE

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.failure import CODES
from mm_magic.session.options import Options
from mm_magic.session.session import Session

MAX_MESSAGE = 2000
"""Characters of a server's words that an error shows."""


def echo(status: int, body: str, content_type: str = "application/json") -> Answer:
    return whole(status, body.encode(), content_type, request_id=f"r-{KEY}")


def said(message: str, **more: object) -> str:
    return json.dumps({"type": "error", "error": {"message": message}, **more})


FAILURES: dict[str, Answer] = {
    **{f"HTTP {n}": echo(n, said(f"no {KEY}", request_id=KEY)) for n in (400, 404, 429, 500, 529)},
    **{f"code {n}": echo(500, said(f"Bearer {KEY} ({n})")) for n in CODES},
    "redirect": whole(302, b"", location=f"http://127.0.0.1:1/{KEY}"),
    "page": echo(502, f"<html><title>{KEY}</title><pre>Authorization: {KEY}</pre>", "text/html"),
    "plain text": echo(403, KEY, "text/plain"),
    "nothing but the key": echo(401, json.dumps(KEY)),
    "long words": echo(400, said("x" * (MAX_MESSAGE - len(KEY) + 3) + KEY)),
    "long page": echo(500, "<p>" + "y " * 3 * MAX_MESSAGE + KEY, "text/html"),
    "page under 200": echo(200, f"<p>{'z' * 180} {KEY}</p>", "text/html"),
    "content type": echo(200, "<p>", f"text/html; of={KEY}"),
    "base_resp": echo(200, json.dumps({"base_resp": {"status_code": 1004, "status_msg": KEY}})),
    "JSON error": echo(200, said(f"{KEY} {KEY}")),
    "JSON of another kind": echo(200, json.dumps([KEY])),
    "first event": [head(), chunk(sse(json.loads(said(KEY, request_id=KEY)))), END],
    "event": [head(), chunk(sse(*captured()[:8], json.loads(said(KEY)))), END],
    "not JSON": [head(), chunk(f"event: error\ndata: no {KEY}\n\n".encode()), END],
    "not HTTP": [send(f"{KEY}\r\n\r\n".encode()), close],
    "closed": close,
}


WANTS = ("an answer", "the models")


def test_the_page_counts_them() -> None:
    """docs/security.md says how many answers with the key are tried."""
    assert f"Tested with {len(FAILURES) * len(WANTS)} answers" in SECURITY_PAGE


@pytest.mark.parametrize("failing", FAILURES)
@pytest.mark.parametrize("wants", WANTS)
def test_no_error_repeats_the_key(failing: str, wants: str) -> None:
    """Whatever a server repeats of the key, and wherever it is cut, no form of the error has it."""
    with Loopback(FAILURES[failing]) as server:
        session = Session({"MINIMAX_BASE_URL": server.url, "MINIMAX_API_KEY": KEY})
        asked = session.turns.ask("Why?", Options(retries=0), alone=True)
        with pytest.raises(MiniMaxError) as caught:
            asyncio.run(asked if wants == "an answer" else first_model(session, asked))
        error = caught.value
    copied = pickle.loads(pickle.dumps(error))
    shown = [repr(error), error.card(), repr(vars(error)), *traceback.format_exception(error)]
    shown += ["\n".join(error._render_traceback_()), repr(vars(copied)), repr(error.__context__)]
    assert error.card()
    assert found_in("\n".join(shown)) == []


async def first_model(session: Session, asked: Coroutine[object, object, object]) -> str:
    asked.close()
    return (await session.models.ask(session.client))[0]
