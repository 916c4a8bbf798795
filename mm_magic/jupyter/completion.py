"""Tab on a `%minimax` or `%%minimax` line: options, commands, models, words of an option."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.model_facts import MODELS
from mm_magic.jupyter.arguments import CELL_ROWS, flags_of
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.session.options import UNSET, Row
from mm_magic.session.session import Session
from mm_magic.wording import quoted

Matcher = Callable[[CompletionContext], SimpleMatcherResult]


def matcher(session: Session) -> Matcher:
    """For `ip.Completer.custom_matchers`. It keeps other completions out of the magic's line."""

    def complete(context: CompletionContext) -> SimpleMatcherResult:
        line = context.line_with_cursor.split("\n")[0][: context.cursor_position]
        head, _, rest = line.lstrip().partition(" ")
        if head not in ("%minimax", "%%minimax") or not line.endswith(rest) or " " not in line:
            return {"completions": []}
        *before, fragment = rest.split(" ")
        found = _candidates(session, [word for word in before if word], is_line=head == "%minimax")
        return {
            "completions": [
                SimpleCompletion(text=text, type="magic")
                for text in found
                if text.startswith(fragment) and (fragment or not text.startswith("-h"))
            ],
            "matched_fragment": fragment,
            "ordered": True,
            "suppress": True,
        }

    context_matcher(identifier="mm_magic")(complete)  # it marks the function, and changes nothing
    return complete


def register(shell: InteractiveShell, complete: Matcher) -> None:
    if shell.Completer is not None:
        shell.Completer.custom_matchers.insert(0, complete)


def unregister(shell: InteractiveShell, complete: Matcher) -> None:
    if shell.Completer is not None and complete in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(complete)


def _candidates(session: Session, words: Sequence[str], *, is_line: bool) -> list[str]:
    """What may stand behind these words."""
    command = COMMANDS.get(words[0]) if is_line and words else None
    table = command.options if command and command.options else CELL_ROWS
    if words and (row := _row(table, words[-1])) is not None and row.kind != "switch":
        return _values(session, row)
    if command is not None:
        operands = _operands(session, command) if len(words) == 1 else []
        own = [*operands, *flags_of(command.options)]
        return own or flags_of(CELL_ROWS)
    names = sorted(COMMANDS) if is_line and not words else []
    return [*names, *flags_of(CELL_ROWS)]


def _row(table: Iterable[Row], flag: str) -> Row | None:
    """The option with this name."""
    return next((row for row in table if flag.replace("_", "-") in row.flags), None)


def _values(session: Session, row: Row) -> list[str]:
    """What an option may be."""
    if row.name == "model":
        return _words(dict.fromkeys([*session.offered_models, *MODELS]))
    if row.name == "conversation":
        return _words(session.conversations)
    if row.kind == "speed":
        return ["max", "2", "10"]
    return [*row.words, *([UNSET] if row.may_be_unset and row.wire else [])]


def _operands(session: Session, command: Command) -> list[str]:
    """What may stand behind a command."""
    match command.completes:
        case "recordings":
            return _words(sorted(str(path) for path in Path().glob("*.jsonl")))
        case "conversations":
            return _words(session.conversations)
        case "turns":
            there = session.conversations.get(session.options.conversation)
            return [str(turn.number) for turn in there.turns] if there else []
        case "nothing":
            return []


def _words(names: Iterable[str]) -> list[str]:
    """The names as they are typed; one that can't be typed is left out."""
    return [word for name in names if (word := quoted(name)) is not None]
