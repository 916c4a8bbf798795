"""`%minimax …`: one table of commands, which dispatch, help, Tab and the README follow.

To add a command, add a row here and its function in the module of its subject.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.arguments import (
    Arguments,
    ReplayArguments,
    RequestArguments,
    help_of,
    in_columns,
)
from mm_magic.jupyter.commands import history, recording, request, who_answers
from mm_magic.jupyter.commands.here import Here
from mm_magic.session.options import Row, rows
from mm_magic.wording import quoted

Completes: TypeAlias = Literal["nothing", "turns", "conversations", "recordings"]
"""What Tab offers behind a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `run` gets the words behind its name; `options` are its own."""

    name: str
    operands: str
    help: str
    run: Callable[[Here, Sequence[str]], None]
    completes: Completes = "nothing"
    options: tuple[Row, ...] = ()


def _panel(here: Here, _words: Sequence[str]) -> None:
    from mm_magic.jupyter.panel.panel import show_panel  # with ipywidgets

    show_panel(here.shell, here.session, here.settings, here.panels)


GROUPS: dict[str, tuple[Command, ...]] = {
    "settings": (
        Command("panel", "", "shows the settings as sliders and menus", _panel),
        Command("models", "", "lists the models that the server offers", who_answers.models),
        Command(
            "key", "", "asks for a key, without showing it, and checks it", who_answers.key
        ),
        Command("usage", "", "shows tokens and cost so far", who_answers.usage),
    ),
    "look": (
        Command(
            "history", "[NAME]", "lists the turns of a conversation, and what of them is sent",
            history.history, "conversations",
        ),
        Command("show", "[N]", "draws turn N again, or the last one", history.show_again, "turns"),
        Command(
            "request", "[N] [--events]", "shows what was sent last, or for turn N, and what came",
            request.request, "turns", tuple(rows(RequestArguments)),
        ),
        Command(
            "code", "[N]", "turns this cell into the Python code of an answer; it is not run",
            request.code, "turns",
        ),
    ),
    "edit": (
        Command("forget", "[N]", "forgets turn N, or the last one", history.forget, "turns"),
        Command(
            "restore", "[N or FILE]",
            "sends turn N again, or the turns of the saved notebook or of FILE",
            history.restore, "turns",
        ),
        Command(
            "reset", "[NAME]", "forgets all turns of a conversation", history.reset,
            "conversations",
        ),
    ),
    "backend": (
        Command("live", "", "goes back to the real server", who_answers.live),
        Command("offline", "", "switches to the demo", who_answers.offline),
        Command(
            "record", "[FILE]", "writes each exchange into FILE; without FILE it ends",
            recording.record, "recordings",
        ),
        Command(
            "replay", "[FILE]", "answers from a recording, or from this notebook's saved turns",
            recording.replay, "recordings", tuple(rows(ReplayArguments)),
        ),
    ),
}  # fmt: skip
COMMANDS = {each.name: each for group in GROUPS.values() for each in group}


def run(here: Here, words: Sequence[str], line: str) -> None:
    """Run the command that `words` begins with; `line` is all behind `%minimax`."""
    if words[0] not in COMMANDS:
        raise mistakes.no_command(words, line, tuple(COMMANDS))
    COMMANDS[words[0]].run(here, words[1:])


def check_no_options(arguments: Arguments) -> None:
    """Raise UsageError where options stand beside a command that has none."""
    words = arguments.words
    if words[0] in COMMANDS and arguments != Arguments(words=words):
        command = " ".join(quoted(word) or word for word in words)
        raise UsageError(
            "a command takes no options",
            next_steps=(f"Write: `%minimax {command}`, and the options on their own.",),
        )


def command_help(name: str) -> str:
    """What `%minimax NAME -h` shows of a command."""
    command = COMMANDS[name]
    first = f"%minimax {f'{name} {command.operands}'.rstrip()}\n  {command.help}"
    return f"{first}\n{help_of(command.options)}" if command.options else first


def commands_help() -> str:
    """All commands, group by group, with a line for each."""
    return "\n".join(f"{title}:\n{_group_help(group)}" for title, group in GROUPS.items())


def _group_help(group: Sequence[Command]) -> str:
    width = max(len(f"{each.name} {each.operands}") for each in COMMANDS.values())
    pairs = [(f"{each.name} {each.operands}".ljust(width), each.help) for each in group]
    return in_columns(pairs)
