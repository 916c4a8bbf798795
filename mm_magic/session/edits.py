"""Changes conversations as commands say: `forget`, `fork`, `pick` and `restore N --version K`."""

import time
from dataclasses import dataclass

from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.session.cells import Cells
from mm_magic.session.defaults import Defaults
from mm_magic.session.fork import Forked, fork
from mm_magic.session.latest import Latest
from mm_magic.session.picking import check_answer, compare_of
from mm_magic.session.requests import Requests
from mm_magic.session.reusing import save_again
from mm_magic.session.running import Running
from mm_magic.session.watchers import Watchers


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Edits:
    """Edits what was asked before. Each raises UsageError while a turn runs in the conversation."""

    cells: Cells
    requests: Requests
    running: Running
    latest: Latest
    defaults: Defaults
    watchers: Watchers

    def forget(self, name: str, number: int | None = None) -> list[Turn]:
        """Drop a turn of a conversation, or all of them; return what was dropped."""
        self.running.check_idle(name)
        gone = self.requests.conversations.forget(name, number)
        self.watchers.tell()
        return gone

    def fork(self, name: str, until: int | None = None) -> Forked:
        """Begin conversation `name` with copies of the current one's turns, up to a number.

        They belong to the running cell. Raises UsageError.
        """
        self.running.check_idle(name)
        cell, origin = self.cells.here, self.defaults.options.conversation
        forked = fork(self.requests.conversations, origin, name, until, cell)
        cell.made += forked.copies
        self.latest.commit = time.time()
        self.watchers.tell()
        return forked

    def pick(self, answer: int, *, is_drawn: bool = False) -> tuple[Turn, list[int]]:
        """Let the running cell choose an answer of a turn that has several.

        Returns the turn, and the numbers of the stale turns if this made one so. Raises UsageError
        where there is no such answer.
        """
        cell, conversations = self.cells.here, self.requests.conversations
        key = cell.take_pick_key()
        with conversations.changing:
            turn = self.compare_to_pick(key)
            self.running.check_idle(str(turn.conversation))
            check_answer(turn, answer)
            placed = conversations.pick(key, turn, answer)
            self.latest.follow(turn, placed[0])
        if key is not None and is_drawn:
            cell.picked.add(key)
        self.watchers.tell()
        return placed

    def compare_to_pick(self, key: TurnKey | None) -> Turn:
        """The turn whose answers the pick with this key chooses from. Raises UsageError."""
        current = self.defaults.options.conversation
        return compare_of(self.requests.conversations, key, self.latest.compare, current)

    def restore_version(
        self, name: str, number: int, version: int
    ) -> tuple[Turn, list[int]] | None:
        """Bring a former answer of a turn back; see `Conversations.restore_version`."""
        self.running.check_idle(name)
        requests = self.requests
        found = requests.conversations.restore_version(name, number, version)
        if found is not None:
            self.latest.made = turn = found[0]
            save_again(requests.saved, requests.recordings.samples, requests.conversations, turn)
            self.watchers.tell()
        return found
