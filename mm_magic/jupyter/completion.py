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
from mm_magic.jupyter.arguments import COMMANDS, options, replay_options
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
        previous = next((word for word in reversed(before) if word), "")
        words = [word for word in before if word] if head == "%minimax" else ["…"]
        found = _after_command(session, words[0]) if len(words) == 1 else []
        if words[:1] == ["replay"]:
            found = _after_replay(previous, has_file=len(words) > 1)
        if words[:1] == ["request"] and len(words) > 1:
            found = ["--events"]
        found = found or _candidates(session, previous, [] if words else sorted(COMMANDS))
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
            return _words(dict.fromkeys([*session.offered_models, *MODELS]))
        case "--thinking":
            return ["auto", "adaptive", "disabled"]
        case "-c" | "--conversation":
            return _names(session)
        case _:
            return [*commands, *options()]


def _after_command(session: Session, command: str) -> list[str]:
    """What may stand behind a command of `%minimax`."""
    if command == "record":
        return _recordings()
    if command in ("history", "reset"):
        return _names(session)
    if command in ("show", "request", "code", "forget", "restore"):
        conversation = session.conversations.get(session.options.conversation)
        numbers = [str(turn.number) for turn in conversation.turns] if conversation else []
        return [*numbers, *(["--events"] if command == "request" else [])]
    return []


def _after_replay(previous: str, *, has_file: bool) -> list[str]:
    if previous == "--speed":
        return ["max", "2", "10"]
    files = [] if has_file else _recordings()
    return [*files, *replay_options()]


def _recordings() -> list[str]:
    """The files that may be recordings, by their name."""
    return _words(sorted(str(path) for path in Path().glob("*.jsonl")))


def _names(session: Session) -> list[str]:
    """The conversations."""
    return _words(session.conversations)


def _words(names: Iterable[str]) -> list[str]:
    """The names as they are typed; one that can't be typed is left out."""
    return [word for name in names if (word := quoted(name)) is not None]
