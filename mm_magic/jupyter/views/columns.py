"""Draws several growing answers in a front end, beside one another.

From top to bottom: a table, a display for the folded thinking of each, and one display with the end
of each answer in a box of a fixed height, so that nothing below it moves. That one is drawn often,
the table once a second, and each thinking once, when it ends: an update closes what the reader
opened in its display. In the end all of it is drawn in full.
"""

from collections import deque
from collections.abc import Callable, Sequence

from mm_magic.jupyter.views.budget import Budget, Screen
from mm_magic.jupyter.views.growing import GrowingText, Thinking, is_long
from mm_magic.rendering.bundles import UNFINISHED_SECONDS, Bundle, dim_paragraphs, line_bundle
from mm_magic.rendering.columns import GrowingColumn, growing_columns, growing_table
from mm_magic.rendering.comparison import has_thinking_boxes, thinking_line

TABLE_INTERVAL = 1.0
"""Seconds between two drawings of the table, or of the line before it, at least."""
SHOWN = 1_200
"""Characters of all answers together that are drawn again and again, or somewhat more."""
BYTES_PER_CHARACTER = 4
BYTES_PER_SECOND = 4_000
"""What is drawn costs as much when little has come, so the characters earn less than elsewhere."""
MOST_COLUMNS = 12
"""Of more answers than that the table alone is drawn while they grow."""
_FOLDED_AT_ONCE = 2  # thinkings that one drawing folds, so that a second has few messages


class Columns:
    """Several answers under a cell; `labels` stand above them, `table` makes the table anew."""

    def __init__(
        self,
        screen: Screen,
        labels: Sequence[str],
        *,
        clock: Callable[[], float],
        table: Callable[[], Bundle],
        hide_thinking: bool = False,
    ) -> None:
        self._screen = screen
        self._clock = clock
        self._table = table
        limit = SHOWN // len(labels)
        self._columns = [
            _Column(number, label, limit, hides_thinking=hide_thinking)
            for number, label in enumerate(labels, start=1)
        ]
        self._budget = Budget(clock, per_character=BYTES_PER_CHARACTER, per_second=BYTES_PER_SECOND)
        self._shown: dict[int, Bundle] = {}  # by slot
        self._waiting = ""
        self._has_begun = False
        self._has_boxes = False
        self._table_time = float("-inf")
        self._columns_time = float("-inf")
        self._is_stale = False

    @property
    def is_blank(self) -> bool:
        """Whether nothing was drawn yet."""
        return not self._shown

    def update(self, number: int, thinking: str, text: str) -> None:
        """Take what just came of an answer; the very first is drawn at once."""
        self._columns[number - 1].push(thinking, text)
        self._budget.earn(len(thinking) + len(text))
        is_first = not self._has_begun and not (thinking + text).isspace()
        self._has_begun |= is_first
        self._is_stale = True
        self._draw(at_once=is_first)

    def thinking_done(self, number: int, title: str) -> None:
        """Fold the thinking of an answer under `title` when it is due."""
        self._columns[number - 1].thinking.close(title)

    def failed(self, number: int, card: Bundle) -> None:
        """Nothing more comes of an answer: its card stands below what came."""
        self._columns[number - 1].card = str(card["text/html"])
        self._is_stale = True

    def tick(self, waiting: str) -> None:
        """Draw what waits if it is due. `waiting` says how many have answered."""
        now, is_other = self._clock(), waiting != self._waiting
        if self._has_begun:
            # What is shown where no update comes is kept away by one.
            self._is_stale |= now - self._columns_time > UNFINISHED_SECONDS / 2
            self._waiting = waiting
            self._draw()
        elif is_other and now - self._table_time >= TABLE_INTERVAL:
            self._waiting, self._table_time = waiting, now
            self._write(1, line_bundle(waiting))

    def finish(self, bundles: Sequence[Bundle]) -> None:
        """Show each bundle in its display: table, thinkings, answers, status."""
        last = dict(enumerate(bundles, start=1))
        # From below: the table's styles hold the columns' form until they have their last one.
        old = [slot for slot in reversed(last) if self._shown.get(slot, last[slot]) != last[slot]]
        for slot in [*old, *(slot for slot in last if slot not in self._shown)]:
            self._write(slot, last[slot])

    def _draw(self, *, at_once: bool = False) -> None:
        if not self._has_begun or not (self._budget.is_due() or at_once):
            return
        if at_once or self._clock() - self._table_time >= TABLE_INTERVAL:
            self._draw_table()
        if has_thinking_boxes(len(self._columns)):
            self._draw_thinking()
        if self._is_stale:
            self._draw_columns()
        self._budget.spend()

    def _draw_table(self) -> None:
        self._table_time = self._clock()
        table = growing_table(self._table())
        if self._shown.get(1) != table:
            self._write(1, table)
            self._budget.charge(table)

    def _draw_thinking(self) -> None:
        due = [each for each in self._columns if each.is_box_due()][:_FOLDED_AT_ONCE]
        if not self._has_boxes and any(each.thinking.has_text for each in self._columns):
            self._has_boxes = self._is_stale = True  # the first takes the display of the columns
            due = self._columns
        if self._has_boxes:
            for each in due:
                self._write(1 + each.number, each.box())

    def _draw_columns(self) -> None:
        columns = self._columns if len(self._columns) <= MOST_COLUMNS else []
        bundle = growing_columns([each.growing() for each in columns], self._waiting)
        self._write(2 + self._has_boxes * len(columns), bundle)
        self._budget.charge(bundle)
        self._is_stale, self._columns_time = False, self._clock()

    def _write(self, slot: int, bundle: Bundle) -> None:
        self._screen.show(f"part-{slot}", bundle, update=slot in self._shown)
        self._shown[slot] = bundle
        self._budget.count()


