"""How a growing reply is drawn: what is sent, how often, and what is left in the end."""

from __future__ import annotations

import json
import re
from collections import deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mm_magic.jupyter.views.budget import BURST, BYTES_PER_CHARACTER, BYTES_PER_SECOND
from mm_magic.jupyter.views.page import LARGEST_BODY, Final, Live
from mm_magic.jupyter.views.steps import Steps
from mm_magic.rendering.blocks import SOFT_LIMIT
from mm_magic.rendering.bundles import (
    PAGE_FORMULAS,
    UNFINISHED,
    UNFINISHED_HTML,
    UNFINISHED_SECONDS,
    Bundle,
    answer_bundle,
    answer_pages,
    definitions_in,
    status_bundle,
    thinking_bundle,
)
from mm_magic.rendering.markdown import FORMULA_SIZE

STATUS = status_bundle(["MiniMax-M2.7", "39 in / 40 out"], [], {"version": 1})
PARAGRAPH = (
    "The sky is *blue* because `air` scatters short waves more; the sun sends $I(\\lambda)$.\n\n"
    "- one reason\n- another\n\n"
)
CODE = "```python\n" + "for i in range(10):\n    print(i)\n" * 20 + "```\n\n"


class Page:
    """A screen that keeps what each display shows, in order, and what was sent when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: dict[str, Bundle] = {}
        self.wrote: dict[str, float] = {}
        self.sent: list[tuple[float, int]] = []
        self.typeset = 0
        """How many formulas came, each as often as its display was written."""

    def clock(self) -> float:
        return self.now

    def show(self, slot: str, bundle: Bundle, *, update: bool) -> None:
        assert update == (slot in self.shown)
        self.shown[slot] = bundle
        self.wrote[slot] = self.now
        self.typeset += str(bundle["text/html"]).count("mathjax_process")
        self.sent.append((self.now, len(json.dumps(bundle, ensure_ascii=False).encode())))

    @property
    def html(self) -> str:
        """What a reader sees while it grows."""
        html = "\n".join(str(bundle["text/html"]) for bundle in self.shown.values())
        return html.replace(UNFINISHED_HTML, "")


def stream(page: Page, text: str, *, thinking: str = "", speed: float = 100, size: int = 4) -> Live:
    """Play a reply at `speed` deltas of `size` characters a second, with ticks in between."""
    live = Live(page, clock=page.clock)
    next_tick = 0.0

    def push(thought: str, said: str) -> None:
        nonlocal next_tick
        live.update(thought, said)
        page.now += 1 / speed
        while next_tick <= page.now:
            live.tick("")
            next_tick += 0.05

    for at in range(0, len(thinking), size):
        push(thinking[at : at + size], "")
    if thinking:
        live.thinking_done("Thinking (1.2 s)")
    for at in range(0, len(text), size):
        push("", text[at : at + size])
    return live


def document(size: int) -> str:
    return ((PARAGRAPH * 8 + CODE) * (size // 1000))[:size]


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("Short.", ""),
        ("Short.", "Hm, let me see.\n\nYes."),
        (document(5_000), ""),
        (document(40_000), "thinking about it\n" * 300),
        ("```python\n" + "x = 1\n" * 8_000 + "```\n\nDone.", ""),
        ("one very long line, " * 2_000, ""),
        ("<think>\n" + "word word\n\n" * 2_000 + "</think>\n\nDone.", ""),
        ("", "only thinking"),
        ("\n\n", ""),
    ],
)
def test_the_final_form_is_one_fresh_render(text: str, thinking: str) -> None:
    """However it was drawn, in the end there are thinking, pages and status, and nothing else."""
    page = Page()
    stream(page, text, thinking=thinking).finish(STATUS)
    box = [thinking_bundle(thinking, "Thinking (1.2 s)")] if thinking else []
    assert list(page.shown.values()) == [*box, *map(answer_bundle, answer_pages(text)), STATUS]


@pytest.mark.parametrize(
    ("speed", "most"),
    [
        (200, 5_000),
        *(pytest.param(speed, 20_000, marks=pytest.mark.slow) for speed in (50, 200, 2_000)),
    ],
)
@pytest.mark.parametrize("kind", ["text", "thinking", "code", "line", "list"])
def test_bytes_are_linear_and_messages_bounded(speed: float, most: int, kind: str) -> None:
    """Up to 20,000 tokens of 4 characters take 260 bytes each at most, in 10 messages a second."""
    totals = []
    for tokens in (2_000, most):
        size = 4 * tokens
        page = Page()
        texts = {
            "text": document(size),
            "code": "```python\n" + ("x = 1\n" * (size // 6)),
            "line": "word " * (size // 5),
            "list": "- item of a list\n" * (size // 17),
        }
        live = stream(
            page,
            texts.get(kind, ""),
            thinking="thinking on. " * (size // 13) if kind == "thinking" else "",
            speed=speed,
        )
        check_rate(page)
        live.finish(STATUS)
        totals.append(sum(size for _, size in page.sent) / tokens)
    assert totals[1] <= 260
    budget = 4 * BYTES_PER_CHARACTER + BYTES_PER_SECOND / speed
    assert totals[1] <= max(budget, totals[0] * 1.1)


def check_rate(page: Page) -> None:
    window: deque[float] = deque()
    for moment, _ in page.sent:
        window.append(moment)
        while window[0] <= moment - 1:
            window.popleft()
        assert len(window) <= 10


def test_thinking_again_and_again_is_within_the_budget() -> None:
    """Thinking and text in turn, 2,000 times: bytes and messages stay in bounds, all is kept."""
    page = Page()
    live = Live(page, clock=page.clock)
    for _ in range(2_000):
        live.update("think " * 5, "")
        live.thinking_done(f"Thinking ({page.now:.1f} s)")
        live.update("", "text ")
        page.now += 1 / 40
        live.tick("")
    check_rate(page)
    characters = 2_000 * 35
    sent = sum(size for _, size in page.sent)
    assert sent <= BURST + characters * BYTES_PER_CHARACTER + page.now * BYTES_PER_SECOND

    live.finish(STATUS)
    box = thinking_bundle("think " * 10_000, f"Thinking ({1_999 / 40:.1f} s)")
    assert list(page.shown.values()) == [
        box,
        *map(answer_bundle, answer_pages("text " * 2_000)),
        STATUS,
    ]


def test_the_first_fold_waits_for_nothing() -> None:
    """Thinking folds at once; more thinking is in the box when it has doubled, or at the end."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("one ", "")
    live.thinking_done("Thinking (1 s)")
    assert "<summary>Thinking (1 s)</summary>" in page.html
    live.update("", "text")
    live.update("two", "")
    live.thinking_done("Thinking (2 s)")
    page.now = 9
    live.tick("")
    assert "two" not in page.html
    live.update("three ", "")
    page.now = 18
    live.tick("")
    assert "one twothree" in page.html
    assert "<summary>Thinking (2 s)</summary>" in page.html


