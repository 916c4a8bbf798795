"""Options that are written as words: `temperature 0.3` or `model=MiniMax-M3` for `-t 0.3`.

A line of such words is a slip; here is what the right line would be.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from mm_magic.conversation.catalog import find
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import CELL_ROWS, HELP
from mm_magic.jupyter.lists import size_of_list, values
from mm_magic.session.options import SWITCH, TEXT, TEXT_OR_FILE, Row
from mm_magic.wording import closest

_Find: TypeAlias = Callable[[str], Row | None]
_LINKS = ("=", ":", "to", "is")
"""What may stand between a name and its value."""


def row_of(word: str) -> Row | None:
    """The option that a word names, as `temperature`, `t`, `--top-p` or `max_tokens:`."""
    return _NAMES.get(_plain(word))


def right_options(words: Sequence[str], *, is_strict: bool = False) -> str | None:
    """The options that these words mean, as a line has them; None where they mean none.

    `is_strict` is for words that may as well be a prompt: then an option is named in full, one that
    takes any text needs an equals sign, or the name of a known model, and a switch its hyphen.
    """
    find = row_of if is_strict else _named
    todo, found = _parted(words, find), []
    while todo:
        if (taken := _first(todo, find, is_strict=is_strict)) is None:
            return None
        option, count = taken
        found.append(option)
        todo = todo[count:]
    return " ".join(found) or None


def _first(words: Sequence[str], find: _Find, *, is_strict: bool) -> tuple[str, int] | None:
    """The option that the first words mean, and how many of them it takes."""
    count = 2 if row_of("_".join(words[:2])) else 1  # "max tokens" before "max"
    if (row := find("_".join(words[:count]))) is None:
        return None
    if row.kind is SWITCH:
        is_sure = not is_strict or not words[0].isalpha()  # "dry-run", not "yes" or "dry run"
        return (_switch(row, words[:count]), count) if is_sure else None
    is_linked = count < len(words) and words[count] in _LINKS
    value = words[count + is_linked :]
    if row.kind is not TEXT_OR_FILE:
        value = value[: size_of_list(row, value, ())]
    is_sure = not is_strict or "=" in words[count : count + 1] or _is_plain_value(row, value)
    between = " " if row.kind is TEXT_OR_FILE else ""  # a list has no spaces beside its commas
    line = _on_line(row, between.join(value)) if value and is_sure else None
    return None if line is None else (line, count + is_linked + len(value))


def _is_plain_value(row: Row, value: Sequence[str]) -> bool:
    """Whether no prompt would go on like this behind the option's name."""
    is_free = row.kind in (TEXT, TEXT_OR_FILE) and not row.words
    return not is_free or (row.name == "model" and find(value[0] if value else "") is not None)


def _on_line(row: Row, text: str) -> str | None:
    try:
        found = [*values(row, text, Row.read, ())]
    except UsageError:
        return None
    return row.on_line(*found)


def _switch(row: Row, words: Sequence[str]) -> str:
    """The flag that the words spell, or else the first one."""
    spelt = _plain("_".join(words))
    return next((flag for flag in row.flags if _plain(flag) == spelt), row.flags[0])


def _named(word: str) -> Row | None:
    """The option of this name, or of a name that it is short for or a misspelling of."""
    name = _plain(word)
    if name in _NAMES:
        return _NAMES[name]
    longer = {row.name: row for known, row in _NAMES.items() if known.startswith(name)}
    if len(name) > 2 and len(longer) == 1:
        return next(iter(longer.values()))
    close = closest(name, [known for known in _NAMES if len(known) > 2], cutoff=0.8)
    return _NAMES[close] if close else None


def _parted(words: Sequence[str], find: _Find) -> list[str]:
    """`temperature=0.3` and `temperature: 0.3` as three words."""
    found: list[str] = []
    for word in words:
        parts = re.fullmatch(r"(-*\w[\w-]*)([=:])(.*)", word, re.DOTALL)
        named = parts is not None and find(parts[1]) is not None
        found += [part for part in parts.groups() if part] if parts and named else [word]
    return found


def _plain(word: str) -> str:
    return word.lower().strip("-=: ").replace("-", "_")


_NAMES = {
    _plain(name): row for row in CELL_ROWS if row is not HELP for name in (row.name, *row.flags)
}
