"""`python -m mm_magic extract`: the turns of notebook files as JSON lines, CSV or Markdown."""

import csv
import errno
import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from mm_magic.cli.files import write_whole
from mm_magic.cli.notebooks import find_notebooks
from mm_magic.conversation.notebook_file import FoundTurn, Notebook, load, shown
from mm_magic.conversation.reply import Reply, counted_usage
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import as_object
from mm_magic.session.options import ROWS
from mm_magic.transport.endpoint import Backend
from mm_magic.wording import counted, plain

Value: TypeAlias = str | int | float | None
Row: TypeAlias = dict[str, Value]

OPTIONS = {
    f"{row.name}_option" if row.name == "thinking" else row.name: row.wire_name or row.name
    for row in ROWS
    if row.wire and row.in_key and row.name != "model"
}
"""The columns of the options, and their names in a request. "thinking" is what was thought."""
COLUMNS = (
    *("file", "turn_id", "conversation", "number", "prompt", "thinking", "answer"),
    *("model", *OPTIONS, "backend", "input_tokens", "output_tokens", "seconds"),
    *("status", "state", "answer_number", "without"),
)
NOT_CHOSEN = "not chosen"
"""The state of an answer beside the one that is the turn."""
COPIED = "copied"
"""The state of a copy that `%minimax fork` made: its answer has another row."""
_BACKENDS: Mapping[Backend, str] = {
    "minimax": "MiniMax",
    "url": "own server",
    "offline": "demo",
    "recorded": "recorded",
}
# What acts in a terminal or reorders its text, and halves of characters, as the name of a file may
# hold them, which UTF-8 can't write; JSON itself escapes only the first 32.
_ACTS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")
_CLOSED = (errno.EPIPE, errno.EINVAL)
"""A pipe whose reader, as `head`, has enough; on Windows the second."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def extract(paths: Sequence[Path], form: str, target: Path | None) -> int:
    """Write the turns of notebooks, and of the notebooks in folders, to `target` or to stdout.

    Returns 0, or 1 if something could not be found, read or written: stderr tells what, and the
    rest is done.
    """
    files, problems = find_notebooks(paths)
    rows, read = _read(files, problems)
    for problem in problems:
        say(problem)
    if not files:
        return 1
    try:
        is_whole = _write(FORMATS[form](rows), target, "utf-8-sig" if form == "csv" else "utf-8")
    except OSError as error:
        where = "the output" if target is None else shown(str(target))
        say(f"{where} can't be written: {error.strerror or error}")
        return 1
    if is_whole and read:
        say(_in_all(rows, read))
    return int(bool(problems))


def _read(files: Iterable[Path], problems: list[str]) -> tuple[list[Row], int]:
    """The rows of all notebooks, and how many notebooks could be read; adds to `problems`."""
    rows: list[Row] = []
    read = 0
    for file in files:
        try:
            notebook = load(file)
        except UsageError as error:
            problems.append(error.card())
            continue
        read += 1
        rows += rows_of(notebook, str(file))
        for reason, count in notebook.unreadable.items():
            say(f"{shown(str(file))}: {counted(count, 'saved turn')} can't be read: {reason}")
    return rows, read


def _in_all(rows: Iterable[Row], read: int) -> str:
    """How many turns of how many notebooks, how many answers where there are more, and copies."""
    rows = list(rows)
    if not rows:
        return f"no saved turns in {counted(read, 'notebook')}"
    states = Counter(row["state"] for row in rows)
    answers, copies = len(rows) - states[COPIED], states[COPIED]
    turns = answers - states[NOT_CHOSEN]
    told = counted(turns, "turn") + (f" ({counted(answers, 'answer')})" if answers > turns else "")
    if copies:
        told += f" and {copies:,} {'copy' if copies == 1 else 'copies'}"
    return f"{told} from {notebooks_in_words(len({row['file'] for row in rows}), read)}"


def notebooks_in_words(some: int, of_all: int) -> str:
    """As "2 of 10 notebooks", or "10 notebooks" where it is all of them."""
    every = counted(of_all, "notebook")
    return every if some == of_all else f"{some:,} of {every}"


def rows_of(notebook: Notebook, file: str) -> Iterator[Row]:
    """A row for each turn: by conversation and number, then those that stand alone.

    A turn whose cell asked for several answers has a row for each of them.
    """
    standing = {
        (each.id, each.state.begins): each
        for latest, *_ in pasts(notebook).values()
        for each in latest.found
    }
    found = [(standing.get((each.id, each.state.begins)), each) for each in notebook.found]
    rows = [
        row for now, each in found for row in _rows(file, now or each, is_standing=now is not None)
    ]
    names = {name: place for place, name in enumerate(notebook.states)}
    return iter(sorted(rows, key=lambda row: (_place(row, names), row["number"])))


def _rows(file: str, found: FoundTurn, *, is_standing: bool) -> Iterator[Row]:
    """A row for each answer of a turn; only one of them was chosen as the turn's."""
    as_made = found.turn.as_made.answer
    for turn in found.turn.answers:
        turn_id = found.id if turn.answer == as_made else turn.id
        row = _row(file, turn_id, turn, is_standing=is_standing)
        yield row if turn is found.turn else {**row, "state": NOT_CHOSEN}


