"""`%%minimax` and `%minimax`, as IPython calls them."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from IPython.core.magic import no_var_expand

from mm_magic.conversation.reply import Reply
from mm_magic.errors import Stopped, UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.arguments import HELP, OF_ONE_CELL, Arguments, parse, words_of
from mm_magic.jupyter.commands import table
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.state import show_state
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.jupyter.one_line import unfolded
from mm_magic.jupyter.option_words import of_one_cell, right_options
from mm_magic.jupyter.own_cells import AWAITED, MAGIC, SLIP
from mm_magic.jupyter.reply_display import ReplyFormatter
from mm_magic.session.options import UNSET
from mm_magic.session.sync import run_to_end
from mm_magic.wording import in_window, plain, quoted, told

if TYPE_CHECKING:
    from mm_magic.jupyter.cell_turn import DrawnTurn


class Magics:
    """The magic functions of one shell."""

    def __init__(self, here: Here, replies: ReplyFormatter) -> None:
        self._here = here
        self._session = here.session
        self._replies = replies

    def register(self) -> None:
        @no_var_expand
        def minimax(line: str, cell: str | None = None) -> Reply | None:
            if cell is not None:
                return self.cell(line, cell)
            self.line(line)
            return None

        @no_var_expand
        def minimax_awaited(line: str, cell: str) -> Coroutine[object, object, Reply | None]:
            return self.awaited(line, cell)

        @no_var_expand
        def minimax_slip(line: str, cell: str) -> None:
            raise mistakes.slip(cell, line)

        minimax.__doc__ = table.overview()
        minimax_awaited.__doc__ = "What IPython awaits for a cell that is %%minimax alone."
        minimax_slip.__doc__ = "What runs in place of a cell with a likely mistake in it."
        register = self._here.shell.magics_manager.register_function
        register(minimax, "line_cell", MAGIC)
        register(minimax_awaited, "cell", AWAITED)
        register(minimax_slip, "cell", SLIP)

    def unregister(self) -> None:
        manager = self._here.shell.magics_manager
        for kind, name in (("line", MAGIC), *(("cell", n) for n in (MAGIC, AWAITED, SLIP))):
            manager.magics[kind].pop(name, None)
            vars(manager.user_magics).pop(name, None)  # where IPython keeps the functions, too

    def line(self, line: str) -> None:
        """`%minimax`: a command, or options that become the defaults."""
        command = COMMANDS.get(line.strip().partition(" ")[0])
        if command is not None and command.options is not None:
            words = words_of(line)[1:]
            self._run(command, words, shows_help=not set(HELP.flags).isdisjoint(words))
            return
        arguments = parse(line)
        if arguments.words:
            self._command(arguments, line)
        elif arguments.help:
            print(in_window(table.overview()))
        elif arguments == Arguments():
            show_state(self._here)
        else:
            self._set_defaults(arguments)

    def cell(self, line: str, body: str) -> Reply | None:
        """`%%minimax` where it can't be awaited: run the turn to its end."""
        turn = self._turn(line, body)
        if turn is None:
            return None
        with _stop_in_one_line():
            return self._drawn(run_to_end(turn.run()))

    async def awaited(self, line: str, body: str) -> Reply | None:
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
            raise Stopped(turn.reply) from None

    def _turn(self, line: str, body: str) -> "DrawnTurn | None":
        """The turn of a cell; None where there is only something to show."""
        from mm_magic.jupyter.cell_turn import cell_turn  # with all of a stream: %load_ext is quick

        line, body = unfolded(line, body)
        arguments = parse(line)
        if arguments.help:
            self._session.cell.only_shows = True
            print(in_window(table.overview()))
            return None
        if arguments.words:
            right = right_options(arguments.words)
            raise mistakes.stray_words(arguments.words, line, [*COMMANDS], right)
        turn = cell_turn(self._here, arguments, body)
        if arguments.dry_run:
            self._session.cell.only_shows = True
            print(turn.dry_run())
            return None
        return turn

    def _drawn(self, reply: Reply) -> Reply:
        self._replies.was_drawn(reply)
        return reply

    def _command(self, arguments: Arguments, line: str) -> None:
        """A command that has no options."""
        name, *words = arguments.words
        command = COMMANDS.get(name)
        if command is None:
            right = right_options(arguments.words)
            if right and of_one_cell(arguments.words):
                raise mistakes.stray_words(arguments.words, line, [*COMMANDS], right)
            raise mistakes.no_command(arguments.words, line, [*COMMANDS], right)
        if not arguments.help and arguments != Arguments(words=arguments.words):
            written = " ".join(quoted(word) or word for word in arguments.words)
            raise UsageError(
                "a command takes no options",
                next_steps=(
                    f"Write: `%minimax {written}`, and the options in a cell of their own.",
                ),
            )
        self._run(command, words, shows_help=arguments.help)

    def _run(self, command: Command, words: Sequence[str], *, shows_help: bool) -> None:
        if shows_help:
            print(in_window(command.help_text()))
            return
        with _stop_in_one_line():
            command.run(self._here, words)

    def _set_defaults(self, arguments: Arguments) -> None:
        for row in OF_ONE_CELL:
            if getattr(arguments, row.name) != row.default:
                raise UsageError(
                    f"{row.flags[0]} belongs to one cell",
                    next_steps=("Write it after `%%minimax`.",),
                )
        self._here.settings.say(arguments.given)
        said = (
            f"{name} {UNSET if value is None else told(repr(value))}"
            for name, value in arguments.given.items()
        )
        print(in_window(f"From now on: {', '.join(said)}"))
        model = arguments.given.get("model")
        if isinstance(model, str) and (note := self._session.model_note(model)):
            print(in_window(plain(note)))


@contextmanager
def _stop_in_one_line() -> Iterator[None]:
    """Show an interrupt as "Stopped.": the frames of the event loop say nothing."""
    try:
        yield
    except KeyboardInterrupt as interrupt:  # IPython asks the exception how to show itself
        interrupt._render_traceback_ = Stopped()._render_traceback_  # type: ignore[attr-defined]
        raise