@pytest.mark.parametrize(
    "block",
    [
        "```python\n" + "x = 1\n" * 40_000,
        "- item of a list\n" * 15_000,
        "- " + "word " * 50_000 + "\n- b\n",
        "```\n" + "&" * 250_000 + "\n" + "x\n" * 5_000,
    ],
)
def test_a_huge_delta_is_drawn_in_small_messages(block: str) -> None:
    """Of a block that comes as one huge delta the end is drawn, and the drawing goes on."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("", PARAGRAPH * 30)
    live.update("", block)
    for _ in range(10):
        page.now += 0.5
        live.update("", "y = 2\n")
    assert page.sent[-1][0] >= page.now - 1
    assert max(size for _, size in page.sent) <= LARGEST_BODY * 1.5
    assert len(page.html) >= SOFT_LIMIT


WORDS = [f"w{number}" for number in range(9_000)]
ANSWER = "".join(
    "\n\n".join(" ".join(WORDS[at : at + 50]) for at in range(start, start + 400, 50))
    + "\n\n"
    + "\n".join(f"- {word} *{word}x*" for word in WORDS[start + 400 : start + 1_150])
    + "\n\n```\n"
    + "\n".join(WORDS[start + 1_150 : start + 1_500])
    + "\n```\n\n"
    for start in range(0, 9_000, 1_500)
)


def readable(shown: str) -> str:
    return "".join(re.findall("[a-z0-9]", re.sub("<details.*?</details>|<[^>]*>", "", shown)))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["text", "text", "text", "thinking", "done", "pause"]),
        st.one_of(st.integers(1, 500), st.integers(1, 60_000)),
        st.sampled_from([0, 0.01, 0.2, 3]),
    ),
    max_size=40,
)


@settings(max_examples=8)
@given(STEPS)
@example([("text", 60_000, 1), ("pause", 1, 1), ("pause", 1, 1)])
@example([("text", 300, 1), ("thinking", 9, 1)])
def test_what_was_shown_stays(steps: list[tuple[str, int, float]]) -> None:
    """Whatever comes, and when: the page shows the answer from its beginning, and ever more."""
    check_shown_stays(steps)


@pytest.mark.slow
@settings(max_examples=20)
@given(STEPS)
def test_what_was_shown_stays_at_length(steps: list[tuple[str, int, float]]) -> None:
    """The same, 200 times."""
    check_shown_stays(steps)


def check_shown_stays(steps: list[tuple[str, int, float]]) -> None:
    page = Page()
    live = Live(page, clock=page.clock)
    whole, at, seen = readable(ANSWER), 0, 0
    for kind, size, pause in steps:
        if kind == "text":
            live.update("", ANSWER[at : at + size])
            at += size
        elif kind == "thinking":
            live.update("hm " * (size % 50), "")
        elif kind == "done":
            live.thinking_done("Thinking (1 s)")
        else:
            live.tick("")
        shown = readable(page.html)
        assert whole.startswith(shown)
        assert len(shown) >= seen
        seen = len(shown)
        page.now += pause
    for _ in range(100):
        page.now += 10
        live.tick("")
    assert readable(page.html) == readable(ANSWER[:at])


def test_the_first_text_is_drawn_at_once() -> None:
    """The first thinking and the first text are shown without waiting, blank text is not."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("Hm", "")
    assert "Hm" in page.html
    before = page.html
    live.update("", "\n\n")
    assert page.html == before
    live.update("", "Blue")
    assert "Blue" in page.html


