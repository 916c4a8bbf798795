"""Which cell makes a turn: one run of a cell, and what it has made so far."""

from collections import Counter
from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import NamedTuple

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.turn import Turn, TurnKey


@dataclass(slots=True, eq=False)
class CellRun:
    """One run of a cell. `owner` is the `Cells` of its session.

    `cell_id` is None where the front end does not tell which. `label` names it for the reader, as
    "[3]". `made` are the turns that came of it, `undrawn` those of them that nobody sees on the
    page: asked from Python. `picked` are the keys of the picks that it shows. `only_shows`: it was
    asked to show something, and keeps its turns. `is_watched`: somebody sees the answer grow.
    `asking` counts what its code asks unseen.
    """

    owner: object = None
    cell_id: str | None = None
    label: str = ""
    made: list[Turn] = field(default_factory=list)
    undrawn: list[Turn] = field(default_factory=list)
    picked: set[TurnKey] = field(default_factory=set)
    only_shows: bool = False
    is_watched: bool = False
    asking: "Asking | None" = None
    _begun: int = 0
    _picks_begun: int = 0
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def begin_ask(self, now: float) -> "Asking":
        """Its code asks something that is not drawn; `now` as `time.monotonic` has it."""
        with self._lock:
            self.asking = self.asking or Asking(now)
            self.asking.begun += 1
        return self.asking

    def end_ask(self) -> None:
        """An answer to that has come, or none comes."""
        with self._lock:
            if self.asking is not None:
                self.asking.ended += 1

    @property
    def begun(self) -> int:
        """How many turns have begun."""
        return self._begun

    def key(self) -> TurnKey | None:
        """The key of the next turn."""
        return TurnKey(self.cell_id, self._begun) if self.cell_id else None

    def take_key(self) -> TurnKey | None:
        """The key of a turn that begins: no other gets it, also where threads begin turns."""
        with self._lock:
            key = self.key()
            self._begun += 1
        return key

    @property
    def picks_begun(self) -> int:
        """How many picks have begun."""
        return self._picks_begun

    def take_pick_key(self) -> TurnKey | None:
        """The key of a pick that begins: the cell, and the place among the picks of this run."""
        with self._lock:
            key = TurnKey(self.cell_id, self._picks_begun) if self.cell_id else None
            self._picks_begun += 1
        return key

    def copy(self) -> "CellRun":
        """One that asks next what this one does, and leaves no trace in it."""
        return replace(self, _asked=self._asked.copy())

    def asker(self, request: str) -> Hashable:
        """Who asks the request with this hash: the cell, and how often this run has asked it.

        The same again when the cell runs again; a cell without an id is a new one each time.
        """
        return self.cell_id or self, self._asked[request]

    def has_asked(self, request: str) -> None:
        """The request with this hash is being sent."""
        with self._lock:
            self._asked[request] += 1


@dataclass(slots=True)
class Asking:
    """How much the code of a cell has asked since the first time, at `since`."""

    since: float
    begun: int = 0
    ended: int = 0

    def in_words(self, now: float) -> str:
        """As "request 3 …, 12 s", or with many at once "12 of 32 answered, 12 s"."""
        what = f"request {self.begun} …"
        if self.begun - self.ended > 1:
            what = f"{self.ended} of {self.begun} answered"
        return f"{what}, {int(now - self.since)} s"


class CellEnd(NamedTuple):
    """What the page does not show when a cell has ended, so that its file would not hold it.

    `undrawn` are turns that its code asked; `kept` those that it had before and still has, and
    `kept_picks` what it picked before.
    """

    undrawn: list[Turn]
    kept: list[Turn]
    kept_picks: list[tuple[Conversation, Pick]]


running: ContextVar[CellRun | None] = ContextVar("mm_magic_cell", default=None)
"""The cell whose code runs here: a task that outlives its cell still makes turns of that cell."""
