"""`%%minimax Why is the sky blue?`: a prompt on the first line of a cell that has no other line.

Options go before it. A line that is a slip stays one: a whole command, an option that is misspelt,
behind the prompt or written as a word, and a text without its quotes. Words that only look like one
are a prompt: "Code review", "Help me", "yes".
"""

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path

from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.arguments import (
    CELL_ROWS,
    flags_of,
    lexer_of,
    parse,
    with_hyphens,
    words_of,
)
from mm_magic.jupyter.commands.table import COMMANDS, Command
from mm_magic.jupyter.lists import size_of_list
from mm_magic.jupyter.option_words import right_options, row_of
from mm_magic.session.options import SWITCH

_HYPHENS = "-‐‑‒–—―−"
_FLAGS = {flag: row for row in CELL_ROWS for flag in row.flags}


def unfolded(
    line: str,
    body: str,
    listed: Collection[str] = (),
    operands: Callable[[Command], Collection[str]] = lambda _: (),
) -> tuple[str, str]:
    """The options of a cell, and its prompt: the rest of its line, where it has no other line.

    Raises UsageError where that rest is a slip. `listed` are the models that the server offers,
    `operands` gives what there is now for a command: turns, conversations, files.
    """
    if body.strip():
        return line, body
    place = _prompt_place(line, listed)
    options, prompt = line[:place].strip(), line[place:].strip()
    if not prompt or prompt[0] in _HYPHENS or prompt[0] == "#" or mistakes.holds_key(prompt):
        return line, body  # the parser has something to say on it
    _check_command(prompt, operands)
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


def _check_command(prompt: str, operands: Callable[[Command], Collection[str]]) -> None:
    """Raise UsageError where the prompt is a whole command."""
    name, *words = prompt.split()
    command = COMMANDS.get(name.lower())
    if command is None:
        return
    if _takes(command, words, operands) if words else name == command.name:
        raise mistakes.command_in_cell(prompt, " ".join([command.name, *words]))


def _takes(
    command: Command, words: Sequence[str], operands: Callable[[Command], Collection[str]]
) -> bool:
    """Whether these are options of the command, or what it may be about: all else are words."""
    if any(word in flags_of(command.own_options) for word in words):
        return True
    last, kinds = words[-1], re.findall("[A-Z]+", command.operands)
    return len(words) <= len(command.operands.replace(" or ", "|").split()) and (
        (last.isdecimal() and "N" in kinds)
        or (_is_file(last) and "FILE" in kinds)
        or (row_of(last) is not None and command.group == "help")
        or last in operands(command)
    )


def _is_file(word: str) -> bool:
    return word.endswith((".jsonl", ".ipynb")) or Path(word).is_file()


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