def test_what_waits_is_drawn_when_it_is_due() -> None:
    """A delta that comes too early waits for a later tick."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("", "one ")
    page.now = 0.01
    live.update("", "two")
    assert "two" not in page.html
    page.now = 0.5
    live.tick("")
    assert "two" in page.html


def test_formulas_are_typeset_while_the_answer_grows() -> None:
    """A formula is given to MathJax at most 500 characters behind the end of its block."""
    page = Page()
    live = Live(page, clock=page.clock)
    text = PARAGRAPH * 30
    for end in range(4, len(text), 4):
        live.update("", text[end - 4 : end])
        page.now += 1 / 50
        live.tick("")
        blocks = text[: max(0, end - 500)].count("$I(") - 1
        assert page.html.count("mathjax_process") >= blocks
    live.finish(STATUS)
    assert page.html.count("mathjax_process") == 30


def test_no_display_holds_many_formulas() -> None:
    """A page sets all formulas of a display at once, so an answer is cut where they are many."""
    page = Page()
    stream(page, PARAGRAPH * 60).finish(STATUS)
    counts = [str(each["text/html"]).count("mathjax_process") for each in page.shown.values()]
    assert sum(counts) == 60
    assert max(counts) == PAGE_FORMULAS


LONG = r"$\sum_{k=1}^{n} \lambda_k \vec e_k + \sqrt{\alpha + \beta} = \int_0^\infty f(x)\,dx$"
STEPS_OF_A_LIST = {
    "numbers": "".join(f"{number}. Then $x_{{{number}}}$ follows.\n" for number in range(3, 103)),
    "bullets": "- Then $x$ follows.\n\n" * 100,
    "displays": "".join(f"{number}. So\n   $$\n   x\n   $$\n\n" for number in range(1, 101)),
    "long": "".join(f"{number}) {LONG}\n" for number in range(1, 101)),
}


@pytest.mark.parametrize("kind", STEPS_OF_A_LIST)
def test_no_display_holds_many_formulas_of_a_list(kind: str) -> None:
    """A long list of formulas is cut between its items, which keep their numbers."""
    text = f"The steps:\n\n{STEPS_OF_A_LIST[kind]}\nDone.\n"
    page = Page()
    stream(page, text).finish(STATUS)
    counts = [str(each["text/html"]).count("mathjax_process") for each in page.shown.values()]
    assert sum(counts) == 100
    assert max(counts) <= 2 * PAGE_FORMULAS
    html = [str(each["text/html"]) for each in page.shown.values()]
    numbers = re.findall(r"^(\d+)[.)]", text, re.M)
    assert numbers == [
        str(int(start or 1) + item)
        for start, items in re.findall(
            r'<ol(?: start="(\d+)")?[^>]*>(.*?)</ol>', "".join(html), re.S
        )
        for item in range(items.count("<li"))
    ]


def test_long_formulas_fill_a_display_sooner() -> None:
    """MathJax needs as long for a formula as it is long, so few long ones share a display."""
    page = Page()
    stream(page, f"So {LONG}.\n\n" * 40).finish(STATUS)
    counts = [str(each["text/html"]).count("mathjax_process") for each in page.shown.values()]
    assert sum(counts) == 40
    assert 1 < max(counts) * len(LONG) < (PAGE_FORMULAS + 2) * FORMULA_SIZE


@pytest.mark.parametrize("kind", STEPS_OF_A_LIST)
def test_formulas_of_a_list_are_set_while_it_grows(kind: str) -> None:
    """Those of an item are set before many more items came, though the list is not finished."""
    page = Page()
    live = Live(page, clock=page.clock)
    text = STEPS_OF_A_LIST[kind]
    for end in range(4, len(text), 4):
        live.update("", text[end - 4 : end])
        page.now += 1 / 50
        live.tick("")
        formulas = len(re.findall(r"\$+[^$]+\$+", text[: max(0, end - 900)]))
        assert page.html.count("mathjax_process") >= formulas - 8


def test_a_list_that_counts_in_another_way_stays_whole() -> None:
    """Where all items say 1, or one is left out, a list that began anew would count wrongly."""
    for text in ("1. $x$\n" * 60, "1. $x$\n" + "".join(f"{n}. $x$\n" for n in range(3, 60))):
        assert len(answer_pages(text)) == 1


def test_a_formula_is_set_few_times() -> None:
    """Each update of a display sets all of its formulas again: less than four times each."""
    for text in (PARAGRAPH * 100, *STEPS_OF_A_LIST.values()):
        page = Page()
        stream(page, text).finish(STATUS)
        assert page.typeset < 4 * 100


def test_the_answer_shows_everything_while_it_grows() -> None:
    """Before the end, body and tail together hold the first and the last words, in order."""
    page = Page()
    live = stream(page, "first word\n\n" + document(10_000) + "\n\nlast word")
    page.now += 5
    live.tick("")
    assert page.html.index("first word") < page.html.index("last word")
    pages = len(answer_pages("first word\n\n" + document(10_000)))
    assert pages <= len(page.shown) <= pages + 1


def test_links_that_are_defined_later_resolve_on_every_page() -> None:
    """At the end, and only then, the pages with what was defined behind them are written again."""
    rest = f"{PARAGRAPH * 150}[1]: https://x.invalid\n\n[^1]: Note.\n"
    text = f"See [the docs][1], [^1] and [^no].\n\n{rest}"
    page = Page()
    live = stream(page, text)
    growing = str(page.shown["part-1"]["text/html"])
    assert "[the docs][1], <sup>[1]</sup> and [^no]." in growing
    before = len(page.sent)
    live.finish(STATUS)
    assert '<a href="https://x.invalid"' in str(page.shown["part-1"]["text/html"])
    pages = answer_pages(text)
    definitions = definitions_in(pages)
    assert len(pages) > 2
    assert list(page.shown.values()) == [
        *(answer_bundle(each, definitions) for each in pages),
        STATUS,
    ]
    assert len(page.sent) - before == 3  # the first page, the last, and the status


def test_a_dash_is_no_heading() -> None:
    """A dash below a line is not drawn until it is known to begin a list."""
    page = Page()
    live = Live(page, clock=page.clock)
    for delta in ("Here are the points:\n", "-", " one\n"):
        live.update("", delta)
        page.now += 5
        live.tick("")
        assert "<h" not in page.html
        assert "points:" in page.html
    assert "<li" in page.html


def test_what_stands_above_an_open_formula_stays_drawn() -> None:
    """Half a display formula is shown as it is written, and what is above it as before."""
    page = Page()
    live = Live(page, clock=page.clock)
    for delta in ("- **a**:\n  ", "$$\n", "  - x *y", "*\n"):
        live.update("", delta)
        page.now += 5
        live.tick("")
        assert "<strong>a</strong>:" in page.html
        assert "<em>" not in page.html
    assert "- x *y*" in page.html


def test_thinking_that_comes_as_text_is_folded_while_it_grows() -> None:
    """It grows under its name; of a long one the end is drawn, and never as the answer."""
    page = Page()
    live = stream(page, "<think>\n" + "word word\n\n" * 2_000)
    shown = page.html
    assert "<details><summary>Thinking, written as text</summary>" in shown
    assert "&lt;think" not in shown
    assert "<p" not in shown
    check_rate(page)
    live.finish(STATUS)


def test_thinking_is_open_while_it_grows_then_folds() -> None:
    """The box is open with a title, and its last write closes it, with the whole text."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("step one", "")
    assert " open><summary>Thinking…" in page.html
    live.thinking_done("Thinking (2.0 s)")
    assert "<summary>Thinking (2.0 s)</summary>" in page.html
    assert " open>" not in page.html
    live.update("", "answer")
    page.now = 9
    live.tick("")
    assert [slot for slot, _ in page.shown.items()] == ["part-1", "part-2"]


