"""What Tab offers behind `%minimax` and `%%minimax`: options, commands, and their words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from inspect import isfunction
from pathlib import Path
from typing import get_origin

from mm_magic.conversation.catalog import MODELS
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.left_out import SYSTEM
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import CELL_ROWS, HELP, flags_of
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.prompt.kinds import is_a
from mm_magic.prompt.template import inserts
from mm_magic.session.options import SWITCH, UNSET, Offer, Row
from mm_magic.session.session import Session
from mm_magic.wording import quoted

_USUAL = ("int", "float", "bool", "str", "list[str]")


def behind_line_magic(here: Here, before: Sequence[str]) -> Sequence[str]:
    """What may stand behind these words of `%minimax`."""
    if not before:
        return [*COMMANDS, *flags_of(CELL_ROWS)]
    command = COMMANDS.get(before[0])
    if command is None:
        return behind_cell_magic(here, before)
    operands = operands_of(here, command) if len(before) == 1 else ()
    return _behind(here, before, command.own_options, operands)


def operands_of(here: Here, command: Command) -> Sequence[str]:
    """What there is that a command may be about."""
    return _OFFERED[command.offers](here) if command.offers else ()


def behind_cell_magic(here: Here, before: Sequence[str], prompt: str = "") -> Sequence[str]:
    """What may stand behind these words of `%%minimax`, above this prompt."""
    row = _named(before, CELL_ROWS)
    if row is not None and row.offers == "left out":
        return [*_turns(here), SYSTEM, *_in_order(prompt)]
    return _behind(here, before, CELL_ROWS)


def is_list(before: Sequence[str]) -> bool:
    """Whether the last of these words is an option that may have several values with commas."""
    row = _named(before, CELL_ROWS)
    return row is not None and row.is_listed


def _named(before: Sequence[str], table: Sequence[Row]) -> Row | None:
    """The option that the last word names."""
    last = before[-1].replace("_", "-") if before else ""
    return next((row for row in table if last in row.flags), None)


def _in_order(prompt: str) -> list[str]:
    """The variables in a prompt."""
    return list(dict.fromkeys(name for _, name, _ in inserts(prompt)))


def _behind(
    here: Here, before: Sequence[str], table: Sequence[Row], operands: Sequence[str] = ()
) -> Sequence[str]:
    """The values of the option that the last word names, else operands and options."""
    row = _named(before, table)
    if row is None or row.kind is SWITCH:
        return [*operands, *flags_of(table)] or flags_of([HELP])
    offered = _OFFERED[row.offers](here) if isinstance(row.offers, str) else row.offers
    return [*row.words, *offered, *([UNSET] if row.may_be_unset else [])]


def _models(here: Here) -> list[str]:
    return _words(dict.fromkeys([*here.session.models.known, *MODELS]))


def _conversations(here: Here) -> list[str]:
    return _words(here.session.conversations)


def _turns(here: Here) -> list[str]:
    conversation = _conversation(here.session)
    return [str(turn.number) for turn in conversation.turns] if conversation else []


def _turns_to_restore(here: Here) -> list[str]:
    conversation = _conversation(here.session)
    if conversation is None:
        return []
    hidden = [turn for turn in conversation.turns if turn.is_hidden or turn.is_untrusted]
    return [str(n) for n in sorted(turn.number for turn in [*hidden, *conversation.forgotten])]


def _conversation(session: Session) -> Conversation | None:
    """The conversation that commands are about, if it has begun."""
    return session.conversations.get(session.options.conversation)


def _answers(here: Here) -> list[str]:
    """The answers that can be picked, if it is known of which turn."""
    with suppress(UsageError):
        return [str(number) for number in here.session.edits.compare_to_pick(None).choices]
    return []


def _recordings(_here: Here) -> list[str]:
    """The files that may be recordings, by their name."""
    return _words(sorted(str(path) for path in Path().glob("*.jsonl")))


def _commands(_here: Here) -> list[str]:
    return [*COMMANDS]


def _tables(here: Here) -> list[str]:
    """The variables that `--rows` takes, the tables before the lists."""
    own = {name: each for name, each in here.shell.user_ns.items() if _is_own(name)}
    frames = [name for name, each in own.items() if is_a(each, "pandas polars", "DataFrame Series")]
    return [*frames, *(name for name, each in own.items() if isinstance(each, list) and each)]


def _functions(here: Here) -> list[str]:
    """The functions that cells have defined."""
    return [
        name
        for name, value in here.shell.user_ns.items()
        if isfunction(value) and not name.startswith("_")
    ]


def _types(here: Here) -> list[str]:
    """The types that the notebook has defined, and some that Python has."""
    return [
        *(name for name, each in here.shell.user_ns.items() if _is_type(here, name, each)),
        *_USUAL,
    ]


def _is_type(here: Here, name: str, value: object) -> bool:
    """Whether a variable is a class of the notebook's, a dataclass, or the like of `list[Tree]`."""
    if not _is_own(name):
        return False
    if not isinstance(value, type):
        return get_origin(value) is not None
    return value.__module__ == here.shell.user_ns.get("__name__") or is_dataclass(value)


def _is_own(name: str) -> bool:
    """Whether a variable is not one of IPython's."""
    return not name.startswith("_") and name not in ("In", "Out")


def _words(names: Iterable[str]) -> list[str]:
    """The names as they are typed; one that can't be typed is left out."""
    return [word for name in names if (word := quoted(name)) is not None]


_OFFERED: Mapping[Offer, Callable[[Here], list[str]]] = {
    "models": _models,
    "conversations": _conversations,
    "turns": _turns,
    "turns to restore": _turns_to_restore,
    "answers": _answers,
    "recordings": _recordings,
    "commands": _commands,
    "tables": _tables,
    "functions": _functions,
    "types": _types,
    "left out": _turns,
}
