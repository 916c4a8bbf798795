"""What grows while an answer comes, as it can be drawn: its thinking, and its text."""

from collections.abc import Iterator

from mm_magic.rendering.blocks import SOFT_LIMIT, Blocks, Piece
from mm_magic.rendering.bundles import Bundle, folded_thinking, growing_thinking, line_bundle
from mm_magic.rendering.markdown import Definitions, as_text, fragment
from mm_magic.rendering.unfinished import settled

OPEN_TITLE = "Thinking…"


class Thinking:
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

    def last(self, limit: int) -> str:
        """The end of it, which is all of it if that is short; "" where it is hidden."""
        return "" if self._is_hidden else steady_end(self._end, limit)

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


class GrowingText:
    """The text of an answer that grows: its finished pieces, and the rest as it can be drawn.

    With `limit` (in characters) a longer piece is cut to its end, so that what is drawn again and
    again is bounded.
    """

    def __init__(self, limit: int = SOFT_LIMIT) -> None:
        self._limit = limit
        self._blocks = Blocks(limit=limit)
        self.definitions = Definitions(is_complete=False)
        self.has_text = False

    def push(self, delta: str) -> Iterator[Piece]:
        """Take what came; yield the pieces that it finished."""
        self.has_text = self.has_text or bool(delta.strip())
        for piece in self._blocks.push(delta):
            self.definitions.add(piece.drawn)
            yield piece

    @property
    def rest(self) -> str:
        """What stands behind the last piece."""
        return self._blocks.rest

    def html(self, piece: Piece) -> str:
        """A finished piece as safe HTML."""
        return self._drawn(piece.drawn)

    def rest_html(self) -> str:
        """What stands behind the last piece, as safe HTML."""
        rest = self._blocks.drawn_rest
        if tag := self._blocks.open_tag:
            return self._drawn(f"{tag}{self._end(rest)}" if is_long(rest, self._limit) else rest)
        formula = self._blocks.open_formula
        # In half a formula, a line that begins with a minus would be drawn as a list.
        text = self._end(rest[: len(rest) - len(formula)])
        drawn = self._drawn(settled(text, is_code=self._blocks.is_in_fence))
        return drawn + (as_text(self._end(formula)) if formula else "")

    def finish(self) -> str:
        """No more comes: return what stands behind the last piece."""
        self.definitions.add(self._blocks.drawn_rest)
        self.definitions.is_complete = True
        return self.rest

    def _drawn(self, block: str) -> str:
        return fragment(self._end(block), self.definitions, typeset=False)

    def _end(self, text: str) -> str:
        return steady_end(text, self._limit)


def steady_end(text: str, limit: int) -> str:
    """The end of a growing text: of a long one between `limit` and half as many more characters.

    It seldom begins at another place, since all its lines break anew then.
    """
    step = limit // 2
    return f"…{text[(len(text) - limit) // step * step :]}" if is_long(text, limit) else text


def is_long(text: str, limit: int) -> bool:
    """Whether it is cut to its end."""
    return len(text) - limit >= limit // 2
