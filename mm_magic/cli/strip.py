"""`python -m mm_magic strip`: takes what readers of the page can't see out of notebook files."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mm_magic.cli.extract import say
from mm_magic.cli.files import write_whole
from mm_magic.cli.notebooks import find_notebooks
from mm_magic.conversation.notebook_file import cells_of, checked, joined, load_bytes, shown
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, as_object
from mm_magic.wording import counted, plain

THINKING = '<details class="mm-thinking'


def strip(paths: Sequence[Path], *, thinking: bool) -> int:
    """Take the saved turns out of notebooks, and with `thinking` the outputs that show thinking.

    A folder stands for its notebooks, as in `extract`. A file without any stays as it is, to the
    byte. Returns 0, or 1 if a file could not be found, read or written: stderr tells which, and the
    others are done.
    """
    files, problems = find_notebooks(paths)
    if isinstance(sys.stdout, io.TextIOWrapper):  # which may lack the letters of a file's name
        sys.stdout.reconfigure(errors="replace")
    for path in files:
        try:
            told = strip_file(path, thinking=thinking)
        except UsageError as error:
            problems.append(error.card())
        except OSError as error:
            problems.append(f"{shown(str(path))} can't be written: {error.strerror or error}")
        else:
            print(plain(f"{path}: {told}"))
    for problem in problems:
        say(problem)
    return int(bool(problems))


def strip_file(path: Path, *, thinking: bool) -> str:
    """Strip one file; return what was taken out. Raises UsageError and OSError."""
    notebook = _parsed(load_bytes(path), str(path))
    turns = sum(map(_take_turns, cells_of(notebook)))
    boxes = sum(map(_take_thinking, cells_of(notebook))) if thinking else 0
    if not turns and not boxes:
        return "nothing to take out"
    write_whole(path, _text(notebook, str(path)))
    parts = [counted(turns, "saved turn")]
    if thinking:
        parts.append(f"{counted(boxes, 'output')} with thinking")
    return (
        f"{' and '.join(parts)} taken out. The conversation can't be restored from it, and Jupyter "
        "does not trust the file any more."
    )


def _parsed(data: bytes, name: str) -> JsonObject:
    """The JSON as it stands: what is not taken out is not changed. Raises UsageError."""
    try:
        return checked(json.loads(data.decode("utf-8-sig")), name)
    except (ValueError, RecursionError):
        return checked(None, name)


def _text(notebook: JsonObject, name: str) -> bytes:
    """The file as Jupyter writes it. Raises UsageError."""
    try:
        text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    except RecursionError:
        return _text(checked(None, name), name)
    # Half a character, which UTF-8 can't hold, is written as it came: as an escape.
    return f"{text}\n".encode(errors="backslashreplace")


def _take_turns(cell: JsonObject) -> int:
    """Take the saved turns out of a cell's outputs; return how many."""
    taken = 0
    kept = []
    for output in _outputs(cell):
        data = as_object(as_object(output).get("data"))
        if TURN_MIME in data:
            taken += 1
            del data[TURN_MIME]
            if not data:
                continue
        kept.append(output)
    if taken:
        cell["outputs"] = kept
    return taken


def _take_thinking(cell: JsonObject) -> int:
    """Take the outputs that show thinking out of a cell; return how many."""
    outputs = _outputs(cell)
    kept = [output for output in outputs if not _shows_thinking(output)]
    if len(kept) < len(outputs):
        cell["outputs"] = kept
    return len(outputs) - len(kept)


def _outputs(cell: JsonObject) -> list[object]:
    outputs = cell.get("outputs")
    return outputs if isinstance(outputs, list) else []


def _shows_thinking(output: object) -> bool:
    html = as_object(as_object(output).get("data")).get("text/html")
    return joined(html).lstrip().startswith(THINKING)