def test_hidden_thinking_is_in_no_bundle() -> None:
    """With hide_thinking there is a line while it thinks, then its title, and never the text."""
    page = Page()
    live = Live(page, clock=page.clock, hide_thinking=True)
    for _ in range(20):
        live.update("secret ", "")
        page.now += 0.3
        live.tick("")
        assert "secret" not in json.dumps(page.shown)
    assert "Thinking…" in page.html
    assert len(page.shown) == 2
    assert len(page.sent) <= 5
    live.thinking_done("Thinking (6.0 s)")
    live.finish(STATUS)
    assert "secret" not in json.dumps(page.shown)
    assert "Thinking (6.0\u00a0s)" in page.html


@settings(max_examples=20)
@given(STEPS)
def test_what_is_saved_meanwhile_says_so(steps: list[tuple[str, int, float]]) -> None:
    """Whenever a page is saved, its last display says that the answer goes on; the end takes it
    away."""
    page = Page()
    live = Live(page, clock=page.clock)
    for kind, size, pause in steps:
        if kind in ("text", "thinking"):
            words = "word " * (size % 300)
            live.update(*((words, "") if kind == "thinking" else ("", words)))
        else:
            live.tick("waiting, 3 s")
        page.now += pause
        if page.shown:
            *others, last = page.shown.values()
            assert UNFINISHED in str(last["text/html"])
            assert UNFINISHED in str(last["text/plain"])
            assert UNFINISHED not in json.dumps(others)
    live.finish(STATUS)
    assert UNFINISHED not in json.dumps(page.shown)


