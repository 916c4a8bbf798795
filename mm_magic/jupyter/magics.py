"""`%%minimax` and `%minimax`, as IPython calls them."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager

from IPython.core.magic import no_var_expand

from mm_magic.conversation.reply import Reply
from mm_magic.errors import Stopped, UsageError
from mm_magic.jupyter.arguments import (
    CELL_ROWS,
    Arguments,
    check_no_words,
    help_of,
    parse,
    words_of,
)
from mm_magic.jupyter.await_cells import AWAITED, MAGIC
from mm_magic.jupyter.cell_turn import CellTurn
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.state import show_state
from mm_magic.jupyter.commands.table import (
    COMMANDS,
    check_no_options,
    command_help,
    commands_help,
    run,
)
from mm_magic.jupyter.reply_display import ReplyFormatter
from mm_magic.session.options import UNSET
from mm_magic.session.sync import run_to_end

HELP = f"""\
Ask a MiniMax model; thinking and answer stream in under the cell.

    %%minimax [options]
    Why is the sky blue?

Options:
{help_of(CELL_ROWS)}

{{{{name}}}} in the prompt puts in the value of a notebook variable; so do {{{{row.title}}}} and
{{{{xs[0]}}}}. All else is sent as it stands. Text with spaces goes in double quotes: -s "Be brief".

The reply is in `_`, and with -o NAME in a variable: .text, .thinking, .usage, .stop_reason.

%minimax alone tells who answers; %minimax with options sets them for all cells.
%minimax COMMAND:
{commands_help()}
"""


class Magics:
    """The magic functions of one shell."""

    def __init__(self, here: Here, replies: ReplyFormatter) -> None:
        self._here = here
        self._shell = here.shell
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
        command = COMMANDS.get(next(iter(line.split(maxsplit=1)), ""))
        if command is not None and command.options:
            self._run(words_of(line), line)
            return
        arguments = parse(line)
        if arguments.words:
            if not arguments.help:
                check_no_options(arguments)
            self._run([*arguments.words, *(["-h"] if arguments.help else [])], line)
        elif arguments.help:
            print(HELP)
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

    def _turn(self, line: str, body: str) -> CellTurn | None:
        """The turn of a cell; None where there is only something to show."""
        arguments = parse(line)
        if arguments.help:
            self._session.cell.only_shows = True
            print(HELP)
            return None
        check_no_words(arguments, line, tuple(COMMANDS))
        turn = CellTurn(self._shell, self._session, arguments, body)
        if arguments.dry_run:
            self._session.cell.only_shows = True
            print(turn.dry_run())
            return None
        return turn

    def _drawn(self, reply: Reply) -> Reply:
        self._replies.was_drawn(reply)
        return reply

    def _run(self, words: Sequence[str], line: str) -> None:
        if words[0] in COMMANDS and words[-1] in ("-h", "--help"):
            print(command_help(words[0]))
            return
        with _stop_in_one_line():
            run(self._here, words, line)

    def _set_defaults(self, arguments: Arguments) -> None:
        if misplaced := arguments.of_one_cell():
            raise UsageError(
                f"{misplaced[0]} belongs to one cell", next_steps=("Write it behind `%%minimax`.",)
            )
        self._here.settings.say(arguments.given)
        options = self._session.options
        values = {name: getattr(options, name) for name in arguments.given}
        changed = [f"{n} {UNSET if v is None else repr(v)}" for n, v in values.items()]
        print(f"From now on: {', '.join(changed)}")


@contextmanager
def _stop_in_one_line() -> Iterator[None]:
    """Show an interrupt as "Stopped.": the frames of the event loop say nothing."""
    try:
        yield
    except KeyboardInterrupt as interrupt:  # IPython asks the exception how to show itself
        interrupt._render_traceback_ = Stopped()._render_traceback_  # type: ignore[attr-defined]
        raise
