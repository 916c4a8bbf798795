"""Draws one growing reply in a front end: live, or all at once at the end.

Sending a growing text again and again is quadratic. So the unfinished end (the tail) is drawn
often, what is finished (the body) rarely, and a body that fills a page is never drawn again. Both
messages and bytes are budgeted. Nothing here imports IPython.
"""

from __future__ import annotations

from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from mm_magic.jupyter.views.budget import Budget
from mm_magic.jupyter.views.growing import GrowingText, Thinking
from mm_magic.rendering.bundles import (
    UNFINISHED_SECONDS,
    AnswerPage,
    Bundle,
    answer_bundle,
    finished_bundles,
    growing_body,
    growing_end,
)
from mm_magic.rendering.markdown import with_typeset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mm_magic.jupyter.views.budget import Screen
    from mm_magic.rendering.markdown import Definitions

SMALL_BODY = 2_000
WAITING_CHARACTERS = 400
"""A body of so few bytes is cheap, so it is drawn once so many characters wait for it."""
PER_FORMULA = 900
"""A formula in a body costs a page as much as so many bytes: 3 ms, each time it is drawn."""
EMPTY: Bundle = {"text/html": "", "text/plain": ""}
"""Nothing, in a display that can't be taken away."""
LARGEST_BODY = 48_000
"""Characters of HTML in a growing body. More is cut at its beginning, until the page is full."""


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
        self._thinking = Thinking(hide_thinking)
        self._answer = _Answer()
        self._last = 1  # the slot below all others
        self._made: set[int] = set()
        self._thinking_slot = 0  # 0 is none
        self._body_slot = 0
        self._answer_slots: list[int] = []
        self._pages: dict[int, tuple[str, Bundle]] = {}  # by slot: those with links, as written
        self._draws_at_end = False
        self._waiting = ""
        self._waiting_since = float("-inf")
        self._is_finished = False
        self._tail_is_stale = False
        self._tail_time = float("inf")  # when it was written; not yet
        self._budget = Budget(clock)

    @property
    def is_blank(self) -> bool:
        """Whether nothing was drawn yet."""
        return not self._made

    def draw_at_end(self) -> None:
        """What comes now is all there already: it is drawn once, in its final form."""
        self._draws_at_end = True

    def update(self, thinking: str, text: str) -> None:
        """Take what just came, and draw it now if the budget allows; the first of each does."""
        is_first = any([self._thinking.push(thinking), self._answer.push(text)])
        self._budget.earn(len(thinking) + len(text))
        self._tail_is_stale |= bool(text)
        self._draw(at_once=is_first)

    def end_text(self) -> None:
        """What comes below the text has a display of its own."""

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
            self._budget.spend()

    def finish(self, status: Bundle, value: Bundle | None = None) -> None:
        """Write the final form of each part once; the last display becomes `status`.

        A `value` stands in place of the text. Called again, it writes another `status`.
        """
        if not self._is_finished:
            self._is_finished = True
            self._finish_parts(value)
        self._write(self._last, status)

    def _finish_parts(self, value: Bundle | None) -> None:
        if self._thinking.is_stale:  # it went on after it was folded
            self._fold()
        pages = self._answer.finish()
        if value is None:
            self._complete_pages()
            for page in pages:
                self._write_page(page)
        else:
            first, *rest = self._answer_slots or [self._take_last()]
            for slot, bundle in [(first, value), *((slot, EMPTY) for slot in rest)]:
                self._write(slot, bundle)

    def _draw(self, *, at_once: bool = False) -> None:
        if self._draws_at_end or not (at_once or self._budget.is_due()):
            return
        if self._is_thinking_due():
            self._thinking_slot = self._thinking_slot or self._take_last()
            self._write_growing(self._thinking_slot, self._thinking.growing())
        elif self._thinking.is_fold_due():
            self._fold()
        if self._tail_is_stale:
            self._draw_answer()
        self._budget.spend()

    def _is_thinking_due(self) -> bool:
        is_open = not self._thinking.title and not (self._thinking_slot and self._answer.has_text)
        return is_open and self._thinking.is_stale

    def _draw_answer(self) -> None:
        if self._answer.full_pages:
            self._write_page(self._answer.full_pages.pop(0))
        # What grows belongs below the pages that still wait, so it waits for them.
        is_next = not self._answer.full_pages
        if is_next and self._answer.is_body_due():
            self._body_slot = self._body_slot or self._take_answer_slot()
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
        slot = self._body_slot or self._take_answer_slot()
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

    def _take_answer_slot(self) -> int:
        self._answer_slots.append(self._take_last())
        return self._answer_slots[-1]

    def _take_last(self) -> int:
        self._tail_is_stale = True  # what it showed is drawn below it again
        self._last += 1
        return self._last - 1

    def _write(self, slot: int, bundle: Bundle) -> None:
        self._screen.show(f"part-{slot}", bundle, update=slot in self._made)
        self._made.add(slot)
        self._budget.count()

    def _write_growing(self, slot: int, bundle: Bundle) -> int:
        """Write on the budget of bytes, and return how many the bundle takes on the wire.

        Final forms are not on the budget: each is written once, the folded thinking when it has
        doubled, so they are linear by themselves.
        """
        self._write(slot, bundle)
        return self._budget.charge(bundle)


