"""`{{name}}` in a prompt: a variable's value, and nothing else. No expression, no call.

Values are not scanned again, so that text in a variable can't ask for another variable.
"""

import re
from collections.abc import Mapping

from mm_magic.errors import UsageError

_STEP = r"""\.[A-Za-z_]\w*|\[-?\d+\]|\['[^'\]\n]*'\]|\["[^"\]\n]*"\]"""
_INSERT = re.compile(rf"\{{\{{[ \t]*([A-Za-z_]\w*)((?:{_STEP})*)[ \t]*\}}\}}")
_DOUBLE = re.compile(r"\{\{[^{}\n]{1,80}\}\}")
_SINGLE = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}(?!\})")


def fill(prompt: str, variables: Mapping[str, object]) -> str:
    """The prompt with each `{{name}}`, `{{name.attribute}}` and `{{name[0]}}` filled in.

    Raises UsageError that names a variable, attribute or item which does not exist.
    """
    return _INSERT.sub(lambda found: _text(found, variables), prompt)


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


def _text(found: re.Match[str], variables: Mapping[str, object]) -> str:
    value = _value(found, variables)
    try:
        return str(value)
    except Exception as error:  # __str__ may be the user's own, too
        raise _missing(found[0], f"its text: {type(error).__name__}") from None


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
