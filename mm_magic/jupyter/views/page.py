"""Draws one growing reply in a front end: live, or all at once at the end.

Sending a growing text again and again is quadratic. So the unfinished end (the tail) is drawn
often, what is finished (the body) rarely, and a body that fills a page is never drawn again. Both
messages and bytes are budgeted. Nothing here imports IPython.
"""

from __future__ import annotations

import json
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Protocol

from mm_magic.rendering.blocks import Blocks
from mm_magic.rendering.bundles import (
    UNFINISHED_SECONDS,
    AnswerPage,
    Bundle,
    answer_bundle,
    finished_bundles,
    folded_thinking,
    growing_body,
    growing_end,
    growing_thinking,
    line_bundle,
)
from mm_magic.rendering.markdown import (
    Definitions,
    as_text,
    formulas_in,
    fragment,
    with_typeset,
)
from mm_magic.rendering.unfinished import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERVAL = 1 / 6
"""Seconds between two drawings."""
PER_MESSAGE = 1 / 8
"""Seconds that each message takes from the budget: JupyterLab queues updates, it drops none."""
BURST = 20_000
BYTES_PER_CHARACTER = 45
BYTES_PER_SECOND = 2_000
"""What live drawing may send: a burst, so much a character that came, so much a second."""

SOFT_LIMIT = 4_000
"""Characters after which an unfinished code block, list or table is cut for drawing."""
SMALL_BODY = 2_000
WAITING_CHARACTERS = 400
"""A body of so few bytes is cheap, so it is drawn once so many characters wait for it."""
PER_FORMULA = 900
"""A formula in a body costs a page as much as so many bytes: 4 ms, each time it is drawn."""
LARGEST_BODY = 48_000
"""Characters of HTML in a growing body. More is cut at its beginning, until the page is full."""
OPEN_TITLE = "Thinking…"


class Screen(Protocol):
    """Where bundles go. A slot is a display; slots come down the page in the order of creation."""

    def show(self, slot: str, bundle: Bundle, *, update: bool) -> None:
        """Create the display `slot`, or with `update` replace what it shows."""


