"""`{{name}}` in a prompt: a variable's value, and nothing else. No expression, no call.

Values are not scanned again, so that text in a variable can't ask for another variable. A table
goes in as a Markdown table, and not the whole of a long one; a figure or an image as a picture.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from mm_magic.errors import UsageError
from mm_magic.prompt.no_data import HERE, NoDataError
from mm_magic.prompt.pictures import NoPictureHereError, PictureError, picture_of
from mm_magic.prompt.values import text_of
from mm_magic.protocol.messages import ImageBlock, TextBlock, said
from mm_magic.wording import closest, counted, shortened

# In step with mm_magic/labextension/static/prose.js, which marks it.
_NAME = r"[^\W\d]\w*"
_STEP = rf"""\.{_NAME}|\[-?[0-9]+\]|\['[^'\n]*'\]|\["[^"\n]*"\]"""
_INSERT = re.compile(rf"\{{\{{[ \t]*({_NAME})((?:{_STEP})*)[ \t]*\}}\}}")
_DOUBLE = re.compile(r"\{\{[^{}\n]{1,200}\}\}")
_SINGLE = re.compile(rf"(?<!\{{)\{{({_NAME})\}}(?!\}})")
_QUOTES = "'\""
_LONGEST = 40
"""Characters of the user's own text that a sentence shows at most."""
_KEYS = 5
_LOOKED_AT = 1000  # keys of a value
_LITERAL = "Add --literal to send double braces as written."


class Filled(NamedTuple):
    """A prompt with its values put in.

    `notes` name values that were cut, as in "Sent from df: 20 of 80 rows."
    """

    prompt: str
    notes: tuple[str, ...] = ()


class FilledContent(NamedTuple):
    """The same where a value may be a picture: text and pictures in their order."""

    content: tuple[TextBlock | ImageBlock, ...]
    notes: tuple[str, ...] = ()


def fill(prompt: str, variables: Mapping[str, object]) -> Filled:
    """As `fill_in`, for a prompt that is one of many. Raises NoPictureHereError for a picture."""
    content, notes = fill_in(prompt, variables)
    if any(isinstance(block, ImageBlock) for block in content):
        raise NoPictureHereError
    return Filled("".join(map(said, content)), notes)


def fill_in(prompt: str, variables: Mapping[str, object], *, without: str = "") -> FilledContent:
    """The prompt with each `{{name}}`, `{{name.attribute}}` and `{{name[0]}}` filled in.

    Nothing is put in for the name `without`.

    Raises UsageError that names a variable, attribute or item which does not exist, and one for a
    picture that can't be sent, a plan, an open file or another value that is no data.
    """
    content: list[TextBlock | ImageBlock] = []
    notes: dict[str, None] = {}
    texts: list[str] = []
    end = 0
    for found in _INSERT.finditer(prompt):
        texts.append(prompt[end : found.start()])
        end = found.end()
        if found[1] == without:
            continue
        put_in, left_out = _put_in(found, variables)
        if left_out:
            notes[f"Sent from {found[1]}{found[2]}: {left_out}."] = None
        if isinstance(put_in, str):
            texts.append(put_in)
        else:
            content += [*_text_blocks(texts), put_in]
            texts = []
    texts.append(prompt[end:])
    return FilledContent((*content, *_text_blocks(texts, is_all=not content)), tuple(notes))


def _text_blocks(texts: Sequence[str], *, is_all: bool = False) -> list[TextBlock]:
    """The text before, between or behind pictures; servers refuse one of white space."""
    text = "".join(texts)
    return [TextBlock(text)] if is_all or text.strip() else []


def names_in(prompt: str) -> set[str]:
    """The names that `fill` looks up."""
    return {found[1] for found in _INSERT.finditer(prompt)}


def inserts(prompt: str) -> list[tuple[str, str, str]]:
    """What `fill` fills in: as it is written, its name, and the first step behind the name.

    The step of `{{row.title}}` and of `{{row['title']}}` is `title`, that of `{{row}}` is "".
    """
    found = []
    for insert in _INSERT.finditer(prompt):
        first = re.match(_STEP, insert[2])
        found.append((insert[0], insert[1], _named(first[0]) if first else ""))
    return found


