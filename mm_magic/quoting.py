"""Text as a word of a magic's line, for lines that are offered to be copied and run."""

import re

from mm_magic.plain import plain

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