class Live:
    """One reply in a front end, drawn as it grows.

    Displays can't be inserted, only added below, so each part takes over the last display, which
    until then showed the line or the tail that waited there, and a new last one comes below it:
    thinking, pages of the answer, and in the end the status. A page that is saved meanwhile says at
    its end that it is not the whole answer.
    """

    def __init__(
        self, screen: Screen, *, clock: Callable[[], float], hide_thinking: bool = False
    ) -> None:
        self._screen = screen
        self._clock = clock
        self._thinking = _Thinking(hide_thinking)
        self._answer = _Answer()
        self._last = 1  # the slot below all others
        self._made: set[int] = set()
        self._thinking_slot = 0  # 0 is none
        self._body_slot = 0
        self._pages: dict[int, tuple[str, Bundle]] = {}  # by slot: those with links, as written
        self._waiting = ""
        self._waiting_since = float("-inf")
        self._tail_is_stale = False
        self._tail_time = float("inf")  # when it was written; not yet
        self._due = float("-inf")
        self._messages = 0
        self._credit = float(BURST)
        self._credit_time = clock()

    @property
    def is_blank(self) -> bool:
        """Whether nothing was drawn yet."""
        return not self._made

    def update(self, thinking: str, text: str) -> None:
        """Take what just came, and draw it now if the budget allows; the first of each does."""
        is_first = any([self._thinking.push(thinking), self._answer.push(text)])
        self._credit += (len(thinking) + len(text)) * BYTES_PER_CHARACTER
        self._tail_is_stale |= bool(text)
        self._draw(at_once=is_first)

    def tick(self, waiting: str) -> None:
        """Draw what waits if it is due. `waiting` is a sentence for the status place, or empty."""
        now = self._clock()
        if waiting != self._waiting and (not waiting or now - self._waiting_since >= 1):
            self._waiting, self._waiting_since = waiting, now
            self._tail_is_stale = True
        # What is shown where no update comes is kept away by one.
        self._tail_is_stale |= now - self._tail_time > UNFINISHED_SECONDS / 2
        self._draw()

    def thinking_done(self, title: str) -> None:
        """Fold the thinking under `title`: at once the first time, and later when it is due."""
        if self._thinking.close(title):
            self._fold()
            self._spend()

    def finish(self, status: Bundle) -> None:
        """Write the final form of each part once; the last display becomes `status`."""
        if self._thinking.is_stale:  # it went on after it was folded
            self._fold()
        pages = self._answer.finish()
        self._complete_pages()
        for page in pages:
            self._write_page(page)
        self._write(self._last, status)

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        self._credit += (now - self._credit_time) * BYTES_PER_SECOND
        self._credit = min(self._credit, BURST * 10)
        self._credit_time = now
        if not at_once and (now < self._due or self._credit < 0):
            return
        if self._is_thinking_due():
            self._thinking_slot = self._thinking_slot or self._take_last()
            self._write_growing(self._thinking_slot, self._thinking.growing())
        elif self._thinking.is_fold_due():
            self._fold()
        if self._tail_is_stale:
            self._draw_answer()
        self._spend()

    def _is_thinking_due(self) -> bool:
        is_open = not self._thinking.title and not (self._thinking_slot and self._answer.has_text)
        return is_open and self._thinking.is_stale

    def _draw_answer(self) -> None:
        if self._answer.full_pages:
            self._write_page(self._answer.full_pages.pop(0))
        # What grows belongs below the pages that still wait, so it waits for them.
        is_next = not self._answer.full_pages
        if is_next and self._answer.is_body_due():
            self._body_slot = self._body_slot or self._take_last()
            self._answer.body_size = self._write_growing(self._body_slot, self._answer.body())
        html = self._answer.tail() if is_next else ""
        bundle = growing_end(html, self._waiting)
        self._answer.tail_sent += self._write_growing(self._last, bundle)
        self._tail_time = self._clock()
        self._tail_is_stale = bool(self._answer.full_pages)

    def _fold(self) -> None:
        self._write(self._thinking_slot, self._thinking.folded())

    def _write_page(self, page: str) -> None:
        bundle = answer_bundle(page, self._answer.definitions)
        slot = self._body_slot or self._take_last()
        self._write(slot, bundle)
        self._body_slot = 0
        if "[" in page:
            self._pages[slot] = page, bundle

    def _complete_pages(self) -> None:
        """Write the pages again whose links or footnotes were defined behind them."""
        definitions = self._answer.definitions
        for slot, (page, bundle) in self._pages.items():
            complete = answer_bundle(page, definitions) if definitions or "[^" in page else bundle
            if complete != bundle:
                self._write(slot, complete)

    def _take_last(self) -> int:
        self._tail_is_stale = True  # what it showed is drawn below it again
        self._last += 1
        return self._last - 1

    def _write(self, slot: int, bundle: Bundle) -> None:
        self._screen.show(f"part-{slot}", bundle, update=slot in self._made)
        self._made.add(slot)
        self._messages += 1

    def _write_growing(self, slot: int, bundle: Bundle) -> int:
        """Write on the budget of bytes, and return how many the bundle takes on the wire.

        Final forms are not on the budget: each is written once, the folded thinking when it has
        doubled, so they are linear by themselves.
        """
        self._write(slot, bundle)
        size = len(json.dumps(bundle, ensure_ascii=False).encode())
        self._credit -= size
        return size

    def _spend(self) -> None:
        if self._messages:
            spent = max(INTERVAL, self._messages * PER_MESSAGE)
            self._due = max(self._due, self._clock()) + spent
            self._messages = 0


class _Thinking:
    """What the model thought: all of it, and the end of it for drawing."""

    def __init__(self, is_hidden: bool) -> None:
        self._is_hidden = is_hidden
        self._parts: list[str] = []
        self._end = ""
        self._is_cut = False
        self._size = 0
        self._folded_size = 0
        self.has_text = False
        self.is_stale = False
        self.title = ""

    def push(self, delta: str) -> bool:
        """Take what came, and return whether it is the first that can be seen."""
        if not delta:
            return False
        self._parts.append(delta)
        self._size += len(delta)
        self._end += delta
        if len(self._end) > 2 * SOFT_LIMIT:
            self._end, self._is_cut = self._end[-SOFT_LIMIT:], True
        is_first = not self.has_text and not delta.isspace()
        self.is_stale |= is_first or (self.has_text and not self._is_hidden)
        self.has_text |= is_first
        return is_first

    def growing(self) -> Bundle:
        self.is_stale = False
        if self._is_hidden:
            return line_bundle(OPEN_TITLE)
        return growing_thinking(f"…{self._end}" if self._is_cut else self._end, OPEN_TITLE)

    def close(self, title: str) -> bool:
        """Take the title of the folded form, and return whether it is the first."""
        if not self.has_text:
            return False
        is_first = not self.title
        self.is_stale |= title != self.title
        self.title = title
        return is_first

    def is_fold_due(self) -> bool:
        """Whether it has doubled since it was folded.

        Each fold writes all of it, and closes the box that somebody may be reading.
        """
        return self.is_stale and 0 < 2 * self._folded_size <= self._size

    def folded(self) -> Bundle:
        self.is_stale, self._folded_size = False, self._size
        return folded_thinking("".join(self._parts), self.title, is_hidden=self._is_hidden)


