"""How several answers are shown: live in columns on a page, at the end elsewhere."""

import json
from collections import Counter

import pytest

from mm_magic.jupyter.views.answers import AnswersAtEnd, AnswersInTerminal
from mm_magic.jupyter.views.budget import BURST
from mm_magic.jupyter.views.columns import BYTES_PER_CHARACTER, BYTES_PER_SECOND, Columns
from mm_magic.jupyter.views.page import Live
from mm_magic.jupyter.views.terminal import Terminal
from mm_magic.rendering.bundles import (
    UNFINISHED,
    Bundle,
    finished_bundles,
    line_bundle,
    thinking_bundle,
)
from mm_magic.rendering.columns import Column, finished_columns

END = [line_bundle("table"), line_bundle("answer"), line_bundle("status")]
PART = (
    "The sky is *blue* because `air` scatters short waves more than the long ones.\n\n"
    "- one reason\n- another one\n\n```python\nfor i in range(10):\n    print(i)\n```\n\n"
)


class Screen:
    """Keeps what each display shows, in order, and what was sent when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: dict[str, Bundle] = {}
        self.writes: list[str] = []
        self.bytes = 0
        self.messages: Counter[int] = Counter()  # in each second

    def clock(self) -> float:
        return self.now

    def show(self, slot: str, bundle: Bundle, *, update: bool) -> None:
        assert update == (slot in self.shown)
        self.shown[slot] = bundle
        self.writes.append(slot)
        self.bytes += len(json.dumps(bundle, ensure_ascii=False).encode())
        self.messages[int(self.now)] += 1

    @property
    def texts(self) -> list[object]:
        return [bundle["text/plain"] for bundle in self.shown.values()]

    def html(self, number: int) -> str:
        return str(self.shown[f"part-{number}"]["text/html"])


class Watched:
    """Answers on a page, under a clock of their own."""

    def __init__(self, count: int, *, hide_thinking: bool = False) -> None:
        self.screen = Screen()
        self.tables = 0
        labels = [f"Answer {number}" for number in range(1, count + 1)]
        self.view = Columns(
            self.screen,
            labels,
            clock=self.screen.clock,
            table=self.table,
            hide_thinking=hide_thinking,
        )

    def table(self) -> Bundle:
        self.tables += 1
        return line_bundle(f"table {self.tables}")

    def let_pass(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.screen.now += 0.05
            self.view.tick(f"0 answered, {int(self.screen.now)} s")


def stream(count: int, text: str, *, thinking: str = "", speed: float = 100) -> Watched:
    """Answers of `speed` deltas of four characters a second each, all at once."""
    watched = Watched(count)
    ticks = 0
    for kind, whole in (("thinking", thinking), ("text", text)):
        for at in range(0, len(whole), 4):
            for number in range(1, count + 1):
                delta = whole[at : at + 4]
                watched.view.update(number, *((delta, "") if kind == "thinking" else ("", delta)))
            watched.screen.now += 1 / speed
            while ticks * 0.05 <= watched.screen.now:
                watched.view.tick(f"0 answered, {int(watched.screen.now)} s")
                ticks += 1
        if kind == "thinking" and whole and text:
            for number in range(1, count + 1):
                watched.view.thinking_done(number, f"Thinking for answer {number}")
    return watched


# Before the first of them


@pytest.mark.parametrize("seconds", [0.5, 3, 10])
def test_one_line_until_something_comes(seconds: float) -> None:
    """Until something comes there is one line, drawn at once and then at most once a second."""
    watched = Watched(3)
    watched.let_pass(seconds)

    assert set(watched.screen.writes) == {"part-1"}
    assert len(watched.screen.writes) <= seconds + 1


def test_nothing_is_left_of_it() -> None:
    """The table takes the line's place, and the parts stand in their order."""
    watched = Watched(3)
    watched.let_pass(3)
    watched.view.finish(END)

    assert watched.screen.texts == ["table", "answer", "status"]


# While they come


def test_first_text_is_drawn_at_once() -> None:
    """The very first text is there at once: the table above it, and a column for each answer."""
    watched = Watched(2)
    watched.view.update(2, "", "Blue, I")

    assert watched.screen.writes == ["part-1", "part-2"]
    assert watched.screen.html(2).count("<h3") == 2
    assert "Blue, I" in watched.screen.html(2)


@pytest.mark.parametrize("count", [2, 3, 4, 12])
def test_messages_and_bytes(count: int) -> None:
    """At most ten messages a second, and at most 1.5x the bytes of the same text as one answer.

    That one comes at the sum of the speeds, so in the same time.
    """
    text = PART * 12
    watched = stream(count, text)
    parts = finished_bundles("", "", text, hide_thinking=False)
    answers = finished_columns([Column("Answer", parts)] * count)
    watched.view.finish([line_bundle("table"), answers, line_bundle("status")])

    one = as_one(text * count, 4 * count)
    assert max(watched.screen.messages.values()) <= 10
    assert watched.screen.bytes <= 1.5 * one.bytes


def as_one(text: str, size: int) -> Screen:
    """The screen of one answer with 100 deltas of this size a second."""
    screen = Screen()
    live, ticks = Live(screen, clock=screen.clock), 0
    for at in range(0, len(text), size):
        live.update("", text[at : at + size])
        screen.now += 1 / 100
        while ticks * 0.05 <= screen.now:
            live.tick("")
            ticks += 1
    live.finish(line_bundle("status"))
    return screen


def test_messages_while_they_think() -> None:
    """That all begin or end to think at once does not take more messages a second."""
    watched = stream(4, PART * 3, thinking="A thought about it. " * 40)

    assert max(watched.screen.messages.values()) <= 10


