"""The turns in a notebook file: its JSON in, values out. Nothing here knows of Jupyter.

A file can come from anybody: it is read as data, each turn by itself, and what can't be read is
counted and told, and loses nothing else.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mm_magic.conversation.conversation import State
from mm_magic.conversation.near_file import near_file
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.saved_turn import (
    MAX_TURN_NESTING,
    SavedPick,
    SavedTurn,
    UnreadableTurn,
    read_picks,
    read_record,
    read_turn,
)
from mm_magic.conversation.turn import TURN_MIME, Turn, TurnKey
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import (
    MAX_NESTING,
    JsonObject,
    as_count,
    as_object,
    as_text,
    is_deep,
    parse_json,
)
from mm_magic.transport.recording.file_format import version_of
from mm_magic.wording import plain

MAX_BYTES = 100_000_000
"""Of a file. 100 MB of pictures are read in 1.3 s; of small numbers it would be 15 s and 1.5 GB."""
MAX_FILE_NESTING = 4 * MAX_NESTING
"""Levels of objects and arrays: other outputs may be deep, too. Jupyter can't save 500."""


@dataclass(frozen=True, slots=True, eq=False)
class NotebookCell:
    """A code cell. `id` is made up of its place where the file has none: "#3" is the third."""

    id: str
    label: str
    source: str
    outputs: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FoundTurn:
    """A turn, the state of its conversation when it was drawn, and the cell that holds it.

    `id` is the turn's as the file has it, whatever number the turn gets later.
    """

    id: str
    turn: Turn
    state: State
    is_copy: bool
    cell: NotebookCell


@dataclass(frozen=True, slots=True, eq=False)
class FoundPick:
    """A pick, the state of its conversation when it was made, and the cell that holds it."""

    saved: SavedPick
    state: State
    cell: NotebookCell

    def of_turn(self, number: int, *, is_undone: bool) -> Pick:
        """The pick itself, for the turn with this number."""
        saved = self.saved
        key = None if saved.is_copy else TurnKey(self.cell.id, saved.index_in_cell)
        return Pick(key, number, saved.answer, saved.change, is_undone, saved.extra)


@dataclass(frozen=True, slots=True, eq=False)
class Notebook:
    """What a notebook file holds.

    `found` has each turn once, and `picks` what was picked. `states` are all that the file tells
    of each conversation. `unreadable` counts the turns that can't be read, by reason.
    """

    cells: tuple[NotebookCell, ...]
    found: tuple[FoundTurn, ...]
    states: Mapping[str, tuple[State, ...]]
    unreadable: Mapping[str, int]
    picks: tuple[FoundPick, ...]

    def has_cell(self, cell_id: str) -> bool:
        return any(cell.id == cell_id for cell in self.cells)


def load(path: str | os.PathLike[str]) -> Notebook:
    """Read a notebook file. Raises UsageError, with the file's name in it."""
    return read(load_bytes(path), os.fspath(path))


def load_bytes(path: str | os.PathLike[str], name: str = "") -> bytes:
    """The bytes of a regular file that is not too large. Raises UsageError, with `name` in it."""
    where, name = Path(path), name or os.fspath(path)
    try:
        found = where.stat()
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise UsageError(f"{shown(name)} is {what}")
        if found.st_size <= MAX_BYTES:
            return where.read_bytes()
    except FileNotFoundError:
        near = near_file(where)
        steps = [f"Did you mean {shown(near)}, which is in the same folder?"] if near else []
        raise UsageError(f"there is no file {shown(name)}", next_steps=steps) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{shown(name)} can't be read: {reason}") from None
    raise UsageError(
        f"{shown(name)} is too large: {found.st_size:,} bytes, and the limit is {MAX_BYTES:,}",
        next_steps=("Clear its large outputs, such as pictures and tables, and save it.",),
    )


def read(data: bytes, name: str = "the notebook") -> Notebook:
    """Read a notebook's JSON. Raises UsageError, with `name` in it."""
    if version_of(data[:1000].split(b"\n")[0], name):
        raise UsageError(
            f"{shown(name)} is a recording, not a notebook",
            next_steps=("To answer from a recording: `%minimax replay FILE`",),
        )
    notebook = checked(parse_json(data, limit=MAX_FILE_NESTING), name)
    reader = _Reader(may_be_deep=is_deep(notebook, MAX_TURN_NESTING))
    for number, cell in enumerate(cells_of(notebook), start=1):
        reader.add(_cell(cell, number))
    return reader.notebook()


def checked(wire: object, name: str) -> JsonObject:
    """The JSON of a notebook, if it is one of format 4; None is no JSON. Raises UsageError."""
    if wire is None:
        raise UsageError(f"{shown(name)} is not JSON, or it is nested too deeply")
    found = as_object(wire)
    version = as_count(found.get("nbformat"))
    if version is None:
        raise UsageError(f"{shown(name)} is not a notebook: its JSON has no nbformat")
    if version < 4:
        raise UsageError(
            f"{shown(name)} has notebook format {version}; format 4 is needed",
            next_steps=("Open it in Jupyter and save it, which brings it up to date.",),
        )
    if version > 4:
        raise UsageError(
            f"{shown(name)} has notebook format {version}; this release of mm_magic reads format 4"
        )
    if not isinstance(found.get("cells"), list):
        raise UsageError(f"{shown(name)} is not a notebook: it has no list of cells")
    return found


