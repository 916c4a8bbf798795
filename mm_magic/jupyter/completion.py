"""Tab on a `%minimax` or `%%minimax` line: options, commands, and the words behind them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.catalog import MODELS
from mm_magic.jupyter.arguments import CELL_ROWS, HELP, flags_of
from mm_magic.jupyter.commands.table import COMMANDS
from mm_magic.session.options import SWITCH, UNSET, Offer, Row
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
        words = [word for word in before if word]
        found = _line(session, words) if head == "%minimax" else _options(session, words)
        return {
            "completions": [
                SimpleCompletion(text=text, type="magic")
                for text in found
                if text.startswith(fragment)
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
    if complete in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(complete)


def _line(session: Session, before: Sequence[str]) -> Sequence[str]:
    """What may stand behind these words of `%minimax`."""
    if not before:
        return [*COMMANDS, *flags_of(CELL_ROWS)]
    command = COMMANDS.get(before[0])
    if command is None:
        return _options(session, before)
    operands = _OFFERED[command.offers](session) if command.offers and len(before) == 1 else ()
    return _options(session, before, command.own_options, operands)


def _options(
    session: Session,
    before: Sequence[str],
    table: Sequence[Row] = CELL_ROWS,
    operands: Sequence[str] = (),
) -> Sequence[str]:
    """The values of the option that the last word names, else operands and options."""
    last = before[-1].replace("_", "-") if before else ""
    row = next((row for row in table if last in row.flags), None)
    if row is None or row.kind is SWITCH:
        return [*operands, *flags_of(table)] or flags_of([HELP])
    offered = _OFFERED[row.offers](session) if isinstance(row.offers, str) else row.offers
    return [*row.words, *offered, *([UNSET] if row.may_be_unset else [])]


def _models(session: Session) -> list[str]:
    return _words(dict.fromkeys([*session.offered_models, *MODELS]))


def _conversations(session: Session) -> list[str]:
    return _words(session.conversations)


def _turns(session: Session) -> list[str]:
    conversation = session.conversations.get(session.options.conversation)
    return [str(turn.number) for turn in conversation.turns] if conversation else []


def _turns_to_restore(session: Session) -> list[str]:
    conversation = session.conversations.get(session.options.conversation)
    if conversation is None:
        return []
    hidden = [turn for turn in conversation.turns if turn.is_hidden]
    return [str(n) for n in sorted(turn.number for turn in [*hidden, *conversation.forgotten])]


def _recordings(_session: Session) -> list[str]:
    """The files that may be recordings, by their name."""
    return _words(sorted(str(path) for path in Path().glob("*.jsonl")))


def _commands(_session: Session) -> list[str]:
    return [*COMMANDS]


def _words(names: Iterable[str]) -> list[str]:
    """The names as they are typed; one that can't be typed is left out."""
    return [word for name in names if (word := quoted(name)) is not None]


_OFFERED: Mapping[Offer, Callable[[Session], list[str]]] = {
    "models": _models,
    "conversations": _conversations,
    "turns": _turns,
    "turns to restore": _turns_to_restore,
    "recordings": _recordings,
    "commands": _commands,
}