def test_live_reader_never_sees_it() -> None:
    """While updates come, it is written again before the page would show it."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("Hm", "")
    for tenth in range(600):
        page.now = tenth / 10
        live.update("hm ", "")
        live.tick("")
        assert page.now - page.wrote["part-2"] < UNFINISHED_SECONDS
    check_rate(page)


def test_the_waiting_line_gives_way() -> None:
    """The line that tells the time is above nothing, changes once a second, and is replaced."""
    page = Page()
    live = Live(page, clock=page.clock)
    for tenth in range(50):
        page.now = tenth / 10
        live.tick(f"{page.now:.1f} s")
    assert len(page.sent) == 5
    assert "4.0 s" in page.html
    live.update("hm", "")
    assert "4.0 s" not in str(page.shown["part-1"])
    live.thinking_done("Thinking (1 s)")
    live.update("", "Blue.")
    page.now = 9
    live.tick("")
    assert "4.0 s" not in page.html
    live.finish(STATUS)
    assert len(page.shown) == 3


def test_one_delta_of_everything_is_drawn() -> None:
    """A reply that comes as one delta, as from a proxy, ends in the same form."""
    page = Page()
    live = Live(page, clock=page.clock)
    live.update("thought", document(60_000))
    live.thinking_done("Thinking (0.1 s)")
    live.finish(STATUS)
    due = [thinking_bundle("thought", "Thinking (0.1 s)")]
    due += map(answer_bundle, answer_pages(document(60_000)))
    assert list(page.shown.values()) == [*due, STATUS]


def test_a_headless_run_shows_each_part_once() -> None:
    """Final creates thinking, pages and status in order and never updates a display."""
    page = Page()
    final = Final(page)
    for word in ("Hm ", "so"):
        final.update(word, "")
        final.tick("1 s")
    final.thinking_done("Thinking (0.2 s)")
    final.update("", document(20_000))
    assert page.sent == []
    final.finish(STATUS)
    due = [thinking_bundle("Hm so", "Thinking (0.2 s)")]
    due += map(answer_bundle, answer_pages(document(20_000)))
    assert list(page.shown.values()) == [*due, STATUS]
    assert len(page.sent) == len(page.shown)


def test_calls_stay_while_they_are_made() -> None:
    """Calls are drawn at once and stay, however long they take; the answer goes on below them."""
    pages = [Page(), Page()]
    views = iter(pages)
    drawn = Steps(lambda: _live(next(views)), is_live=True)
    call, done = map(_bundle, ("look() …", "look() → blue"))
    drawn.update("", "Let me look.")
    drawn.calling(call, "calling look()")
    shown = dict(pages[0].shown)
    for second in range(1, 9):
        pages[0].now = second
        drawn.tick(f"waiting, {second} s")
    assert pages[0].shown == shown
    assert [each["text/plain"] for each in shown.values()] == ["Let me look.", "look() …"]

    drawn.called(done)
    assert [each["text/plain"] for each in pages[0].shown.values()] == [
        "Let me look.",
        "look() → blue",
    ]
    drawn.tick("waiting, 1 s")
    drawn.update("", "It is blue.")
    drawn.finish(STATUS)
    assert [each["text/plain"] for each in pages[1].shown.values()] == [
        "It is blue.",
        STATUS["text/plain"],
    ]


def _bundle(text: str) -> Bundle:
    return {"text/html": text, "text/plain": text}


def _live(page: Page) -> Live:
    return Live(page, clock=page.clock)


def test_headless_calls_are_drawn_once() -> None:
    """Where nobody watches, calls are drawn when they have their results."""
    page = Page()
    pages = iter([page, Page()])
    drawn = Steps(lambda: Final(next(pages)), is_live=False)
    drawn.update("", "Let me look.")
    drawn.calling(_bundle("…"), "calling look()")
    assert page.shown == {}
    drawn.called(_bundle("blue"))
    assert [each["text/plain"] for each in page.shown.values()] == ["Let me look.", "blue"]