def _named(step: str) -> str:
    """What a step looks up: `title` of `.title`, `No.` of `['No.']`, `0` of `[0]`."""
    if step.startswith("."):
        return step[1:]
    inside = step[1:-1]
    return inside[1:-1] if inside[0] in _QUOTES else inside


def may_have_made(prompt: str, text: str) -> bool:
    """Whether `fill` can make this text of a prompt that has inserts, with some values.

    Of a prompt that is nothing but inserts anything can be made, which says nothing: False.
    """
    first, *between, last = _literals(prompt)
    if not "".join((first, *between, last)).strip() or not text.startswith(first):
        return False
    at = len(first)
    for part in between:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return text[at:].endswith(last)


def _literals(prompt: str) -> list[str]:
    """What stands before, between and behind the inserts."""
    places = [place for found in _INSERT.finditer(prompt) for place in found.span()]
    starts, ends = [0, *places[1::2]], [*places[::2], len(prompt)]
    return [prompt[start:end] for start, end in zip(starts, ends, strict=True)]


def in_single_braces(prompt: str) -> list[str]:
    """The names that stand in single braces, where `fill` looks up none."""
    return [found[1] for found in _SINGLE.finditer(prompt)]


def in_double_braces(prompt: str) -> list[str]:
    """What stands in double braces and is no name that `fill` looks up."""
    return [found[0] for found in _DOUBLE.finditer(prompt) if _is_code(found[0])]


def braces_hint(prompt: str, variables: Mapping[str, object]) -> str | None:
    """A sentence if something in braces is sent as it stands that may be meant to be filled in.

    That is `{{…}}` that is more than a name, and `{name}` of a variable. Mark-up and templates
    hold such braces on purpose: it is no more than a hint.
    """
    unfilled = dict.fromkeys(found[0] for found in _DOUBLE.finditer(prompt) if _is_code(found[0]))
    if unfilled:
        first, *others = unfilled
        sent = f"and {len(others)} more were sent as written" if others else "was sent as written"
        return (
            f"{shortened(first, _LONGEST)} {sent}: only a name, an attribute or an "
            "index is filled in, such as {{name}}, {{row.title}} or {{xs[0]}}. "
            "Compute the value in a cell above and use the variable's name. To send braces as "
            "written without this note, add --literal."
        )
    for found in _SINGLE.finditer(prompt):
        name = found[1]
        if name in variables and not name.startswith("_"):
            return f"{{{name}}} was sent as written; write {{{{{name}}}}} to send its value."
    return None


def _is_code(double: str) -> bool:
    """Whether these braces hold something other than a name that is filled in."""
    return _INSERT.fullmatch(double) is None and re.search(r"\w", double) is not None


def _value(found: re.Match[str], variables: Mapping[str, object]) -> object:
    name, path = found[1], found[2]
    if name not in variables:
        why = f"there is no variable {name!r}"
        near = closest(name, [each for each in variables if not each.startswith("_")])
        guess = [_meant(f"{near}{path}")] if near else []
        step = "First run the cell that defines it, or correct the name."
        raise _unfilled(found[0], why, *guess, step)
    value = variables[name]
    for step in re.findall(_STEP, path):
        try:
            value = getattr(value, step[1:]) if step.startswith(".") else _item(value, step[1:-1])
        except Exception as error:  # a property or __getitem__ of the user's may raise anything
            why = f"looking up {step} in {name!r} raised {type(error).__name__}"
            raise _unfilled(found[0], why, *_what_is_there(name, value, step, error)) from None
        name += step
    return value


def _what_is_there(name: str, value: Any, step: str, error: Exception) -> list[str]:
    """What to write instead of a step that `value` does not have."""
    try:
        if isinstance(error, KeyError):
            return [*_near_key(name, value, _named(step)), _keys(name, value)]
        if isinstance(error, IndexError):
            return [_items(name, value)]
        if isinstance(error, AttributeError):
            if isinstance(value, Mapping):
                return [*_in_brackets(name, value, step[1:]), _keys(name, value)]
            if near := _near_attribute(value, step[1:]):
                return [_meant(f"{name}.{near}")]
        if isinstance(error, TypeError) and (near := _near_attribute(value, _named(step))):
            return [_meant(f"{name}.{near}")]
    except Exception:  # its own methods may raise anything, too
        pass
    return [f"Display {name} in a cell of its own, then correct the part after {name}."]


