"""How far a table is: one line on a page, four updates a second at most, and a static end."""

from typing import Any

import pytest
from test_answers_view import Screen

from mm_magic.conversation.rows_count import RowsCount
from mm_magic.jupyter.views.rows import RowsAtEnd, RowsInTerminal, RowsOnPage
from mm_magic.jupyter.views.terminal import Terminal
from mm_magic.rendering.rows_line import ended_bundle, growing_line

PART: dict[str, Any] = {
    "rows": 60,
    "done": 40,
    "failed": 2,
    "found": 12,
    "tokens": 12_340,
    "seconds": 6.0,
}
LINES = {
    "nothing yet": (RowsCount(60), "░░░░░░░░░░░░░░░░ 0 of 60 rows"),
    "no answer yet": (RowsCount(60, seconds=4.7), "░░░░░░░░░░░░░░░░ 0 of 60 rows · 4 s"),
    "a part": (
        RowsCount(**PART),
        "███████████░░░░░ 42 of 60 rows · 2 failed · 12,340 tokens · 5.0 rows/s · 4 s left",
    ),
    "with a price": (
        RowsCount(**{**PART, "price": 0.03}),
        "███████████░░░░░ 42 of 60 rows · 2 failed · 12,340 tokens · $0.0300 of about $0.0480 · "
        "5.0 rows/s · 4 s left",
    ),
    "one broke off": (
        RowsCount(60, failed=1, uncounted=1, seconds=2),
        "░░░░░░░░░░░░░░░░ 1 of 60 rows · 1 failed · 1 request not counted · 0.5 rows/s · "
        "2 min left",
    ),
    "hours": (
        RowsCount(10_000, done=100, seconds=100),
        "░░░░░░░░░░░░░░░░ 100 of 10,000 rows · 1.0 rows/s · 165 min left",
    ),
}


@pytest.mark.parametrize(("count", "line"), LINES.values(), ids=LINES)
def test_the_growing_line(count: RowsCount, line: str) -> None:
    """It says how far it is, what it took, how fast it goes and how long it still takes."""
    assert growing_line(count) == line


ENDS = {
    "all answered": (RowsCount(60, done=60, tokens=900, seconds=2), "60 rows · 900 tokens · 2.0 s"),
    "some failed": (
        RowsCount(60, done=57, failed=3, tokens=900, price=0.01, seconds=2),
        "60 rows · 57 answered · 3 failed · 900 tokens · $0.0100 · 2.0 s",
    ),
    "some broke off": (
        RowsCount(60, done=59, failed=1, tokens=900, price=0.01, uncounted=2, seconds=2),
        "60 rows · 59 answered · 1 failed · 900 tokens · $0.0100 · 2 requests not counted · 2.0 s",
    ),
    "stopped": (RowsCount(60, done=20, seconds=2), "60 rows · 20 answered · 2.0 s"),
    "nothing asked": (RowsCount(1, done=1, found=1), "1 row"),
    "the demo": (
        RowsCount(60, done=60, tokens=900, seconds=2, is_demo=True),
        "Offline demo, not a language model · 60 rows · 900 tokens",
    ),
}


@pytest.mark.parametrize(("count", "line"), ENDS.values(), ids=ENDS)
def test_the_end(count: RowsCount, line: str) -> None:
    """The static line, the variable, and the notes below it."""
    bundle = ended_bundle(count, ["A note."], to="out")
    assert bundle["text/plain"] == f"{line} · stored in out\nA note."


def test_a_page_gets_four_updates_a_second() -> None:
    """However often it ticks; the end takes the place of the line."""
    screen, count = Screen(), RowsCount(60)
    view: Any = RowsOnPage(count, screen, clock=screen.clock)
    for _ in range(400):
        screen.now += 0.05
        count.done = int(screen.now * 3)
        count.seconds = screen.now
        view.tick()
    view.finish([])

    assert max(screen.messages.values()) <= 4
    assert 60 < len(screen.writes) <= 80
    assert screen.texts == ["60 rows · 20.0 s"]


def test_what_ends_soon_shows_its_end_alone() -> None:
    """So does a run that nobody watches."""
    for make in (lambda c, s: RowsOnPage(c, s, clock=s.clock), RowsAtEnd):
        screen, count = Screen(), RowsCount(3)
        view = make(count, screen)
        for _ in range(9):
            screen.now += 0.05
            view.tick()
        count.done = 3
        view.finish(["A note."])
        assert screen.writes == ["rows"]
        assert screen.texts == ["3 rows · 0.0 s\nA note."]


@pytest.mark.parametrize("tty", [True, False])
def test_a_terminal_has_one_line(tty: bool) -> None:
    """It is written over on a terminal, and not there in a pipe; the end stays."""
    written: list[str] = []
    screen, count = Screen(), RowsCount(60)
    view = RowsInTerminal(count, Terminal(written.append, tty=tty), clock=screen.clock)
    for second in range(1, 4):
        screen.now, count.done, count.seconds = second, second * 10, second
        view.tick()
    count.done = 60
    view.finish([])

    text = "".join(written)
    assert text.endswith("60 rows · 3.0 s\n")
    assert text.count("\n") == 1
    assert ("30 of 60 rows" in text) == tty
