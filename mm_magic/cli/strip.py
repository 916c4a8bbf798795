"""`python -m mm_magic strip`: takes what readers of the page can't see out of notebook files."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mm_magic.cli.extract import notebooks_in_words, say
from mm_magic.cli.files import write_whole
from mm_magic.cli.notebooks import find_notebooks
from mm_magic.conversation.notebook_file import cells_of, checked, joined, load_bytes, shown
from mm_magic.conversation.saved_turn import turns_of
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, as_object, as_text
from mm_magic.wording import counted, plain

THINKING = '<details class="mm-thinking'
COLUMNS = '<div class="mm-columns'
# More answers than stand side by side hold their thinking: as a box, or as a title with a quote.
# One that is not closed goes on to the end, on a page as well.
_BOX = re.compile(rf"{THINKING}.*?(?:</details>|\Z)", re.DOTALL)
_QUOTE = re.compile(
    r"^Thinking (?:of|for) answer \d[^\n]*:\n\n?(?:>[^\n]*(?:\n|\Z))++\n?", re.MULTILINE
)


def strip(paths: Sequence[Path], *, thinking: bool) -> int:
    """Take the saved turns out of notebooks, and with `thinking` all thinking that is shown.

    A folder stands for its notebooks, as in `extract`. A file without any stays as it is, to the
    byte. Returns 0, or 1 if a file could not be found, read or written: stderr tells which, and the
    others are done.
    """
    files, problems = find_notebooks(paths)
    done: list[Taken] = []
    for path in files:
        try:
            taken = strip_file(path, thinking=thinking)
        except UsageError as error:
            problems.append(error.card())
        except OSError as error:
            problems.append(f"{shown(str(path))} can't be written: {error.strerror or error}")
        else:
            done.append(taken)
            print(plain(f"{path}: {taken.in_words(thinking=thinking)}"))
    for problem in problems:
        say(problem)
    if len(done) > 1:
        print(_in_all(done, thinking=thinking))
    return int(bool(problems))


@dataclass(frozen=True, slots=True)
class Taken:
    """How many saved turns were taken out, and the thinking of how many answers.

    `is_changed`: a file also holds which turns were forgotten, and that goes, too.
    """

    turns: int
    boxes: int
    is_changed: bool

    def counts(self, *, thinking: bool) -> str:
        parts = [counted(self.turns, "saved turn")]
        if thinking:
            parts.append(f"the thinking of {counted(self.boxes, 'answer')}")
        return " and ".join(parts)

    def in_words(self, *, thinking: bool) -> str:
        if not self.is_changed:
            return "nothing to remove"
        return (
            f"removed {self.counts(thinking=thinking)}. The conversation can no longer be "
            "restored from this file, and Jupyter no longer trusts it."
        )


def strip_file(path: Path, *, thinking: bool) -> Taken:
    """Strip one file. Raises UsageError and OSError."""
    notebook = _parsed(load_bytes(path), str(path))
    saved = [each for cell in cells_of(notebook) for each in _take_saved(cell)]
    boxes = sum(map(_take_thinking, cells_of(notebook))) if thinking else 0
    if saved or boxes:
        write_whole(path, _text(notebook, str(path)))
    return Taken(_number_of_turns(saved), boxes, is_changed=bool(saved or boxes))


def _in_all(done: Sequence[Taken], *, thinking: bool) -> str:
    """What was taken out of how many of the notebooks."""
    turns, boxes = sum(each.turns for each in done), sum(each.boxes for each in done)
    changed = sum(each.is_changed for each in done)
    counts = Taken(turns, boxes, is_changed=bool(changed)).counts(thinking=thinking)
    return f"In all: removed {counts} from {notebooks_in_words(changed, len(done))}."


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


def _take_saved(cell: JsonObject) -> list[object]:
    """Take what was saved for the next kernel out of a cell's outputs, and return it."""
    taken: list[object] = []
    kept = []
    for output in _outputs(cell):
        data = as_object(as_object(output).get("data"))
        if TURN_MIME in data:
            taken.append(data.pop(TURN_MIME))
            if not data:
                continue
        kept.append(output)
    if taken:
        cell["outputs"] = kept
    return taken


def _number_of_turns(saved: Iterable[object]) -> int:
    """How many turns this is: one that was drawn again counts once."""
    turns = [each for one in saved for each in turns_of(one)]
    ids = [as_text(as_object(turn).get("id")) for turn in turns]
    return len(set(filter(None, ids))) + ids.count("")


def _take_thinking(cell: JsonObject) -> int:
    """Take what shows thinking out of a cell's outputs; return of how many answers."""
    outputs = _outputs(cell)
    kept = [output for output in outputs if not _shows_thinking(output)]
    if len(kept) < len(outputs):
        cell["outputs"] = kept
    return len(outputs) - len(kept) + sum(map(_take_boxes, kept))


def _take_boxes(output: object) -> int:
    """Take the thinking out of an output that shows several answers; return how many had some."""
    data = as_object(as_object(output).get("data"))
    html = joined(data.get("text/html"))
    if not html.startswith(COLUMNS):
        return 0
    rest, taken = _BOX.subn("", html)
    if taken:
        texts = {form: joined(data.get(form)) for form in ("text/markdown", "text/plain")}
        data["text/html"] = rest.splitlines(keepends=True)
        data |= {
            form: _QUOTE.sub("", text).splitlines(keepends=True)
            for form, text in texts.items()
            if text
        }
    return taken


def _outputs(cell: JsonObject) -> list[object]:
    outputs = cell.get("outputs")
    return outputs if isinstance(outputs, list) else []


def _shows_thinking(output: object) -> bool:
    html = as_object(as_object(output).get("data")).get("text/html")
    return joined(html).lstrip().startswith(THINKING)
