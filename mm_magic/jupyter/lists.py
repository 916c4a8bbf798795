"""Several values for one option on a magic's line: `-t 0.1,0.5`, `-m A -m B`."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from mm_magic.conversation.catalog import find
from mm_magic.errors import UsageError
from mm_magic.session.options import CODE, COUNT, NUMBER, Row
from mm_magic.session.variants import check_distinct

_COMMA_FOR_POINT = re.compile(r"\d+,\d+")
_COMMA_IN_NUMBER = re.compile(r"\d{1,3}(,\d{3})*,0\d\d(,\d{3})*")


def joined(words: Sequence[str], table: Sequence[Row], listed: Collection[str]) -> list[str]:
    """The words of a line, with a list that has spaces beside its commas as one word, and a type
    that has spaces in its brackets or beside a bar.

    A word beside such a comma belongs to the list only if the option can have it as a value.
    `listed` are the models that the server offers.
    """
    flags = {flag: row for row in table for flag in row.flags if _may_have_spaces(row)}
    found, place = [], 0
    while place < len(words):
        word = words[place]
        row, opens_here = _row_of(word, flags)
        if row is None or (not opens_here and place + 1 == len(words)):
            found.append(word)
            place += 1
            continue
        if not opens_here:
            found.append(word)
            place += 1
        size = size_of_list(row, words[place:], listed)
        between = " " if row.kind is CODE else ""
        found.append(between.join(words[place : place + size]))
        place += size
    return found


def _may_have_spaces(row: Row) -> bool:
    return row.kind is CODE or row.is_listed


def _row_of(word: str, flags: dict[str, Row]) -> tuple[Row | None, bool]:
    """The option that a word names, and whether its value begins in this very word."""
    if word in flags:
        return flags[word], False
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    return flags.get(name), True


def size_of_list(row: Row, words: Sequence[str], listed: Collection[str]) -> int:
    """How many of these words make the value that the first one begins."""
    size = 1
    while row.kind is CODE and size < len(words) and _goes_on(words[:size], words[size]):
        size += 1
    while row.is_listed and size < len(words):
        word = words[size]
        if word == "," and _are_values(row, words[size + 1 : size + 2], listed):
            size += 2
        elif (words[size - 1].endswith(",") or word[:1] == ",") and _are_values(
            row, [word], listed
        ):
            size += 1
        else:
            break
    return size


def _goes_on(words: Sequence[str], following: str) -> bool:
    """Whether a type goes on behind these words, in its brackets or beside a bar."""
    text = "".join(words)
    return text.count("[") > text.count("]") or text.endswith("|") or following[:1] == "|"


def _are_values(row: Row, words: Sequence[str], listed: Collection[str]) -> bool:
    parts = [part for word in words for part in word.split(",") if part]
    return bool(parts) and all(_is_value(row, part, listed) for part in parts)


def _is_value(row: Row, text: str, listed: Collection[str]) -> bool:
    if row.varies == "models":
        return text in listed or find(text) is not None
    try:
        row.read(text)
    except UsageError:
        return False
    return True


def several(
    row: Row, words: Sequence[str], read: Callable[[Row, str], object], listed: Collection[str]
) -> tuple[object, ...]:
    """The values that words give an option; `read` reads one of them. Raises UsageError."""
    found = tuple(value for word in words for value in values(row, word, read, listed))
    check_distinct(row, found)
    return found


def values(
    row: Row, word: str, read: Callable[[Row, str], object], listed: Collection[str]
) -> Iterator[object]:
    """The values that one word gives an option. Raises UsageError."""
    parts = [part.strip() for part in word.split(",")]
    if row.varies in ("listed", "names") and len(parts) > 1 and all(parts):
        _check_commas(row, word)
        yield from (read(row, part) for part in parts)
    elif row.varies == "models" and word not in listed and _are_models(row, parts, listed):
        yield from (read(row, part) for part in parts)
    else:
        yield read(row, word)


def _are_models(row: Row, parts: Sequence[str], listed: Collection[str]) -> bool:
    return all(parts) and all(_is_value(row, part, listed) for part in parts)


def _check_commas(row: Row, word: str) -> None:
    """Raise UsageError where the comma belongs to a number: 0,5 for 0.5, 2,048 for 2048."""
    is_list = all(_is_value(row, part.strip(), ()) for part in word.split(","))
    point, bare = word.replace(",", "."), word.replace(",", "")
    if row.kind is NUMBER and not is_list and _COMMA_FOR_POINT.fullmatch(word):
        what, right = f"write {point} with a decimal point", point
    elif row.kind is COUNT and _COMMA_IN_NUMBER.fullmatch(word):
        what, right = f"write {bare} without a comma", bare
    else:
        return
    if _is_value(row, right, ()):
        raise UsageError(
            f"{row.name} {word}: {what}", next_steps=(f"Write: `{row.flags[0]} {right}`",)
        )
