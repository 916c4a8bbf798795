"""The notebook file as the store: what a new kernel takes from it, and what it says of it.

A file that Jupyter trusts is resumed by itself, any other on `%minimax restore`. Settings, model
and address are never taken from a file.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.notebook_file import Notebook, load_bytes, read, shown
from mm_magic.conversation.stored import Past, conversation, latest, pasts
from mm_magic.conversation.turn import TURN_MIME, Turn, is_notebook_id
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.jupyter.own_notebook import is_file, is_trusted, own_path
from mm_magic.jupyter.running_cell import Cell, running_cell
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import fingerprint
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Ask
from mm_magic.wording import plain

if TYPE_CHECKING:
    from mm_magic.rendering.bundles import Bundle

Pasts = Mapping[str, Sequence[Past]]


@dataclass(frozen=True, slots=True)
class _File:
    """A notebook file as it was read, and when it was written, in seconds since 1970."""

    name: str
    modified: float
    data: bytes

    @property
    def when(self) -> str:
        """When it was saved, in local time; with the date if that is not today's."""
        saved = datetime.fromtimestamp(self.modified).astimezone()
        is_today = saved.date() == datetime.now().astimezone().date()
        return f"{saved:%H:%M}" if is_today else f"{saved:%Y-%m-%d %H:%M}"

    def notebook(self) -> Notebook:
        """Raises UsageError."""
        return read(self.data, self.name)


def at_load(shell: InteractiveShell, session: Session) -> list[str]:
    """Resume what the notebook's file holds, if Jupyter trusts it; return what to tell of it.

    Nothing happens in headless runs and terminals, nor where no file is known.
    """
    cell = running_cell(shell)
    path = own_path(shell, cell.id)
    if cell.audience != "page" or path is None or not is_file(path):
        return []
    try:
        file = _read(path)
        if TURN_MIME.encode() not in file.data:  # 12 ms for 100 MB; most notebooks end here
            return []
        notebook = file.notebook()
    except UsageError as error:
        return [plain(f"Earlier turns of this notebook are not known: {error.message}.")]
    found = pasts(notebook)
    for name, of_name in found.items():
        session.conversations.not_resumed[name] = max(past.state.changes for past in of_name)
    told = f"{_turns(_count(map(latest, found.values())))} found, saved {file.when}"
    if not _may_be_in(notebook, cell):
        told += ", and not sent: this cell is not in the saved file. Save, then `%minimax restore`."
    elif not is_trusted(file.data):
        told += "; Jupyter does not trust this file: not sent before `%minimax restore`."
    else:
        told += f". {_resume(session, found)}"
    has_turns = _count(found.values()) > 0
    return [told] * has_turns + list(map(plain, _left_out(session, found, notebook)))


def restore(shell: InteractiveShell, session: Session, path: str | None) -> None:
    """`%minimax restore [FILE]`: take in what a notebook file holds, and show what is sent now.

    Without `path` it is this notebook's own file. Turns of another notebook are left in the outputs
    of the running cell, so that the own file holds them, too. Raises UsageError.
    """
    from mm_magic.conversation.saved_turn import record_json, turn_json
    from mm_magic.jupyter.views.finished import show

    session.who.endpoint()  # where this fails, nothing could be sent, nor told what would be
    cell = running_cell(shell)
    own = own_path(shell, cell.id)
    where = _own_file(own) if path is None else Path(os.path.expanduser(path))  # noqa: PTH111
    file = _read(where)
    notebook = file.notebook()
    is_own = notebook.has_cell(cell.id or "") or (_may_be_in(notebook, cell) and where == own)
    if path is None and not is_own:
        raise UsageError(
            f"this cell is not in {shown(file.name)}, saved {file.when}",
            next_steps=(
                "Save the notebook, then run this cell again.",
                "If it has another name now: `%minimax restore FILE`.",
            ),
        )
    found = pasts(notebook) if is_own else _without_cells(pasts(notebook))
    lines = [_taken_in(session, found, file)]
    lines += _left_out(session, found, notebook)
    if path is None and session.last_commit and file.modified < session.last_commit:
        lines.append(
            "The file is older than the last turn of this kernel. To see what it will hold: save, "
            "then `%minimax restore`."
        )
    names = [name for name in found if name in session.conversations]
    turns = [] if path is None else _turns_of_file(session, found)
    record = record_json(
        (turn_json(turn, session.conversations.state_of(turn), is_copy=True) for turn in turns),
        ((name, session.conversations[name].state) for name in names),
    )
    *tables, last = _tables(session, names, notebook, lines)
    show(shell, *tables, {**last, TURN_MIME: record} if names else last)


def find_turn(shell: InteractiveShell, session: Session, number: int) -> Turn | None:
    """A turn of the current conversation in this notebook's file, to be shown; None without it."""
    cell = running_cell(shell)
    path = own_path(shell, cell.id)
    if path is None or not is_file(path):
        return None
    try:
        notebook = _read(path).notebook()
    except UsageError:
        return None
    name = session.options.conversation
    found = pasts(notebook).get(name)
    if not found or not _may_be_in(notebook, cell):
        return None
    return conversation(name, found).numbered(number)


# What is taken in


def _resume(session: Session, found: Pasts) -> str:
    """Take in what the last kernel had; return the sentence on what is sent."""
    mixed = [name for name, of_name in found.items() if len(latest(of_name)) > 1]
    for name, of_name in found.items():
        if name not in mixed:
            session.conversations.take_in(name, of_name[0].turns, of_name[0].state)
    told = []
    if resumed := [name for name in found if name not in mixed]:
        parts = ", ".join(f"{_sent(session, name)} of {name}" for name in resumed)
        told.append(f"A new cell sends {parts}; `%minimax history` lists them.")
    if mixed:
        told.append(
            f"Not sent before `%minimax restore`: {', '.join(mixed)}, as kernels wrote it that did "
            "not know of each other."
        )
    return plain(" ".join(told))


