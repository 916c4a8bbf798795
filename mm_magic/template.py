"""`{{name}}` in a prompt: a variable's value, and nothing else. No expression, no call.

Values are not scanned again, so that text in a variable can't ask for another variable. A pandas
table goes in as a Markdown table, and not the whole of a long one.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from mm_magic.dataframes import is_picture, table_of
from mm_magic.errors import UsageError

_STEP = r"""\.[A-Za-z_]\w*|\[-?\d+\]|\['[^'\]\n]*'\]|\["[^"\]\n]*"\]"""
_INSERT = re.compile(rf"\{{\{{[ \t]*([A-Za-z_]\w*)((?:{_STEP})*)[ \t]*\}}\}}")
_DOUBLE = re.compile(r"\{\{[^{}\n]{1,80}\}\}")
_SINGLE = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}(?!\})")


class Filled(NamedTuple):
    """A prompt with its values in; `notes` say of which only a part is, as "df: 20 of 80 rows"."""

    prompt: str
    notes: tuple[str, ...] = ()


def fill(prompt: str, variables: Mapping[str, object]) -> Filled:
    """The prompt with each `{{name}}`, `{{name.attribute}}` and `{{name[0]}}` filled in.

    Raises UsageError that names a variable, attribute or item which does not exist, and one for a
    picture.
    """
    notes: dict[str, None] = {}

    def text(found: re.Match[str]) -> str:
        text, left_out = _text(found, variables)
        if left_out:
            notes[f"{found[1]}{found[2]}: {left_out}."] = None
        return text

    return Filled(_INSERT.sub(text, prompt), tuple(notes))


def braces_hint(prompt: str, variables: Mapping[str, object]) -> str | None:
    """A sentence if something in braces is sent as it stands that may be meant to be filled in.

    That is `{name}` of a variable, and `{{…}}` that holds a variable but is no plain name.
    """
    for found in _SINGLE.finditer(prompt):
        name = found[1]
        if name in variables and not name.startswith("_"):
            return f"{{{name}}} was sent as it stands; write {{{{{name}}}}} to put in its value."
    for found in _DOUBLE.finditer(_INSERT.sub("", prompt)):
        if any(name in variables for name in re.findall(r"[A-Za-z_]\w+", found[0])):
            return (
                f"{found[0]} was sent as it stands: only names, as in {{{{name}}}}, "
                "{{row.title}} or {{xs[0]}}, are filled in."
            )
    return None


def _value(found: re.Match[str], variables: Mapping[str, object]) -> object:
    name, path = found[1], found[2]
    if name not in variables:
        raise _missing(found[0], f"there is no variable {name!r}")
    value = variables[name]
    for step in re.findall(_STEP, path):
        try:
            value = getattr(value, step[1:]) if step.startswith(".") else _item(value, step[1:-1])
        except Exception as error:  # a property or __getitem__ of the user's may raise anything
            raise _missing(found[0], f"{step} of {name!r}: {type(error).__name__}") from None
    return value


def _text(found: re.Match[str], variables: Mapping[str, object]) -> tuple[str, str]:
    """The text of a value, and what of it is left out."""
    value = _value(found, variables)
    if is_picture(value):
        raise UsageError(
            f"{found[0]} is a picture ({type(value).__name__}), and only text can be sent",
            next_steps=("Send the numbers behind it: a table, or a list of values.",),
        )
    try:
        table = table_of(value)
        return (str(value), "") if table is None else (_apart(found, table.text), table.left_out)
    except Exception as error:  # __str__ may be the user's own, too
        raise _missing(found[0], f"its text: {type(error).__name__}") from None


def _apart(found: re.Match[str], table: str) -> str:
    """A table between blank lines: without them the words beside it would be part of it."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    above = len(before) - len(before.rstrip("\n")) if before else 2
    below = len(after) - len(after.lstrip("\n")) if after else 2
    return "\n" * (2 - above) + table + "\n" * (2 - below)


def _item(value: object, key: str) -> object:
    index: object = key[1:-1] if key[0] in "'\"" else int(key)
    item: object = value[index]  # type: ignore[index]
    return item


def _missing(insert: str, why: str) -> UsageError:
    return UsageError(
        f"{insert} can't be filled in: {why}",
        next_steps=(
            "Run the cell that defines it first, or correct the name.",
            "Add --literal to send double braces as they stand.",
        ),
    )