class _Column:
    """An answer so far: its thinking, and of its text the end."""

    def __init__(self, number: int, label: str, limit: int, *, hides_thinking: bool) -> None:
        self.number = number
        self.thinking = Thinking(hides_thinking)
        self.card = ""  # safe HTML
        self._label = label
        self._limit = limit
        self._text = GrowingText(limit)
        self._pieces: deque[tuple[str, int]] = deque()  # safe HTML, and the characters of its text
        self._is_cut = False
        self._box_state = "growing"

    def push(self, thinking: str, text: str) -> None:
        self.thinking.push(thinking)
        for piece in self._text.push(text):
            self._pieces.append((self._text.html(piece), len(piece.text)))
        while self._pieces and self._size_without_first() >= self._limit:
            self._pieces.popleft()
            self._is_cut = True

    def _size_without_first(self) -> int:
        return len(self._text.rest) + sum(size for _, size in self._pieces) - self._pieces[0][1]

    def is_box_due(self) -> bool:
        """Whether its thinking was folded, or will not begin, since its box was drawn."""
        return self._box_state != self._state()

    def _state(self) -> str:
        if self.thinking.title:
            return "folded"
        is_over = not self.thinking.has_text and (self._text.has_text or self.card)
        return "none" if is_over else "growing"

    def box(self) -> Bundle:
        """The folded thinking, or a line in its place."""
        self._box_state = self._state()
        if self._box_state == "folded":
            return self.thinking.folded()
        return thinking_line(self.number, is_over=self._box_state == "none")

    def growing(self) -> GrowingColumn:
        html, is_all = self._growing_text() if self._text.has_text else self._growing_thinking()
        return GrowingColumn(self._label, html + self.card, is_all=is_all)

    def _growing_text(self) -> tuple[str, bool]:
        html = "".join(html for html, _ in self._pieces) + self._text.rest_html()
        return html, not self._is_cut and not is_long(self._text.rest, self._limit)

    def _growing_thinking(self) -> tuple[str, bool]:
        text = self.thinking.last(self._limit)
        return dim_paragraphs(text) if text else "", not text.startswith("…")
