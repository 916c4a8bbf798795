"""Text that is fit for a terminal, whoever wrote it."""

import re

_PICTURES: dict[int, int | str | None] = {c: 0x2400 + c for c in range(32) if chr(c) not in "\t\n"}
_PICTURES[0x7F] = 0x2421
_REPLACED = [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_NEWLINES = (0x2028, 0x2029)
_TAG_CHARACTERS = range(0xE0000, 0xE0080)
_PLAIN: dict[int, int | str | None] = (
    _PICTURES
    | dict.fromkeys(_REPLACED, "\ufffd")
    | dict.fromkeys(_NEWLINES, "\n")
    | dict.fromkeys(_TAG_CHARACTERS)
)


def plain(text: str) -> str:
    """`text` without control characters other than TAB and LF.

    A control character is shown as its picture (ESC as "␛"), so that the reader sees that it was
    sent; controls that reorder text become U+FFFD; invisible tag characters go.
    """
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\r\n", "\n").translate(_PLAIN)


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 turn", "3 turns"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_SAFE_WORD = re.compile(r"[A-Za-z0-9_./:@+-]+")


def quoted(text: str) -> str | None:
    """The word that is read as `text`, in quotes where it needs them.

    None where there is none: for what begins with a hyphen, as an option does, and for what holds
    a line break or a character that can't be seen.
    """
    return None if text.startswith("-") else _in_quotes(text)


def option(name: str, long: str, text: str) -> str | None:
    """An option with `text` as its value, as `-c "my talk"` or `--conversation=-x`; else None."""
    value = _in_quotes(text)
    if value is None or text == "--":  # argparse of Python 3.11 drops a "--" wherever it stands
        return None
    return f"{long}={value}" if text.startswith("-") else f"{name} {value}"


def _in_quotes(text: str) -> str | None:
    if "\n" in text or plain(text) != text:
        return None
    if _SAFE_WORD.fullmatch(text):
        return text
    # A magic's line knows no escapes, but quotes may alternate within a word.
    parts = []
    while text:
        part = max(text.partition("'")[0], text.partition('"')[0], key=len)
        parts.append(f"'{part}'" if '"' in part else f'"{part}"')
        text = text[len(part) :]
    return "".join(parts) or '""'
