"""What `%%minimax` and `%minimax` do."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from mm_magic.conversation.replies import Replies
from mm_magic.conversation.reply import Reply
from mm_magic.errors import Stopped, UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.arguments import HELP, Arguments, parse, words_of
from mm_magic.jupyter.commands import table
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.state import show_state
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.jupyter.one_line import unfolded
from mm_magic.jupyter.option_words import right_options
from mm_magic.jupyter.reply_display import ReplyFormatter
from mm_magic.jupyter.views.finished import show_request
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.session.options import UNSET
from mm_magic.session.sync import run_to_end
from mm_magic.wording import plain, quoted, told

if TYPE_CHECKING:
    from mm_magic.jupyter.cell_turn import DrawnTurn
    from mm_magic.jupyter.compare_turn import CompareTurn
    from mm_magic.jupyter.rows_turn import RowsTurn

    AnyTurn: TypeAlias = DrawnTurn | CompareTurn | RowsTurn

Replied: TypeAlias = Any
"""The value of a `%%minimax` cell: a reply, replies, or a table."""


class Magics:
    """What the magic functions of one shell do."""

    def __init__(self, here: Here, replies: ReplyFormatter) -> None:
        self._here = here
        self._session = here.session
        self._replies = replies

    def line(self, line: str) -> None:
        """`%minimax`: a command, or options that become the defaults."""
        command = COMMANDS.get(line.strip().partition(" ")[0])
        if command is not None and command.reads_options:
            words = words_of(line)[1:]
            self._run(command, words, shows_help=not set(HELP.flags).isdisjoint(words))
            return
        arguments = parse(line, self._session.models.known)
        if arguments.words:
            self._command(arguments, line)
        elif arguments.help:
            print_lines(table.overview())
        elif arguments == Arguments():
            show_state(self._here)
        else:
            self._set_defaults(arguments, line)

    def cell(self, line: str, body: str) -> Replied | None:
        """`%%minimax` where it can't be awaited: run the turn to its end."""
        turn = self._turn(line, body)
        if turn is None:
            return None
        with _stop_in_one_line(turn.stopped):
            return self._drawn(run_to_end(_value_of(turn)))

    async def awaited(self, line: str, body: str) -> Replied | None:
        """`%%minimax` on the kernel's loop, which stays free for other messages meanwhile."""
        turn = self._turn(line, body)
        if turn is None:
            return None
        try:
            return self._drawn(await turn.run(is_awaited=True))
        except asyncio.CancelledError:
            # Let through, the cell would count as done, and Run All would go on.
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            raise turn.stopped() from None

    def _turn(self, line: str, body: str) -> "AnyTurn | None":
        """The turn of a cell; None where there is only something to show."""
        # They come with all of a stream: %load_ext is quick.
        from mm_magic.jupyter.cell_turn import DrawnTurn, cell_turn
        from mm_magic.jupyter.compare_turn import CompareTurn
        from mm_magic.jupyter.left_out import spaces_for_commas
        from mm_magic.jupyter.refused_together import check_together

        listed = self._session.models.known
        options, prompt = unfolded(line, body, listed, self._operands)
        arguments = parse(options, listed)
        if arguments.help:
            self._session.cells.here.only_shows = True
            print_lines(table.overview())
            return None
        if arguments.words:
            if (slip := spaces_for_commas(arguments, prompt)) is not None:
                raise slip
            right = right_options(arguments.words)
            raise mistakes.stray_words(arguments.words, options, [*COMMANDS], right)
        check_together(arguments)
        make: Callable[[Here, Arguments, str], AnyTurn]
        make = CompareTurn if arguments.answers > 1 else cell_turn
        if arguments.rows:
            from mm_magic.jupyter.rows_turn import RowsTurn

            make = RowsTurn
        turn = make(self._here, arguments, prompt)
        if arguments.dry_run:
            self._session.cells.here.only_shows = True
            show_request(self._here.shell, turn.dry_run())
            return None
        if not isinstance(turn, DrawnTurn):
            turn.check_number(options, "" if body.strip() else prompt)
        return turn

    def _operands(self, command: Command) -> Sequence[str]:
        from mm_magic.jupyter.offered_words import operands_of  # for a prompt like a command

        return operands_of(self._here, command)

    def _drawn(self, reply: Replied) -> Replied:
        if isinstance(reply, Reply | Replies):  # a table is drawn by whoever made its kind
            self._replies.was_drawn(reply)
        return reply

    def _command(self, arguments: Arguments, line: str) -> None:
        """A command that has no options."""
        name, *words = arguments.words
        command = COMMANDS.get(name)
        if command is None:
            right = right_options(arguments.words)
            if right and parse(right).of_one_cell:
                raise mistakes.stray_words(arguments.words, line, [*COMMANDS], right)
            raise mistakes.no_command(arguments.words, line, [*COMMANDS], right)
        if not arguments.help and arguments != Arguments(words=arguments.words):
            raise _no_options(command, arguments)
        self._run(command, words, shows_help=arguments.help)

    def _run(self, command: Command, words: Sequence[str], *, shows_help: bool) -> None:
        if shows_help:
            print_lines(command.help_text())
            return
        with _stop_in_one_line():
            command.run(self._here, words)

    def _set_defaults(self, arguments: Arguments, line: str) -> None:
        of_one_cell = arguments.of_one_cell
        if of_one_cell and mistakes.holds_key(line):
            raise mistakes.key_in_cell()
        if of_one_cell:
            raise UsageError(
                f"{of_one_cell[0]} applies to a single cell and can't be set for all cells",
                next_steps=(f"Write it with two percent signs: `%%minimax {line.strip()}`",),
            )
        self._here.settings.say(arguments.given)
        said = (
            f"{name} {UNSET if value is None else told(repr(value))}"
            for name, value in arguments.given.items()
        )
        print_lines(f"From now on: {', '.join(said)}")
        model = arguments.given.get("model")
        if isinstance(model, str) and (note := self._session.models.note(model)):
            print_lines(plain(note))
        if {"model", "thinking"} & arguments.given.keys():
            self._tell_of_thinking()

    def _tell_of_thinking(self) -> None:
        """Say at once, and under no later answer, that the model thinks all the same."""
        session = self._session
        if note := session.models.thinking_note(session.options):
            session.told.once(note)
            print_lines(note)


def _no_options(command: Command, arguments: Arguments) -> UsageError:
    """The error of a command with options. A conversation is named without `-c`."""
    words, more = [*arguments.words], ", and put the options in a cell of their own."
    if [*arguments.given] == ["conversation"] and "NAME" in command.operands:
        words.insert(1, str(arguments.given["conversation"]))
        more = ""
    written = " ".join(quoted(word) or word for word in words)
    return UsageError(
        f"{command.name} takes no options", next_steps=(f"Write: `%minimax {written}`{more}",)
    )


async def _value_of(turn: "AnyTurn") -> Replied:
    return await turn.run()


@contextmanager
def _stop_in_one_line(stopped: Callable[[], Stopped] = Stopped) -> Iterator[None]:
    """Show an interrupt as what `stopped` makes: the frames of the event loop say nothing."""
    try:
        yield
    except KeyboardInterrupt as interrupt:  # IPython asks the exception how to show itself
        interrupt._render_traceback_ = stopped()._render_traceback_  # type: ignore[attr-defined]
        raise
