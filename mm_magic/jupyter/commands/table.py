"""The commands of `%minimax`: one table, which dispatch, `-h`, Tab and the README follow.

To add a command, add a row here and the function that runs it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mm_magic.jupyter.arguments import HELP, help_rows, in_columns
from mm_magic.jupyter.commands import recording, request, who_answers
from mm_magic.jupyter.commands.history import Remember
from mm_magic.jupyter.commands.notebook import Notebook
from mm_magic.session.options import Offer, Row, rows

Group: TypeAlias = Literal["settings", "look", "edit", "backend"]


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    `run` gets the words behind the name. `operands` shows them in the help, and `offers` is what
    Tab offers for them. `options` is a class whose fields are options, where the command has some
    of its own: `run` reads them itself.
    """

    name: str
    group: Group
    operands: str
    help: str
    run: Callable[[Notebook, Sequence[str]], None]
    offers: Offer | None = None
    options: type | None = None

    @property
    def own_options(self) -> tuple[Row, ...]:
        return () if self.options is None else (*rows(self.options), HELP)

    def usage(self) -> str:
        own = " ".join(f"[{row.flags[-1]}]" for row in self.own_options if row is not HELP)
        return " ".join(filter(None, (self.name, self.operands, own)))

    def help_text(self) -> str:
        """What `%minimax NAME -h` shows."""
        text = f"%minimax {self.usage()}\n  {self.help}"
        return f"{text}\n{in_columns(help_rows(self.own_options))}" if self.own_options else text


def _panel(notebook: Notebook, _words: Sequence[str]) -> None:
    from mm_magic.jupyter.panel.panel import show_panel  # with ipywidgets

    show_panel(notebook.shell, notebook.session, notebook.settings, notebook.panels)


def _remembering(
    method: Callable[[Remember, Sequence[str]], None],
) -> Callable[[Notebook, Sequence[str]], None]:
    return lambda notebook, words: method(Remember(notebook.shell, notebook.session), words)


_TABLE = (
    Command("panel", "settings", "", "shows the settings as sliders and menus", _panel),
    Command("models", "settings", "", "lists the models that the server offers",
            who_answers.models),
    Command("key", "settings", "",
            "asks for a key, without showing it, and checks it; it stays in memory only",
            who_answers.key),
    Command("usage", "settings", "", "shows tokens and cost so far", who_answers.usage),
    Command("history", "look", "[NAME]",
            "lists the turns of a conversation, and which of them are sent",
            _remembering(Remember.history), offers="conversations"),
    Command("show", "look", "[N]",
            "draws turn N again, or the last one: what arrived while no page was open is not lost",
            _remembering(Remember.show), offers="turns"),
    Command("request", "look", "[N]",
            "shows the exact JSON that was sent last, or for turn N, and what would be sent now",
            request.request, offers="turns", options=request.RequestOptions),
    Command("code", "look", "[N]",
            "puts the Python code of the last answer, or of turn N, into this cell; "
            "it does not run it",
            request.code, offers="turns"),
    Command("forget", "edit", "[N]", "forgets turn N, or the last one",
            _remembering(Remember.forget), offers="turns"),
    Command("restore", "edit", "[N or FILE]",
            "sends turn N again after its cell was deleted; without N, the turns of the saved "
            "notebook, or of FILE",
            _remembering(Remember.restore), offers="turns"),
    Command("reset", "edit", "[NAME]", "forgets all turns of a conversation",
            _remembering(Remember.reset), offers="conversations"),
    Command("live", "backend", "", "goes back to the real server", who_answers.live),
    Command("offline", "backend", "", "switches to the demo, which needs no network and no key",
            who_answers.offline),
    Command("record", "backend", "[FILE]",
            "writes each exchange into FILE from now on; without FILE it stops recording",
            recording.record, offers="recordings"),
    Command("replay", "backend", "[FILE]",
            "answers from a recording, without a network or a key; without FILE, from this "
            "notebook's saved turns",
            recording.replay, offers="recordings", options=recording.ReplayOptions),
)  # fmt: skip
COMMANDS: Mapping[str, Command] = {command.name: command for command in _TABLE}
"""By name, in the order of their groups."""


def help_text() -> str:
    """All commands in their groups, with a line for each."""
    lines = in_columns([(each.usage(), each.help) for each in _TABLE]).split("\n")
    found: dict[str, list[str]] = {}
    for command, line in zip(_TABLE, lines, strict=True):
        found.setdefault(command.group, []).append(line)
    return "\n".join(f"{group}\n{chr(10).join(lines)}" for group, lines in found.items())
