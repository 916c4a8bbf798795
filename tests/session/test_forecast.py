"""What several requests may cost, and how many of them must be sent."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.asks import ask_of, said
from support.loopback import Loopback, numbered
from support.replays import SERVERS, Cell, Kernel, recorded

import mm_magic as mm
from mm_magic.errors import UsageError
from mm_magic.session.api import forget_session
from mm_magic.session.api import session as shared_session
from mm_magic.session.forecast import Forecast
from mm_magic.session.options import Options
from mm_magic.session.session import Session
from mm_magic.session.values import ValueType


def forecast(session: Session, n: int, *options: Options) -> Forecast:
    """Of `n` answers with each of these options."""
    asks = ((ask_of("Why?", each, alone=True), n) for each in options)
    return Forecast(len(options) * n, session.requests.foresee(asks, session.cells.here))


def test_it_says_what_it_is_made_of() -> None:
    """A price is told only where MiniMax is asked, and its model is known."""
    session = Session({"MINIMAX_API_KEY": "sk-not-a-key-at-all"})
    asked = said(model="MiniMax-M3", max_tokens=1000)
    cold, warm = replace(asked, temperature=0.1), replace(asked, temperature=1.0)
    size = len(session.turns.request(ask_of("Why?", cold)).request.encode())

    assert forecast(session, 3, cold, warm).in_words() == (
        f"6 requests: about {6 * (size // 3 + 1):,} tokens in, and at most 6,000 out, as "
        f"max_tokens allows. The input is estimated from the first request, {size} bytes. "
        "At most about $0.0075, with prices as of November 2026."
    )
    longer, other = replace(asked, max_tokens=2000), replace(asked, model="mine")
    assert "at most 3,000 out" in forecast(session, 1, asked, longer).in_words()
    assert forecast(session, 1, asked, other).in_words().endswith("The price is unknown.")


def test_another_try_for_a_value_is_told() -> None:
    """An answer that does not fit its type is asked for again, which no forecast can count."""
    session = Session({"MINIMAX_API_KEY": "sk-not-a-key-at-all"})
    ask = replace(ask_of("How many?", said(), alone=True), type=ValueType.of(int))
    told = Forecast(20, session.requests.foresee([(ask, 20)], session.cells.here)).in_words()
    assert told.endswith(
        "If an answer does not fit the type, the model is asked again, which costs extra."
    )


def test_what_is_refused_is_not_sent() -> None:
    """An answer that the model can't give is not counted; if none can be given, that is told."""
    session = Session({"MINIMAX_API_KEY": "sk-not-a-key-at-all"})
    asked = said(model="MiniMax-M3")
    refused = said(model="MiniMax-M2.7", effort="low")
    told = forecast(session, 2, asked, refused)
    assert told.requests == 2
    assert told.in_words().startswith("2 requests: about ")
    assert " Of 4 answers, 2 are not possible with these options. " in told.in_words()
    with pytest.raises(UsageError, match="effort"):
        forecast(session, 2, refused)


# What is there already


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(*numbered(60)) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        forget_session()
        yield server
    forget_session()


def compare(cell: str = "a", **options: Any) -> int:
    """How many answers a run of a cell with `mm.compare` gets."""
    shared_session().cells.begin(cell)
    return len(mm.compare("Why?", **options))


def refusal(**options: Any) -> tuple[str, str]:
    """The message of a compare that needs confirmation, and its forecast."""
    with pytest.raises(UsageError) as caught:
        compare(**options)
    return caught.value.message, caught.value.next_steps[0]


def test_only_what_must_be_asked_needs_confirmation(server: Loopback) -> None:
    """Of 20 answers the notebook has 15: five are asked, without a confirmation."""
    compare(n=15, yes=True)
    assert "this would send 20 requests; more" in refusal(n=20)[0]
    message, told = refusal(n=28, reuse=True)
    assert message == "this would send 13 requests; more than 12 need confirmation"
    assert told.startswith("13 requests: about ")
    assert " Of 28 answers, 15 are in this notebook. " in told

    assert compare(n=20, reuse=True) == 20
    assert len(server.requests) == 20


def test_each_value_has_its_own_answers(server: Loopback) -> None:
    """What the notebook has of one value says nothing of another; `-n` more of one is new."""
    compare(n=6, temperature=[0.1, 1])
    told = refusal(n=9, temperature=[0.1, 0.5, 1], reuse=True)[1]
    assert told.startswith("15 requests: about ")
    assert " Of 27 answers, 12 are in this notebook. " in told
    assert refusal(n=13, conversation="main", reuse=True)[1].startswith("13 requests: about ")
    assert len(server.requests) == 12


@pytest.mark.usefixtures("server")
def test_another_cell_asks_anew() -> None:
    """The answers belong to the cell that asked first; beyond them another one is asked."""
    compare(n=12)
    assert refusal(n=13, cell="b", reuse=True)[1].startswith("13 requests: about ")


@pytest.mark.usefixtures("server")
def test_huge_number() -> None:
    """A number that nobody could send is counted at once, whatever is there."""
    compare(n=3)
    assert refusal(n=10**9, reuse=True)[0].startswith("this would send 999,999,997 requests; more")


# A recording


def test_recording_answers(tmp_path: Path) -> None:
    """What is recorded is not asked; without a key nothing is. To look ahead takes no answer."""
    path = tmp_path / "r"
    recorded(path, *(Cell("Why?", None, id=str(number)) for number in range(15)))
    teacher, student = Kernel(MINIMAX_BASE_URL=SERVERS["A"]), Kernel()
    for kernel in (teacher, student):
        kernel.replay(path, fills=True)
        kernel.session.who.demo_allowed = False
    cold, warm = said(), said(temperature=1.0)

    told = forecast(teacher.session, 20, cold)
    assert told.requests == 5
    assert told.in_words().startswith("5 requests: about ")
    assert " Of 20 answers, 15 are in the recording. " in told.in_words()
    told.check(12, "line")
    for session, number in ((student.session, 20), (teacher.session, 15)):
        told = forecast(session, number, cold)
        assert told.in_words() == f"No requests: all {number} answers are in the recording."
        told.check(1, "line")
    assert forecast(student.session, 2, cold, warm).in_words() == (
        "No requests: of 4 answers, 2 are in the recording and 2 are missing from the recording."
    )
    with pytest.raises(UsageError, match="this would show 5,000 answers; more than 1,000 need"):
        forecast(student.session, 5000, cold).check(12, "line")
