"""Which notebook files the words of a command line mean."""

import os
import re
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

from mm_magic.conversation.notebook_file import shown
from mm_magic.conversation.turn import is_notebook_name


def find_notebooks(words: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files, each once, and a sentence for each word or folder that brings none.

    A folder stands for its notebooks and those in the folders below it. A pattern with a star
    stands for what it matches, where the shell left that to us, as on Windows.
    """
    files: dict[Path, None] = {}
    problems: list[str] = []
    for word in words:
        matches = _matches(word)
        if not matches:
            problems.append(f"no notebook matches {shown(str(word))}")
        for path in matches:
            errors: list[OSError] = []
            is_folder = os.path.isdir(path)  # noqa: PTH112 - Path's raises where it may not look
            found = list(_below(path, errors)) if is_folder else [path]
            files.update(dict.fromkeys(found))
            problems += (_unreadable(error, path) for error in errors)
            if not found and not errors:
                problems.append(f"there is no notebook in {shown(str(path))}")
    return list(files), problems


def _matches(word: Path) -> list[Path]:
    """What a word leads to: itself if it is there, or has no star."""
    if os.path.lexists(word):
        return [word]
    text = os.path.expanduser(word)  # noqa: PTH111 - Path's raises for ~nobody
    if not re.search(r"[*?\[]", text):
        return [Path(text)]
    found = map(Path, sorted(glob(text, recursive=True)))  # noqa: PTH207 - Path's is relative
    return [path for path in found if path.is_dir() or _is_notebook(path.name)]


def _below(folder: Path, errors: list[OSError]) -> Iterator[Path]:
    """The notebooks in a folder and below it, but for hidden ones: checkpoints, and what a Mac
    packs into an archive beside each file."""
    for where, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(names) if _is_notebook(name))


def _is_notebook(name: str) -> bool:
    return is_notebook_name(name) and not name.startswith(".")


def _unreadable(error: OSError, folder: Path) -> str:
    where = shown(str(error.filename or folder))
    return f"{where} can't be read: {error.strerror or error}"
