"""Tab on a `%minimax` or `%%minimax` line: options, commands, models, words of an option."""

from collections.abc import Callable, Sequence

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.catalog import MODELS
from mm_magic.notebook.arguments import COMMANDS, OPTIONS
from mm_magic.session import Session

Matcher = Callable[[CompletionContext], SimpleMatcherResult]


def matcher(session: Session) -> Matcher:
    """For `ip.Completer.custom_matchers`. It keeps other completions out of the magic's line."""

    def complete(context: CompletionContext) -> SimpleMatcherResult:
        line = context.line_with_cursor.split("\n")[0][: context.cursor_position]
        head, _, rest = line.lstrip().partition(" ")
        if head not in ("%minimax", "%%minimax") or not line.endswith(rest) or " " not in line:
            return {"completions": []}
        *before, fragment = rest.split(" ")
        previous = next((word for word in reversed(before) if word), "")
        may_be_command = head == "%minimax" and not any(before)
        found = _candidates(session, previous, sorted(COMMANDS) if may_be_command else [])
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


def _candidates(session: Session, previous: str, commands: Sequence[str]) -> list[str]:
    """What may stand behind the word `previous`."""
    match previous.replace("_", "-"):
        case "-m" | "--model":
            return list(dict.fromkeys([*session.offered_models, *MODELS]))
        case "--thinking":
            return ["auto", "adaptive", "disabled"]
        case "-c" | "--conversation":
            return list(session.conversations)
        case _:
            return [*commands, *(option for option in OPTIONS if len(option) > 2)]
