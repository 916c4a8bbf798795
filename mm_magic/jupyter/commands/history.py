"""`%minimax history`, `show`, `reset`, `forget`, `restore`: what the conversation remembers."""

from collections.abc import Sequence

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.number_ranges import in_words, ranges
from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.commands.history_table import COLUMNS, history_rows, next_turn
from mm_magic.jupyter.views.finished import draw_again, show
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Prepared
from mm_magic.wording import counted


class Remember:
    """The commands by name; `words` are what follows the name."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self._shell = shell
        self._session = session

    def history(self, words: Sequence[str]) -> None:
        """`%minimax history [NAME]`: the turns as a table, and what would be sent."""
        from mm_magic.rendering.tables import table_bundle

        conversation = self._named(_at_most_one("history", words))
        next_one = next_turn(self._session, conversation)
        rows = history_rows(conversation, next_one)
        notes = [_summary(conversation, next_one)]
        others = [name for name in self._session.conversations if name != conversation.name]
        if others:
            notes.append(f"Other conversations: {', '.join(others)}")
        show(self._shell, table_bundle(COLUMNS, rows, notes))

    def show(self, words: Sequence[str]) -> None:
        """`%minimax show [N]`: draw a turn again; without N the last one."""
        word = _at_most_one("show", words)
        turn = self._session.last_turn if word is None else self._in_file(word) or self.turn(word)
        if turn is None:
            raise UsageError("there is no turn yet")
        hide = self._session.options.hide_thinking
        draw_again(self._shell, turn, self._session.state_of(turn), hide_thinking=hide)

    def reset(self, words: Sequence[str]) -> None:
        """`%minimax reset [NAME]`: forget all turns of a conversation."""
        name = self._named(_at_most_one("reset", words)).name
        self._say_forgotten(name, self._session.forget(name))

    def forget(self, words: Sequence[str]) -> None:
        """`%minimax forget [N]`: forget a turn; without N the last one."""
        word = _at_most_one("forget", words)
        conversation = self._named(None)
        if word is None and not conversation.turns:
            raise UsageError(f"conversation {conversation.name} has no turns")
        turn = conversation.turns[-1] if word is None else self.turn(word)
        self._say_forgotten(conversation.name, self._session.forget(conversation.name, turn.number))

    def restore(self, words: Sequence[str]) -> None:
        """`%minimax restore [FILE or N]`: send again what is not sent now."""
        word = _at_most_one("restore", words)
        if word is None or not word.isdecimal():
            from mm_magic.jupyter.resume import restore

            restore(self._shell, self._session, word)
            return
        turn = self.turn(word)
        conversation = self._named(None)
        if not self._session.bring_back(conversation.name, turn.number):
            raise UsageError(f"turn {turn.number} is not hidden: it is sent")
        self._mark(conversation, f"Turn {turn.number} is sent again, in its place.")

    def _in_file(self, number: str) -> Turn | None:
        """The turn with this number in the notebook's file, if only that has it."""
        from mm_magic.jupyter.resume import find_turn

        if not number.isdecimal() or self._named(None).numbered(int(number)):
            return None
        return find_turn(self._shell, self._session, int(number))

    def turn(self, number: str) -> Turn:
        """The turn with this number in the current conversation. Raises UsageError."""
        conversation = self._named(None)
        turn = conversation.numbered(int(number)) if number.isdecimal() else None
        if turn is None:
            known = in_words(ranges(each.number for each in conversation.turns)) or "none"
            raise UsageError(
                f"conversation {conversation.name} has no turn {number!r}; its turns: {known}"
            )
        return turn

    def _named(self, name: str | None) -> Conversation:
        """The conversation of this name, or the current one. It may be empty."""
        wanted = name or self._session.options.conversation
        found = self._session.conversations.get(wanted)
        if found is None and name is not None:
            known = ", ".join(self._session.conversations) or "none yet"
            raise UsageError(f"there is no conversation {name!r}; there are: {known}")
        return found or Conversation(wanted)

    def _say_forgotten(self, name: str, gone: Sequence[Turn]) -> None:
        if not gone:
            raise UsageError(f"conversation {name} has no turns")
        numbers = in_words(ranges(turn.number for turn in gone))
        turns = "turn" if len(gone) == 1 else "turns"
        self._mark(
            self._session.conversation(name),
            f"Conversation {name}: {turns} {numbers} forgotten. The page keeps the answers.",
        )

    def _mark(self, conversation: Conversation, sentence: str) -> None:
        """Say what changed, and leave it in the file, which else would bring it back."""
        from mm_magic.conversation.saved_turn import record_json
        from mm_magic.rendering.bundles import TURN_MIME, line_bundle

        record = record_json([], [(conversation.name, conversation.state)])
        show(self._shell, {**line_bundle(sentence), TURN_MIME: record})


def _summary(conversation: Conversation, next_one: Prepared) -> str:
    if not conversation.turns:
        return f"Conversation {conversation.name} has no turns."
    sent = next_one.history.sent
    turns = counted(sent, "turn")
    return f"Conversation {conversation.name}: a new cell sends {turns} before its prompt."


def _at_most_one(command: str, words: Sequence[str]) -> str | None:
    if len(words) > 1:
        raise UsageError(
            f"{command} takes one word, got {len(words)}",
            next_steps=("A name or a path with spaces goes in double quotes.",),
        )
    return words[0] if words else None
