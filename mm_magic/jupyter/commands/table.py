"""The commands of `%minimax`: one table, which dispatch, `-h`, Tab and the docs follow.

To add a command, add a row here and the function that runs it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from mm_magic.errors import UsageError
from mm_magic.jupyter import arguments, option_words
from mm_magic.jupyter.arguments import HELP, at_most_one, help_rows, in_columns
from mm_magic.jupyter.commands import (
    differences,
    fork,
    history,
    pick,
    recording,
    request,
    who_answers,
)
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.session.options import Offer, Row, rows

Group: TypeAlias = Literal["settings", "look", "edit", "backend", "help"]


class Command(NamedTuple):
    """One command.

    `run` gets the words behind the name. `operands` shows them in the help, and `offers` is what
    Tab offers for them. `help` is for a list of all commands, `more` for one command alone.
    `options` is a class whose fields are options, where the command has some of its own: `run`
    reads them itself.
    """

    name: str
    group: Group
    operands: str
    help: str
    run: Callable[[Here, Sequence[str]], None]
    more: str = ""
    offers: Offer | None = None
    options: type | None = None

    @property
    def own_options(self) -> tuple[Row, ...]:
        return () if self.options is None else (*rows(self.options), HELP)

    @property
    def reads_options(self) -> bool:
        """Whether an option behind it is its own: `%minimax help -n` is about `-n`."""
        return self.options is not None or self.group == "help"

    @property
    def usage(self) -> str:
        """Its name, and what may stand behind it."""
        own = "[options]" if self.options else ""
        return " ".join(filter(None, (self.name, self.operands, own)))

    def help_text(self) -> str:
        """What `%minimax NAME -h` shows."""
        lines = [f"%minimax {self.usage}", f"  {self.help}"]
        if self.more:
            lines.append(f"  {self.more}")
        if self.own_options:
            lines.append(in_columns(help_rows(self.own_options)))
        return "\n".join(lines)


def _panel(here: Here, _words: Sequence[str]) -> None:
    from mm_magic.jupyter.panel.panel import show_panel  # with ipywidgets

    show_panel(here.shell, here.session, here.settings, here.panels)


def _help(_here: Here, words: Sequence[str]) -> None:
    """Print the help of everything, of one command, or of one option."""
    word = at_most_one("help", words)
    if word is None:
        print_lines(overview())
    elif (command := COMMANDS.get(word.lower().lstrip("%"))) is not None:
        print_lines(command.help_text())
    elif (row := option_words.row_of(word)) is not None:
        print_lines(in_columns(help_rows([row])))
    else:
        raise UsageError(
            f"there is no command or option {word!r}",
            next_steps=(
                f"Commands: {', '.join(COMMANDS)}.",
                "`%minimax help` explains every command and option.",
            ),
        )


_TABLE = (
    Command("panel", "settings", "", "show the settings as sliders and menus", _panel),
    Command("models", "settings", "", "list the models that the server offers",
            who_answers.models),
    Command("key", "settings", "", "ask for your key without showing it, then check it",
            who_answers.key, "the key stays in memory only"),
    Command("usage", "settings", "", "show tokens and cost so far", who_answers.usage),
    Command("history", "look", "[NAME]",
            "show the turns of a conversation, and which of them are sent",
            history.history, offers="conversations"),
    Command("show", "look", "[N]", "show turn N again, or the last one", history.show_again,
            "this includes what arrived while no page was open", offers="turns"),
    Command("diff", "look", "[N]",
            "compare the answer of turn N, or of the last turn, with an earlier one",
            differences.diff,
            "the earlier answer is from the cell's previous run; if the cell asked for several "
            "answers, two of them are compared",
            offers="turns", options=differences.DiffOptions),
    Command("request", "look", "[N]", "show the exact JSON of the last request, or of turn N",
            request.request, "if turn N would now be sent differently, this is shown as well",
            offers="turns", options=request.RequestOptions),
    Command("code", "look", "[N]",
            "put the Python code of turn N, or of the last one, into this cell",
            request.code, "it runs only when you run the cell again", offers="turns"),
    Command("pick", "edit", "N", "continue the conversation with answer N of the last comparison",
            pick.pick, "delete the `pick` cell to go back to the first answer", offers="answers"),
    Command("fork", "edit", "NAME [N]",
            "begin conversation NAME with copies of the current turns, up to turn N", fork.fork,
            "`%%minimax -c NAME` continues the new conversation, and cells without `-c` stay in "
            "the current one; if the `fork` cell runs again, it copies the same number of turns"),
    Command("forget", "edit", "[N]", "forget turn N, or the last one", history.forget,
            "until the kernel ends, `%minimax restore` can undo this", offers="turns"),
    Command("restore", "edit", "[N or FILE]",
            "bring back turn N, or the turns saved in the notebook or in FILE",
            history.restore,
            "N can be a forgotten turn, one whose cell was deleted, or one from an untrusted "
            "file; right after `forget` or `reset`, `restore` by itself brings back what was "
            "forgotten; with `--version`, turn N gets an earlier answer back",
            offers="turns to restore", options=history.RestoreOptions),
    Command("reset", "edit", "[NAME]", "forget all turns of a conversation", history.reset,
            "until the kernel ends, `%minimax restore` can undo this", offers="conversations"),
    Command("live", "backend", "", "switch back to the real server", who_answers.live),
    Command("offline", "backend", "", "switch to the demo", who_answers.offline,
            "it needs no network and no key"),
    Command("record", "backend", "[FILE]",
            "record each prompt and its answer in FILE; without FILE, stop recording",
            recording.record, offers="recordings"),
    Command("replay", "backend", "[FILE]",
            "answer from a recording, or from this notebook's saved turns",
            recording.replay, "it needs no network and no key",
            offers="recordings", options=recording.ReplayOptions),
    Command("help", "help", "[COMMAND]", "explain every command and option, or one of them",
            _help, offers="commands"),
)  # fmt: skip
COMMANDS: Mapping[str, Command] = {command.name: command for command in _TABLE}
"""By name, in the order of their groups."""


def overview() -> str:
    """The help as `%minimax help`, `%%minimax -h` and `%%minimax?` show it."""
    return _OVERVIEW.format(options=arguments.help_text(), commands=_all_commands())


_OVERVIEW = """\
Ask a MiniMax model; its thinking and answer stream in below the cell.

    %%minimax [options]
    Why is the sky blue?

A one-line prompt can also follow the options: %%minimax Why is the sky blue?

{options}

{{{{name}}}} in the prompt is replaced by the value of a notebook variable;
{{{{row.title}}}} and {{{{xs[0]}}}} work, too. {{{{last_error}}}} is replaced by the last
error in your own code. Everything else is sent as written.
Put text with spaces in double quotes: `-s "Be brief"`.

The reply is in `_`, and -o NAME puts it into a variable.
It has .text, .thinking, .usage and .stop_reason; with --type also .value, and
with --tools .steps.

`%minimax` by itself shows which model answers; with options, it sets them for
all cells.

Commands, as `%minimax COMMAND`:

{commands}
"""


def _all_commands() -> str:
    """All commands in their groups, with a line for each."""
    lines = in_columns([(each.usage, each.help) for each in _TABLE]).split("\n")
    found: dict[Group, list[str]] = {}
    for command, line in zip(_TABLE, lines, strict=True):
        found.setdefault(command.group, [f"{command.group}:"]).append(line)
    return "\n\n".join(map("\n".join, found.values()))