class _Answer:
    """The answer so far: full pages, and for the page that grows its body and its tail."""

    def __init__(self) -> None:
        self._growing = GrowingText()
        self.full_pages: list[str] = []
        self._begin_page()

    @property
    def definitions(self) -> Definitions:
        return self._growing.definitions

    @property
    def has_text(self) -> bool:
        return self._growing.has_text

    def _begin_page(self) -> None:
        self._page = AnswerPage()
        self._body: list[str] = []
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._formulas = 0.0  # of the page that are in the body, by their weight
        self.body_size = 0
        self.tail_sent = 0

    def push(self, delta: str) -> bool:
        """Take what came, and return whether it is the first that can be seen."""
        had_text = self.has_text
        for piece in self._growing.push(delta):
            if self._page.add(piece):
                self.full_pages.append(self._page.text)
                self._begin_page()
            else:
                self._waiting.append(self._growing.html(piece))
                self._waiting_characters += len(piece.drawn)
        return self.has_text and not had_text

    def is_body_due(self) -> bool:
        due = self.tail_sent + self._waiting_characters  # what waits is sent with either
        cost = self.body_size + PER_FORMULA * self._page.formulas
        if self._page.formulas > self._formulas:  # set in the body alone, so it is drawn sooner
            return due > cost / 3
        if self.body_size < SMALL_BODY:
            return self._waiting_characters > WAITING_CHARACTERS
        return bool(self._waiting) and due > cost

    def body(self) -> Bundle:
        """Return the body with all that waited for it, cut to its end if it is too large."""
        self._body += self._waiting
        self._waiting, self._waiting_characters, self.tail_sent = [], 0, 0
        self._formulas = self._page.formulas
        if sum(map(len, self._body)) > LARGEST_BODY:
            self._body = ["<p>…</p>", *_last_blocks(self._body)]
        return growing_body(with_typeset("".join(self._body)))

    def tail(self) -> str:
        return "".join([*self._waiting, self._growing.rest_html()])

    def finish(self) -> list[str]:
        """Return the pages that have no final form yet."""
        last = self._page.text + self._growing.finish()
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

    def draw_at_end(self) -> None:
        """It always does."""

    def update(self, thinking: str, text: str) -> None:
        """Keep what came."""
        self._thinking.append(thinking)
        self._text.append(text)

    def end_text(self) -> None:
        """Nothing is drawn before the end."""

    def tick(self, waiting: str) -> None:
        """Draw nothing: nobody watches."""

    def thinking_done(self, title: str) -> None:
        """Keep the title."""
        self._title = title

    def finish(self, status: Bundle, value: Bundle | None = None) -> None:
        """Show thinking, pages and `status`, each in a display of its own.

        A `value` stands in place of the text.
        """
        thinking, text = "".join(self._thinking), "".join(self._text) if value is None else ""
        parts = finished_bundles(thinking, self._title, text, hide_thinking=self._hide_thinking)
        for number, bundle in enumerate([*parts, *([value] if value else []), status], start=1):
            self._screen.show(f"part-{number}", bundle, update=False)
