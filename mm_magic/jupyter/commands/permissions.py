"""Who can read a recording, and the line that lets others read it."""

import os
import re
import shlex
import stat
from pathlib import Path

_PLAIN_NAME = re.compile(r"[\w ./:@+,=()-]+")


def who_can_read(path: Path, name: str, *, has_modes: bool = os.name == "posix") -> str:
    """A sentence on who can read the file that the user calls `name`.

    "" where its mode does not say, as on Windows, or it is just gone.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if not has_modes:
        return ""
    if mode & stat.S_IROTH:
        return "Everyone with access to the file's folder can read the file."
    if mode & stat.S_IRGRP:
        return "You and your group can read the file."
    return f"Only you can read the file; `!chmod g+r {_for_shell(name)}` lets your group read it."


def _for_shell(name: str) -> str:
    """The name as a word of `!`, which itself fills in `$name` and `{name}`; else FILE."""
    home, path = re.fullmatch("(~/)?(.*)", name, re.DOTALL).groups("")  # type: ignore[union-attr]
    if not _PLAIN_NAME.fullmatch(path) or path.startswith("~"):
        return "FILE"
    path = f"./{path}" if path.startswith("-") and not home else path
    return home + shlex.quote(path)