def _row(file: str, turn_id: str, turn: Turn, *, is_standing: bool) -> Row:
    reply = turn.reply
    usage = counted_usage(reply)
    if turn.conversation is None:
        state = "alone"
    elif turn.copy_of:
        state = COPIED
    elif turn.is_hidden:
        state = "hidden"
    else:
        state = "remembered" if is_standing else "not remembered"
    return {
        "file": file,
        "turn_id": turn_id,
        "conversation": turn.conversation,
        "number": turn.number,
        "prompt": str(turn.prompt),
        "thinking": reply.thinking,
        "answer": reply.text,
        "model": reply.model or turn.model,
        **{column: _option(turn, name) for column, name in OPTIONS.items()},
        "backend": _backend(reply),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "seconds": reply.seconds,
        "status": reply.status,
        "state": state,
        "answer_number": turn.answer or 1,
        "without": turn.without.what if turn.without else None,
    }


def _option(turn: Turn, name: str) -> Value:
    """What the request said of an option; an object such as {"type": "adaptive"} by its word."""
    value = turn.parameters.get(name)
    if words := as_object(value):
        value = next(iter(words.values()))
    return value if isinstance(value, str) else _number(value)


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _backend(reply: Reply) -> str:
    """Who answered, as "demo" or "recorded 2026-11-28, MiniMax"; a file holds no address."""
    who = _BACKENDS[reply.backend]
    if reply.origin is None:
        return who
    return f"{who} {reply.origin.day}".rstrip() + f", {_BACKENDS[reply.origin.backend]}"


def _place(row: Row, names: Mapping[str, int]) -> int:
    return names.get(str(row["conversation"]), len(names))


# The formats


def as_jsonl(rows: Iterable[Row]) -> str:
    """One JSON object a line; what would act in a terminal is escaped."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return "".join(_ACTS.sub(lambda found: json.dumps(found[0])[1:-1], line) for line in lines)


def as_csv(rows: Iterable[Row]) -> str:
    """A table with a heading.

    A spreadsheet runs a text that begins like a formula: an apostrophe before it takes that away.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _inert(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_markdown(rows: Iterable[Row]) -> str:
    """A text to read: all that was written by others is quoted, so that it can't end its part."""
    parts = []
    for file, of_file in groupby(rows, key=lambda row: row["file"]):
        parts.append(f"# {_line(file)}\n")
        for name, turns in groupby(of_file, key=lambda row: row["conversation"]):
            parts.append("## Alone\n" if name is None else f"## Conversation {_line(name)}\n")
            parts += map(_turn_as_markdown, turns)
    return "\n".join(parts)


def _turn_as_markdown(row: Row) -> str:
    tokens = f"{row['input_tokens']} in / {row['output_tokens']} out".replace("None", "?")
    used = [f"{name} {row[name]}" for name in OPTIONS if row[name] is not None]
    seconds = [] if row["seconds"] is None else [f"{row['seconds']:.1f} s"]
    left_out = [] if row["without"] is None else [f"without {row['without']}"]
    told = [
        *(row["model"], *used, *left_out, row["backend"], tokens, *seconds),
        *(row["status"], row["state"], row["turn_id"]),
    ]
    title = f"### Turn {row['number']}" if row["number"] else "### Turn"
    is_first = row["answer_number"] in (None, 1)
    parts = [title if is_first else f"{title}, answer {row['answer_number']}"]
    for name in ("prompt", "thinking", "answer"):
        if row[name]:
            parts += [f"**{name.capitalize()}**", _quoted(str(row[name]))]
    return "\n\n".join([*parts, " · ".join(map(_line, told))]) + "\n"


def _line(value: object) -> str:
    """One line of Markdown in which nothing is markup."""
    line = " ".join(plain(str(value)).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|&-])", r"\\\1", line)


def _quoted(text: str) -> str:
    from mm_magic.rendering.bundles import disarmed  # loads the Markdown parser

    return "\n".join(f"> {line}".rstrip() for line in disarmed(text).strip("\n").split("\n"))


FORMATS: Mapping[str, Callable[[Iterable[Row]], str]] = {
    "jsonl": as_jsonl,
    "csv": as_csv,
    "md": as_markdown,
}


# Out


def say(text: str) -> None:
    """Tell the user, on stderr."""
    print(f"mm_magic: {plain(text)}", file=sys.stderr)


def _write(text: str, target: Path | None, encoding: str) -> bool:
    """Whether all was taken. Raises OSError.

    A spreadsheet takes a file for UTF-8 only if it begins with a mark.
    """
    if target is not None:
        write_whole(target, text.encode(encoding))
        return True
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="replace", newline="\n")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError):  # Python writes once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno not in _CLOSED:
            raise
        return False
    return True