def cells_of(notebook: JsonObject) -> Iterator[JsonObject]:
    """The code cells, as JSON."""
    return (cell for cell in _objects(notebook.get("cells")) if cell.get("cell_type") == "code")


def outputs_of(cell: JsonObject) -> Iterator[JsonObject]:
    """The outputs of a cell, as JSON."""
    return _objects(cell.get("outputs"))


def joined(text: object) -> str:
    """A text of a notebook, which may be kept as a list of lines."""
    return "".join(map(as_text, text)) if isinstance(text, list) else as_text(text)


def shown(name: str) -> str:
    """A file's name for a message."""
    return repr(plain(name))


def _objects(value: object) -> Iterator[JsonObject]:
    items = value if isinstance(value, list) else ()
    return (each for each in items if isinstance(each, dict))


def _cell(wire: JsonObject, number: int) -> NotebookCell:
    count = as_count(wire.get("execution_count"))
    return NotebookCell(
        id=as_text(wire.get("id")) or f"#{number}",
        label="" if count is None else f"[{str(count)[:9]}]",
        source=joined(wire.get("source")),
        outputs=tuple(outputs_of(wire)),
    )


class _Reader:
    """Takes the cells of one notebook, in order."""

    def __init__(self, *, may_be_deep: bool) -> None:
        self._may_be_deep = may_be_deep
        self._cells: list[NotebookCell] = []
        self._found: list[FoundTurn] = []
        self._picks: list[FoundPick] = []
        self._states: dict[str, list[State]] = {}
        self._unreadable: Counter[str] = Counter()
        self._keys: set[tuple[str | None, TurnKey]] = set()

    def add(self, cell: NotebookCell) -> None:
        self._cells.append(cell)
        for output in cell.outputs:
            saved = as_object(output.get("data")).get(TURN_MIME)
            if saved is None:
                continue
            for wire in self._of_record(saved, cell):
                self._take(wire, cell)

    def notebook(self) -> Notebook:
        return Notebook(
            cells=tuple(self._cells),
            found=tuple(_each_once(self._found)),
            states={name: tuple(states) for name, states in self._states.items()},
            unreadable=dict(self._unreadable),
            picks=tuple(self._picks),
        )

    def _of_record(self, saved: object, cell: NotebookCell) -> Iterable[object]:
        """The turns of a record; other JSON is one turn itself."""
        record = as_object(saved)
        if "turns" not in record:
            return [saved]
        try:
            turns, states = read_record(record)
        except UnreadableTurn as error:
            self._unreadable[str(error)] += 1
            return []
        for name, state in states.items():
            self._tell(name, state)
        for pick in read_picks(record):
            state = states.get(pick.conversation, State(""))
            self._picks.append(FoundPick(pick, state, cell))
        return turns

    def _take(self, wire: object, cell: NotebookCell) -> None:
        try:
            saved = read_turn(wire, may_be_deep=self._may_be_deep)
        except UnreadableTurn as error:
            self._unreadable[str(error)] += 1
            return
        turn = saved.turn
        self._tell(turn.conversation, saved.state)
        key = None if saved.is_copy else _key(saved, cell)
        if key is not None and turn.reply.may_enter():
            taken = (turn.conversation, key)
            key = None if taken in self._keys else key
            self._keys.add(taken)
        turn = replace(turn, key=key, label=cell.label)
        self._found.append(FoundTurn(turn.id, turn, saved.state, saved.is_copy, cell))

    def _tell(self, name: str | None, state: State) -> None:
        if name is not None and state.begins:
            self._states.setdefault(name, []).append(state)


def _key(saved: SavedTurn, cell: NotebookCell) -> TurnKey:
    turn = saved.turn
    if turn.copy_of and turn.conversation is not None:
        return TurnKey(cell.id, turn.copy_of, turn.conversation)
    return TurnKey(cell.id, saved.index_in_cell)


def _each_once(found: Iterable[FoundTurn]) -> Iterator[FoundTurn]:
    """Each turn once: of the first cell that made it, else of one that drew it again.

    It stands with its conversation as where it was drawn last. Two answers that stand alone are not
    the same one because they have the same words.
    """
    kept: dict[tuple[str, str, object], FoundTurn] = {}
    ids: set[str] = set()
    for each in sorted(found, key=lambda each: each.is_copy):
        alone = each.turn.conversation is None
        name = (each.id, each.state.begins, alone and (each.turn.reply.id or each.turn.sample))
        if name in kept:
            kept[name] = _brought_up_to(each, kept[name])
        elif not (each.is_copy and not each.state.begins and each.id in ids):
            kept[name] = each
            ids.add(each.id)
    return iter(kept.values())


def _brought_up_to(later: FoundTurn, found: FoundTurn) -> FoundTurn:
    """A turn as another output has it, if that was drawn later; it stays with its cell."""
    if later.state.changes <= found.state.changes:
        return found
    turn = replace(later.turn, key=found.turn.key, label=found.turn.label)
    return replace(found, turn=turn, state=later.state)
