"""Tab on a `%minimax` or `%%minimax` line."""

from collections.abc import Callable

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.commands.here import Here

Matcher = Callable[[CompletionContext], SimpleMatcherResult]


def matcher(here: Here) -> Matcher:
    """For `ip.Completer.custom_matchers`. It keeps other completions out of the magic's line."""

    def complete(context: CompletionContext) -> SimpleMatcherResult:
        line = context.line_with_cursor.split("\n")[0][: context.cursor_position]
        head, _, rest = line.lstrip().partition(" ")
        if head not in ("%minimax", "%%minimax") or not line.endswith(rest) or " " not in line:
            return {"completions": []}
        from mm_magic.jupyter import offered_words  # with all commands: %load_ext is quick

        *before, fragment = rest.split(" ")
        words = [word for word in before if word]
        if head == "%minimax":
            found = offered_words.behind_line_magic(here, words)
        else:
            prompt = context.full_text.partition("\n")[2]
            found = offered_words.behind_cell_magic(here, words, prompt)
        listed = fragment[: fragment.rfind(",") + 1] if offered_words.is_list(words) else ""
        return {
            "completions": [
                SimpleCompletion(text=f"{listed}{text}", type="magic")
                for text in found
                if f"{listed}{text}".startswith(fragment)
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
