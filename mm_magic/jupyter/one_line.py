"""`%%minimax Why is the sky blue?`: a prompt on the first line of a cell that has no other line.

Options go before it. A line that is likelier to be a slip stays one: a command, an option that is
misspelt, behind the prompt or written as a word, and a text without its quotes.
"""

from collections.abc import Collection
from contextlib import suppress
from io import StringIO

from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.arguments import CELL_ROWS, lexer_of, parse, with_hyphens, words_of
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.jupyter.lists import size_of_list
from mm_magic.jupyter.option_words import right_options
from mm_magic.session.options import SWITCH
from mm_magic.wording import closest

_HYPHENS = "-‐‑‒–—―−"
_FLAGS = {flag: row for row in CELL_ROWS for flag in row.flags}


def unfolded(line: str, body: str, listed: Collection[str] = ()) -> tuple[str, str]:
    """The options of a cell, and its prompt: the rest of its line, where it has no other line.

    Raises UsageError where that rest is likelier to be a slip. `listed` are the models that the
    server offers.
    """
    if body.strip():
        return line, body
    place = _prompt_place(line, listed)
    options, prompt = line[:place].strip(), line[place:].strip()
    if not prompt or prompt[0] in _HYPHENS or prompt[0] == "#" or mistakes.holds_key(prompt):
        return line, body  # the parser has something to say on it
    _check_command(prompt)
    _check_options(options, prompt)
    return options, prompt


def _prompt_place(line: str, listed: Collection[str]) -> int:
    """Where the options at the beginning of a line end."""
    words, ends = _words_with_ends(line)
    place = 0
    while place < len(words) and words[place].startswith("-"):
        flag, equals, _ = with_hyphens(words[place]).partition("=")
        row = _FLAGS.get(flag) or _FLAGS.get(flag[:2] if flag[1:2] != "-" else flag)
        if row is None:
            break
        takes_word = row.kind is not SWITCH and not equals and flag in row.flags
        value = words[place + takes_word :]
        if not value:
            break
        if takes_word and row.kind.may_be_file and _is_bare(line[ends[place] :]):
            return len(line)  # a text without quotes may go on
        place += takes_word + size_of_list(row, value, listed)
    return ends[place - 1] if place else 0


def _words_with_ends(line: str) -> tuple[list[str], list[int]]:
    """The words of a line, and where each ends; up to a quote that is not closed."""
    source = StringIO(line)
    lexer = lexer_of(source)
    words, ends = [], []
    with suppress(ValueError):
        while (word := lexer.get_token()) is not None:
            words.append(word)
            ends.append(source.tell())
    return words, ends


def _is_bare(written: str) -> bool:
    """Whether the text of an option is written without quotes."""
    return written.lstrip()[:1] not in ("'", '"', "@")


def _check_command(prompt: str) -> None:
    """Raise UsageError where a command is meant, perhaps a misspelt one."""
    words = prompt.split()
    name = words[0].lower().rstrip("?.!")
    command = COMMANDS.get(name)
    if command is None and len(words) == 1:
        command = COMMANDS.get(closest(name, [*COMMANDS], cutoff=0.8) or "")
    if command is not None and _may_take(command, words[1:]):
        raise mistakes.command_in_cell(prompt, " ".join([command.name, *words[1:]]))


def _may_take(command: Command, words: Collection[str]) -> bool:
    has_option = command.options is not None and any(word.startswith("--") for word in words)
    return has_option or len(words) <= bool(command.operands)


def _check_options(options: str, prompt: str) -> None:
    """Raise UsageError where options are written as words, or behind the prompt."""
    if right := right_options(prompt.split(), is_strict=True):
        raise mistakes.option_without_hyphen(prompt, f"{options} {right}".strip())
    words = prompt.split(" ")
    for place in range(1, len(words)):
        if words[place][:1] == "-" and _is_options(tail := " ".join(words[place:])):
            asked = " ".join(words[:place]).strip()
            raise mistakes.options_behind(f"{options} {tail}".strip(), asked)


def _is_options(line: str) -> bool:
    """Whether a line is options alone, with values that they may have."""
    try:
        return not parse(line).words and "--" not in words_of(line)
    except UsageError:
        return False