def take_in(session: Session, found: Pasts) -> bool:
    """Take in what the last kernel had, and what this one lacks; whether anything changed."""
    before = _ids(session)
    for name, of_name in found.items():
        here = session.conversations.get(name)
        known = {past for past in of_name if here and here.holds(past.state)}
        due = known.union(latest([past for past in of_name if past not in known]))
        for past in of_name:
            if past in due:
                session.conversations.take_in(name, past.turns, past.state)
    return _ids(session) != before


def _taken_in(session: Session, found: Pasts, file: _File) -> str:
    """Take in what the file holds; return what to say of it."""
    has_changed = take_in(session, found)
    told = f"{_turns(_count(found.values()))} in {shown(file.name)}, saved {file.when}."
    return told if has_changed else f"Nothing to take in: {told}"


def _without_cells(found: Pasts) -> Pasts:
    """The turns of a notebook whose cells are not here."""
    return {name: [_without_cells_of(past) for past in each] for name, each in found.items()}


def _without_cells_of(past: Past) -> Past:
    turns = [replace(each, turn=replace(each.turn, key=None)) for each in past.found]
    return replace(past, found=tuple(turns))


def _turns_of_file(session: Session, found: Pasts) -> Iterator[Turn]:
    """The turns in this kernel that came from a file, but for those that ran again here."""
    keys = {each.turn.key for of_name in found.values() for past in of_name for each in past.found}
    for name in found:
        here = session.conversations.get(name)
        yield from (turn for turn in (here.turns if here else ()) if turn.key in (keys | {None}))


def _read(path: Path) -> _File:
    """Raises UsageError."""
    data = load_bytes(path, path.name)
    try:
        return _File(path.name, path.stat().st_mtime, data)
    except OSError:  # just gone
        raise UsageError(f"there is no file {shown(path.name)}") from None


def _own_file(path: Path | None) -> Path:
    """Raises UsageError where it is not known, or not there."""
    step = "Give its path: `%minimax restore FILE`."
    if path is None:
        raise UsageError("the file of this notebook is not known here", next_steps=(step,))
    if not is_file(path):
        raise UsageError(
            f"{shown(path.name)} is not there any more: renamed, moved, or never saved",
            next_steps=("Save the notebook.", step),
        )
    return path


def _may_be_in(notebook: Notebook, cell: Cell) -> bool:
    """Whether the file holds the running cell; VS Code's names of cells can't tell."""
    return cell.id is not None and (notebook.has_cell(cell.id) or not is_notebook_id(cell.id))


# What is said


def _tables(
    session: Session, names: Sequence[str], notebook: Notebook, lines: Sequence[str]
) -> "list[Bundle]":
    """A table for each conversation, then the lines."""
    from mm_magic.jupyter.commands.history_table import COLUMNS, history_rows, next_turn
    from mm_magic.rendering.bundles import status_bundle
    from mm_magic.rendering.tables import table_bundle
    from mm_magic.rendering.unseen_text import not_on_page

    unseen: dict[str, list[str]] = {}
    for turn, parts in not_on_page(notebook.found):
        known = unseen.setdefault(_content(turn), [])
        known += [part for part in parts if part not in known]
    tables = []
    for name in names:
        here = session.conversations[name]
        next_one = next_turn(session, here)
        rows = history_rows(here, next_one)
        for row, turn in zip(rows, here.turns, strict=True):
            if hidden := unseen.get(_content(turn)):
                row[-1] += f"; not visible on its page: {', '.join(hidden)}"
        note = f"Conversation {name}: a new cell sends {_turns(next_one.history.sent)}."
        tables.append(table_bundle(COLUMNS, rows, [note]))
    return [*tables, status_bundle([], lines, None)]


def _content(turn: Turn) -> str:
    """What tells a turn from others, whatever its number: all that is sent of it."""
    return fingerprint([turn.prompt.to_wire(), turn.reply.content])


def _left_out(session: Session, found: Pasts, notebook: Notebook) -> list[str]:
    """Sentences on the turns of a file that are not taken in."""
    lines = []
    for name, of_name in found.items():
        for past in of_name:
            here = session.conversations.get(name)
            if past.found and here and not here.holds(past.state):
                lines.append(
                    f"{_turns(len(past.found))} of {name} from an earlier kernel: not sent; "
                    "`%minimax restore` takes them in."
                )
        for past in latest(of_name):
            lines += [
                f"{_turns(count)} of {name} left out: {reason}."
                for reason, count in past.left_out.items()
            ]
    lines += [
        f"{_turns(count)} can't be read: {reason}." for reason, count in notebook.unreadable.items()
    ]
    return lines


def _sent(session: Session, name: str) -> int:
    """How many turns a new cell would send, as far as it is known who answers."""
    options = session.options.overridden({"conversation": name})
    try:
        return session.build(Ask(Prompt.of_text("?"), options, is_cell=False)).history.sent
    except MiniMaxError:
        return len(session.conversations[name].visible)


def _count(groups: Iterable[Sequence[Past]]) -> int:
    return sum(len(past.found) for each in groups for past in each)


def _turns(count: int) -> str:
    return "1 turn" if count == 1 else f"{count or 'no'} turns"


def _ids(session: Session) -> dict[str, list[str]]:
    return {name: [t.id for t in each.turns] for name, each in session.conversations.items()}