def _meant(path: str) -> str:
    return f"Did you mean `{{{{{path}}}}}`?"


def _near_key(name: str, value: Any, key: str) -> list[str]:
    """The sentence on the key that may be meant, if there is one that an insert can name."""
    path = _path_of_key(name, value, key)
    return [_meant(path)] if path else []


def _in_brackets(name: str, value: Mapping[Any, Any], key: str) -> list[str]:
    """The same where the key was written as an attribute."""
    path = _path_of_key(name, value, key)
    what = "dict" if isinstance(value, dict) else "mapping"
    return [f"{name} is a {what}; try `{{{{{path}}}}}`."] if path else []


def _path_of_key(name: str, value: Any, key: str) -> str | None:
    """The path to the key most like `key`; None if there is none that an insert can name."""
    keys = [each for each in islice(value.keys(), _LOOKED_AT) if isinstance(each, str)]
    near = closest(key, keys) or ""
    quote = '"' if "'" in near else "'"
    path = f"{name}[{quote}{near}{quote}]"
    return path if near and _INSERT.fullmatch(f"{{{{{path}}}}}") else None


def _keys(name: str, value: Any) -> str:
    keys = [shortened(repr(key), _LONGEST) for key in islice(value.keys(), _KEYS + 1)]
    more = " and more" if len(keys) > _KEYS else ""
    return f"The keys of {name}: {', '.join(keys[:_KEYS]) or 'none'}{more}."


def _items(name: str, value: Any) -> str:
    count = len(value)
    last = ": [0]" if count == 1 else f": [0] to [{count - 1}]" if count else ""
    return f"{name} has {counted(count, 'item')}{last}."


def _near_attribute(value: object, name: str) -> str | None:
    """The attribute that may be meant; a method can't be sent."""
    near = closest(name, [each for each in dir(value) if not each.startswith("_")])
    return None if near is None or callable(getattr(value, near)) else near


def _put_in(found: re.Match[str], variables: Mapping[str, object]) -> tuple[str | ImageBlock, str]:
    """The picture or the text of a value, and what of it is left out."""
    value = _value(found, variables)
    try:
        if (picture := picture_of(value)) is not None:
            return picture
        text, left_out, is_apart = text_of(value)
    except NoDataError as error:
        is_or_holds = "is" if error.place == HERE else "holds"
        raise UsageError(
            f"{found[0]} {is_or_holds} {error.what}, but only text and pictures can be sent",
            next_steps=(error.step(found[1] + found[2]), _LITERAL),
        ) from None
    except NoPictureHereError:  # in a row that is put in as a whole
        raise
    except PictureError as error:
        raise _unfilled(found[0], str(error), error.step.format(found[1] + found[2])) from None
    except Exception as error:  # __str__ may be the user's own, too
        step = "Turn it into text in a cell above, for example with `text = …`, and write {{text}}."
        raise _unfilled(
            found[0], f"converting it to text raised {type(error).__name__}", step
        ) from None
    return (_apart(found, text) if is_apart else text), left_out


def _apart(found: re.Match[str], text: str) -> str:
    """A text between blank lines: without them the words beside a table would be part of it."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    above = len(before) - len(before.rstrip("\n")) if before else 2
    below = len(after) - len(after.lstrip("\n")) if after else 2
    return "\n" * (2 - above) + text + "\n" * (2 - below)


def _item(value: object, key: str) -> object:
    index: object = key[1:-1] if key[0] in _QUOTES else int(key)
    item: object = value[index]  # type: ignore[index]
    return item


def _unfilled(insert: str, why: str, *steps: str) -> UsageError:
    return UsageError(f"{insert} can't be filled in: {why}", next_steps=(*steps, _LITERAL))
