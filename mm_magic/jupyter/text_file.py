"""The text of a file that a magic's line names with `@FILE`."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from mm_magic.conversation.near_file import near_file
from mm_magic.errors import UsageError
from mm_magic.wording import option, shortened

MAX_BYTES = 1_000_000
_SHOWN = 80  # characters of a name


def text_of(name: str, flags: tuple[str, ...]) -> str:
    """The text of a UTF-8 file, with "\\n" as its line ends whatever system wrote it.

    `flags` are the names of the option. Raises UsageError where the file is missing, larger than
    MAX_BYTES, no text, or not a regular file: a pipe or a device may never end.
    """
    if not name:
        raise UsageError(
            "@ must be followed by a file name", next_steps=(f"Write: `{flags[0]} @FILE`",)
        )
    try:
        text = _text(_read(Path(name).expanduser()))
    except FileNotFoundError:
        raise _error(name, flags, "does not exist", _alike(name, flags)) from None
    except _Unfit as unfit:
        raise _error(name, flags, *unfit.args) from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~nobody; ValueError: NUL
        reason = getattr(error, "strerror", None) or error
        raise _error(name, flags, f"can't be read: {reason}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text(data: bytes) -> str:
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
        if "\0" not in text:  # UTF-16 can pass for UTF-8 with a NUL in each character
            return text
    raise _Unfit("is not UTF-8 text", "Save it as UTF-8 text.")


class _Unfit(Exception):
    """What is wrong with a file, and what to do."""


def _read(path: Path) -> bytes:
    _check_regular(path.stat())
    # Another file may have taken its name since: a pipe is not waited for, and nothing is endless.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check_regular(os.fstat(file.fileno()))
        data = file.read(MAX_BYTES + 1) or b""
    if len(data) > MAX_BYTES:
        raise _Unfit(f"is too large: the limit is {MAX_BYTES:,} bytes", "Shorten it.")
    return data


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise _Unfit("is a folder", "Name a file inside it.")
    if not stat.S_ISREG(found.st_mode):
        raise _Unfit("is not a regular file", "Name a text file.")


def _error(name: str, flags: tuple[str, ...], what: str, step: str = "") -> UsageError:
    literal = option(flags[0], flags[-1], f"@@{name}")
    steps = (step, f"If it is text, not a file, write @ twice: `{literal}`" if literal else "")
    return UsageError(
        f"{shortened(name, _SHOWN)!r} {what}", next_steps=[each for each in steps if each]
    )


def _alike(name: str, flags: tuple[str, ...]) -> str:
    """The file that may be meant; "" if none is there."""
    path = Path(name)
    if (near := near_file(path)) is None:
        return ""
    line = option(flags[0], flags[-1], f"@{path.with_name(near)}")
    return f"Did you mean `{line}`?" if line else ""
