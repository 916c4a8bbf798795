"""`%%minimax` and `%minimax`, as IPython calls them."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from mm_magic.conversation.reply import Reply
from mm_magic.errors import Stopped, UsageError
from mm_magic.jupyter.arguments import (
    COMMANDS,
    Arguments,
    command_help,
    commands_help,
    has_own_options,
    help_text,
    parse,
    words_of,
)
from mm_magic.jupyter.await_cells import AWAITED, MAGIC
from mm_magic.jupyter.cell_turn import CellTurn
from mm_magic.jupyter.commands.table import Commands
from mm_magic.jupyter.config import MiniMax
from mm_magic.jupyter.reply_display import ReplyFormatter
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.wording import quoted

HELP = f"""\
Ask a MiniMax model; thinking and answer stream in under the cell.

    %%minimax [options]
    Why is the sky blue?

Options:
{help_text()}

{{{{name}}}} in the prompt puts in the value of a notebook variable; so do {{{{row.title}}}} and
{{{{xs[0]}}}}. All else is sent as it stands. Text with spaces goes in double quotes: -s "Be brief".

The reply is in `_`, and with -o NAME in a variable: .text, .thinking, .usage, .stop_reason.

%minimax alone tells who answers; %minimax with options sets them for all cells.
%minimax COMMAND:
{commands_help()}
"""


class Magics:
    """The magic functions of one shell."""

    def __init__(
        self,
        shell: InteractiveShell,
        session: Session,
        settings: MiniMax,
        replies: ReplyFormatter,
        commands: Commands,
    ) -> None:
        self._shell = shell
        self._session = session
        self._settings = settings
        self._replies = replies
        self._commands = commands

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

        minimax.__doc__ = HELP
        minimax_awaited.__doc__ = "What IPython awaits for a cell that is %%minimax alone."
        register = self._shell.magics_manager.register_function
        register(minimax, "line_cell", MAGIC)
        register(minimax_awaited, "cell", AWAITED)

    def unregister(self) -> None:
        manager = self._shell.magics_manager
        for kind, name in (("line", MAGIC), ("cell", MAGIC), ("cell", AWAITED)):
            manager.magics[kind].pop(name, None)
            vars(manager.user_magics).pop(name, None)  # where IPython keeps the functions, too

    def line(self, line: str) -> None:
        """`%minimax`: a command, or options that become the defaults."""
        if has_own_options(line):
            with _stop_in_one_line():
                self._commands.run(words_of(line), line)
            return
        arguments = parse(line)
        if arguments.help and not arguments.words:
            print(HELP)
        elif arguments.help and arguments.words[0] in COMMANDS:
            print(command_help(arguments.words[0]))
        elif arguments.words:
            with _stop_in_one_line():
                self._command(arguments, line)
        elif arguments == Arguments():
            self._commands.state()
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

    def _turn(self, line: str, body: str) -> CellTurn | None:
        """The turn of a cell; None where there is only something to show."""
        arguments = parse(line)
        if arguments.help:
            self._session.cell.only_shows = True
            print(HELP)
            return None
        turn = CellTurn(self._shell, self._session, arguments, line, body)
        if arguments.dry_run:
            self._session.cell.only_shows = True
            print(turn.dry_run())
            return None
        return turn

    def _drawn(self, reply: Reply) -> Reply:
        self._replies.was_drawn(reply)
        return reply

    def _command(self, arguments: Arguments, line: str) -> None:
        words = arguments.words
        if words[0] in self._commands.by_name and arguments != Arguments(words=words):
            command = " ".join(quoted(word) or word for word in words)
            raise UsageError(
                "a command takes no options",
                next_steps=(f"Write: `%minimax {command}`, and the options on their own.",),
            )
        self._commands.run(words, line)

    def _set_defaults(self, arguments: Arguments) -> None:
        per_cell = {
            "--alone": arguments.alone,
            "-o": arguments.to is not None,
            "--literal": arguments.literal,
            "--dry-run": arguments.dry_run,
        }
        if given := [name for name, is_given in per_cell.items() if is_given]:
            raise UsageError(
                f"{given[0]} belongs to one cell", next_steps=("Write it behind `%%minimax`.",)
            )
        options = arguments.options(self._session.options)
        self._settings.show(options)
        changed = [
            f"{name} {getattr(options, name)!r}"
            for name in MiniMax.option_names()
            if getattr(arguments, name, None) is not None
        ]
        print(f"From now on: {', '.join(changed)}")


@contextmanager
def _stop_in_one_line() -> Iterator[None]:
    """Show an interrupt as "Stopped.": the frames of the event loop say nothing."""
    try:
        yield
    except KeyboardInterrupt as interrupt:  # IPython asks the exception how to show itself
        interrupt._render_traceback_ = Stopped()._render_traceback_  # type: ignore[attr-defined]
        raise