class _Answer:
    """The answer so far: full pages, and for the page that grows its body and its tail."""

    def __init__(self) -> None:
        self._blocks = Blocks(limit=SOFT_LIMIT)
        self.definitions = Definitions(is_complete=False)
        self.full_pages: list[str] = []
        self.has_text = False
        self._begin_page()

    def _begin_page(self) -> None:
        self._page = AnswerPage()
        self._body: list[str] = []
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._waiting_formulas = 0
        self._formulas = 0  # in the body
        self.body_size = 0
        self.tail_sent = 0

    def push(self, delta: str) -> bool:
        """Take what came, and return whether it is the first that can be seen."""
        for piece in self._blocks.push(delta):
            self.definitions.add(piece.drawn)
            if self._page.add(piece):
                self.full_pages.append(self._page.text)
                self._begin_page()
            else:
                html = self._drawn(piece.drawn)
                self._waiting.append(html)
                self._waiting_characters += len(piece.drawn)
                self._waiting_formulas += formulas_in(html)
        is_first = not self.has_text and bool(delta.strip())
        self.has_text |= is_first
        return is_first

    def is_body_due(self) -> bool:
        due = self.tail_sent + self._waiting_characters  # what waits is sent with either
        cost = self.body_size + PER_FORMULA * (self._formulas + self._waiting_formulas)
        if self._waiting_formulas:  # they are set in the body alone, so it is drawn sooner
            return due > cost / 3
        if self.body_size < SMALL_BODY:
            return self._waiting_characters > WAITING_CHARACTERS
        return bool(self._waiting) and due > cost

    def body(self) -> Bundle:
        """Return the body with all that waited for it, cut to its end if it is too large."""
        self._body += self._waiting
        self._waiting, self._waiting_characters, self.tail_sent = [], 0, 0
        self._formulas, self._waiting_formulas = self._formulas + self._waiting_formulas, 0
        if sum(map(len, self._body)) > LARGEST_BODY:
            self._body = ["<p>…</p>", *_last_blocks(self._body)]
        return growing_body(with_typeset("".join(self._body)))

    def tail(self) -> str:
        if tag := self._blocks.open_tag:
            rest = self._blocks.drawn_rest
            text = rest if len(rest) <= 2 * SOFT_LIMIT else f"{tag}…{rest[-SOFT_LIMIT:]}"
            return "".join([*self._waiting, self._drawn(text)])
        rest, formula = self._blocks.drawn_rest, self._blocks.open_formula
        # In half a formula, a line that begins with a minus would be drawn as a list.
        text = _end(rest[: len(rest) - len(formula)])
        drawn = self._drawn(settled(text, is_code=self._blocks.is_in_fence))
        return "".join([*self._waiting, drawn, as_text(_end(formula)) if formula else ""])

    def _drawn(self, block: str) -> str:
        return fragment(_end(block), self.definitions, typeset=False)

    def finish(self) -> list[str]:
        """Return the pages that have no final form yet."""
        self.definitions.add(self._blocks.drawn_rest)
        self.definitions.is_complete = True
        last = self._page.text + self._blocks.rest
        return [page for page in (*self.full_pages, last) if page.strip()]


def _last_blocks(body: Sequence[str]) -> Sequence[str]:
    """Return the blocks at the end of a body that take half the room at most.

    So the body has to grow before it is cut again. The very last block may take all of the room.
    """
    sizes = accumulate(map(len, reversed(body)))
    count = sum(1 for _ in takewhile(lambda size: size <= LARGEST_BODY // 2, sizes))
    if count:
        return body[-count:]
    return body[-1:] if len(body[-1]) <= LARGEST_BODY else []


def _end(text: str) -> str:
    """The end of a huge block, so that what is drawn again and again is bounded."""
    return text if len(text) <= 2 * SOFT_LIMIT else "…" + text[-SOFT_LIMIT:]


class Final:
    """One reply that is drawn once, at its end: for headless runs, which compare first displays."""

    def __init__(self, screen: Screen, *, hide_thinking: bool = False) -> None:
        self._screen = screen
        self._hide_thinking = hide_thinking
        self._thinking: list[str] = []
        self._text: list[str] = []
        self._title = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing would be drawn but the status."""
        return not any(map(str.strip, [*self._thinking, *self._text]))

    def update(self, thinking: str, text: str) -> None:
        """Keep what came."""
        self._thinking.append(thinking)
        self._text.append(text)

    def tick(self, waiting: str) -> None:
        """Draw nothing: nobody watches."""

    def thinking_done(self, title: str) -> None:
        """Keep the title."""
        self._title = title

    def finish(self, status: Bundle) -> None:
        """Show thinking, pages and `status`, each in a display of its own."""
        thinking, text = "".join(self._thinking), "".join(self._text)
        parts = finished_bundles(thinking, self._title, text, hide_thinking=self._hide_thinking)
        for number, bundle in enumerate([*parts, status], start=1):
            self._screen.show(f"part-{number}", bundle, update=False)