@pytest.mark.parametrize("count", [3, 12])
def test_bytes_are_linear(count: int) -> None:
    """Four times the text takes about four times the bytes."""
    short, long = stream(count, PART * 8), stream(count, PART * 32)

    assert long.screen.bytes <= 4.3 * short.screen.bytes


@pytest.mark.parametrize("speed", [5, 1000])
def test_bytes_at_other_speeds(speed: float) -> None:
    """Slow and fast answers stay within the budget."""
    text = PART * 3
    watched = stream(4, text, speed=speed)

    earned = BYTES_PER_CHARACTER * 4 * len(text) + BYTES_PER_SECOND * watched.screen.now
    assert watched.screen.bytes <= earned + BURST + 15_000  # the last one overdraws


def test_table_is_drawn_once_a_second() -> None:
    """The table is up to date, at most one update a second."""
    watched = stream(3, PART * 8)

    assert 3 <= watched.screen.writes.count("part-1") <= watched.screen.now + 1


def test_the_end_of_each_is_shown() -> None:
    """A column has the end of a long answer, and as many boxes of one height as there are."""
    watched = stream(3, "".join(f"Sentence {n} of many.\n\n" for n in range(100)))
    watched.let_pass(2)
    html = watched.screen.html(2)

    assert html.count("Sentence 99 of many.") == 3
    assert "Sentence 1 of many." not in html
    assert html.count('class="mm-box"') == 3


def test_more_have_lower_boxes_and_very_many_none() -> None:
    """Up to twelve answers have boxes; of more the table alone tells how they get on."""
    assert stream(12, PART).screen.html(2).count("mm-low") == 12
    many = stream(13, PART).screen
    assert "mm-box" not in many.html(2)
    assert UNFINISHED in many.html(2)


def test_page_saved_meanwhile_says_so() -> None:
    """What is saved in mid-answer says at its end that the rest is missing; the end does not."""
    watched = stream(2, PART)
    assert UNFINISHED in watched.screen.html(2)
    watched.view.finish(END)
    assert not any(UNFINISHED in str(each) for each in watched.screen.shown.values())


def test_that_sentence_is_kept_from_the_reader() -> None:
    """Where nothing comes for long the columns are drawn again in time, before it would show."""
    watched = stream(2, PART)
    for _ in range(10):
        before = len(watched.screen.writes)
        watched.let_pass(3)
        assert "part-2" in watched.screen.writes[before:]


# Thinking


def test_last_lines_of_thinking_stand_in_the_column() -> None:
    """Until the text begins the column shows the end of the thinking, dim."""
    watched = stream(2, "", thinking="I wonder. " * 200 + "So be it.")
    watched.let_pass(1)

    assert watched.screen.html(4).count("So be it.") == 2
    assert watched.screen.texts[1:3] == ["Answer 1: thinking…", "Answer 2: thinking…"]


def test_thinking_is_written_once_when_it_ends() -> None:
    """A reader who opens it is not disturbed: nothing is written to its display again."""
    watched = stream(3, PART * 8, thinking="Hm. " * 40)
    boxes = [thinking_bundle("Hm. " * 40, f"Thinking for answer {n}") for n in (1, 2, 3)]
    watched.view.finish([line_bundle("table"), *boxes, *END[1:]])

    for number in (2, 3, 4):
        assert watched.screen.writes.count(f"part-{number}") == 2  # "thinking…" and the box
    assert list(watched.screen.shown) == [f"part-{n}" for n in range(1, 7)]


def test_one_that_does_not_think() -> None:
    """Beside others that think it says so; where none thinks there is no such line."""
    watched = Watched(2)
    watched.view.update(1, "", "Blue.")
    assert list(watched.screen.shown) == ["part-1", "part-2"]
    watched.view.update(2, "Hm.", "")
    watched.let_pass(2)

    assert watched.screen.texts[1:3] == ["Answer 1: no thinking", "Answer 2: thinking…"]
    assert "Blue." in watched.screen.html(4)


def test_hidden_thinking_is_not_shown() -> None:
    """With hidden thinking neither the column nor the box has it."""
    watched = Watched(2, hide_thinking=True)
    watched.view.update(1, "A secret.", "")
    watched.view.thinking_done(1, "Thinking for answer 1")
    watched.view.update(1, "", "Blue.")
    watched.let_pass(2)

    assert "secret" not in str(watched.screen.shown)
    assert watched.screen.texts[1] == "Thinking for answer 1"


def test_card_of_one_that_failed() -> None:
    """Its card stands in its column while the others go on."""
    watched = stream(2, PART)
    watched.view.failed(1, line_bundle("slow down"))
    watched.let_pass(1)

    assert watched.screen.html(2).count("slow down") == 1


# Where nobody watches


def test_nobody_watches() -> None:
    """Headless, each part is drawn once."""
    screen = Screen()
    view = AnswersAtEnd(screen)
    view.tick("0 of 2 answered, 0 s")
    view.update(1, "Hm.", "Blue.")
    assert view.is_blank
    view.finish(END)

    assert screen.texts == ["table", "answer", "status"]
    assert len(screen.writes) == len(END)


def test_terminal_wipes_the_line() -> None:
    """In a terminal the line is wiped before the answers are printed."""
    written: list[str] = []
    view = AnswersInTerminal(Terminal(written.append, tty=True))
    view.tick("0 of 2 answered, 0 s")
    view.update(1, "", "Blue.")
    view.tick("1 of 2 answered, 1 s")
    view.finish(END)

    assert "".join(written) == (
        "0 of 2 answered, 0 s\r\x1b[2K1 of 2 answered, 1 s\r\x1b[2Ktable\n\nanswer\n\nstatus\n"
    )
