"""The cells that run: what begins with one, and what is left when it has ended."""

from collections.abc import Iterable

from mm_magic.session.cell_run import CellEnd, CellRun, running
from mm_magic.session.conversations import Conversations
from mm_magic.session.told import Told
from mm_magic.session.watchers import Watchers


class Cells:
    """The cells of one kernel. `latest` is the one that began last; `ids` are of all that ran."""

    def __init__(self, conversations: Conversations, told: Told, watchers: Watchers) -> None:
        self._conversations = conversations
        self._told = told
        self._watchers = watchers
        self.latest = CellRun()
        self.ids: set[str] = set()

    @property
    def here(self) -> CellRun:
        """The cell whose code runs here; a thread that knows none counts to the latest cell."""
        here = running.get()
        return here if here is not None and here.owner is self else self.latest

    def begin(
        self,
        cell_id: str | None,
        label: str = "",
        deleted: Iterable[str] = (),
        *,
        is_watched: bool = False,
    ) -> None:
        """A cell begins to run; None where the front end does not tell which.

        The turns of the cells in `deleted` are hidden: kept in their places and not sent.
        """
        if cell_id is not None:
            self.ids.add(cell_id)
        self.latest = CellRun(self, cell_id, label, is_watched=is_watched)
        running.set(self.latest)
        gone = set(deleted) - {cell_id}
        hidden, unpicked = self._conversations.hide(gone), self._conversations.unpick(gone)
        if hidden or unpicked:
            self._told.deleted(hidden, unpicked)
            self._watchers.tell()

    def end(self, *, succeeded: bool) -> CellEnd:
        """The running cell has ended. One that ended well has no turns but those of this run."""
        cell, conversations = self.latest, self._conversations
        with conversations.changing:
            if cell.cell_id and succeeded and not cell.only_shows:
                conversations.remove_beyond(cell.cell_id, cell.begun, cell.made)
                conversations.drop_picks_beyond(cell.cell_id, cell.picks_begun)
            turns = conversations.turns()
            undrawn = map(conversations.now, cell.undrawn)
            picks = conversations.picks()
        made = {turn.key for turn in cell.made}
        kept = [(there, pick) for there, pick in picks if pick.is_of(cell.cell_id)]
        return CellEnd(
            undrawn=[turn for turn in undrawn if turn in turns],
            kept=[turn for turn in turns if turn.is_of(cell.cell_id) and turn.key not in made],
            kept_picks=[(there, pick) for there, pick in kept if pick.key not in cell.picked],
        )
