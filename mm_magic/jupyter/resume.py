"""The notebook file as the store: what a new kernel takes from it, and what it says of it.

A file that Jupyter trusts is resumed by itself, any other on `%minimax restore`. Settings, model
and address are never taken from a file.
"""

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.conversation import untrusted
from mm_magic.conversation.notebook_file import FoundTurn, Notebook, load_bytes, read, shown
from mm_magic.conversation.stored import Past, names_here, pasts
from mm_magic.conversation.turn import TURN_MIME, Turn, is_notebook_id
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.jupyter.own_notebook import UNKNOWN_FILE, is_file, is_trusted, own_path
from mm_magic.jupyter.running_cell import Cell, running_cell
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import fingerprint
from mm_magic.session.notes import untrusted_note
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Ask
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.wording import counted, option, plain, turns_listed, was

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
        """When it was saved, as "at 10:32", in local time; with the date if that is not today's."""
        saved = datetime.fromtimestamp(self.modified).astimezone()
        is_today = saved.date() == datetime.now().astimezone().date()
        return f"at {saved:%H:%M}" if is_today else f"on {saved:%Y-%m-%d} at {saved:%H:%M}"

    def notebook(self) -> Notebook:
        """Raises UsageError."""
        return read(self.data, self.name)


@contextmanager
def _uncollected() -> Iterator[None]:
    """While the body runs, nobody looks for garbage: what is read of a file is kept, and looking
    through all of it again and again took 40 ms of 350 for 1,000 turns.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_uncollected()
def at_load(shell: InteractiveShell, session: Session) -> list[str]:
    """Resume what the notebook's file holds; return what to tell of it.

    If Jupyter does not trust it, its turns are shown and not sent. Nothing happens in headless runs
    and terminals, nor where no file is known.
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
        return [plain(f"This notebook's earlier turns could not be loaded: {error.message}.")]
    found = pasts(notebook)
    session.conversations.changes_in_file = max(
        (of_name[0].state.changes for of_name in found.values()), default=-1
    )
    due = latest(session, found)
    is_own = _is_own(notebook, session, cell)
    if not is_own:
        session.trusts_file = False
        return _not_sent(due, is_known=False)
    session.trusts_file = is_safe = is_trusted(file.data)
    _keep_answers(session, notebook, is_trusted=is_safe)
    kept = _kept(session, due)
    if not is_safe:
        take_in(session, map(_untrusted, due), file.name)
        return [*_not_sent(due, is_known=True), *kept]
    number = _number_of_turns(due)
    lines = [f"This file holds {_turns(number)}, saved {file.when}. {_resume(session, due, file)}"]
    lines += [*_still_untrusted(due), *kept]
    return [*lines[:number], *map(plain, _left_out(session, found, due, notebook))]


def restore(shell: InteractiveShell, session: Session, path: str | None) -> None:
    """`%minimax restore [FILE]`: take in what a notebook file holds, and show what is sent now.

    Without `path` it is this notebook's own file. Turns of another notebook are left in the outputs
    of the running cell, so that the own file holds them, too. Raises UsageError.
    """
    from mm_magic.conversation.saved_turn import pick_json, record_json, turn_json
    from mm_magic.jupyter.views.finished import show
    from mm_magic.session.reusing import trust

    session.who.endpoint()  # where this fails, nothing could be sent, nor told what would be
    cell = running_cell(shell)
    own = own_path(shell, cell.id)
    where = _own_file(own) if path is None else Path(os.path.expanduser(path))  # noqa: PTH111
    file = _read(where)
    notebook = file.notebook()
    is_own = notebook.has_cell(cell.id or "") or (where == own and _is_own(notebook, session, cell))
    if path is None and not is_own:
        raise UsageError(
            f"this cell is not in {shown(file.name)}, saved {file.when}",
            next_steps=(
                "Save the notebook, then run this cell again.",
                "If the notebook has a new name: `%minimax restore FILE`.",
            ),
        )
    if is_own:
        session.recordings.restored()
        _keep_answers(session, notebook)
    found = pasts(notebook)
    due = [each if is_own else _without_cells(each) for each in latest(session, found)]
    before = _ids(session)
    names = take_in(session, due, file.name)
    if is_own:
        trusted_now = trust(session.requests.saved, session.conversations)
    else:
        trusted_now = _trust_those(session, names, due)
    number = sum(map(_number_of_turns, found.values()))
    told = f"{shown(file.name)} holds {_turns(number)}; it was saved {file.when}."
    lines = [told if _ids(session) != before else f"There is nothing new to restore: {told}"]
    lines += _new_names(due, names)
    lines += _left_out(session, found, due, notebook)
    if path is None and session.latest.commit and file.modified < session.latest.commit:
        lines.append(
            "The file is older than the last turn of this kernel. Save the notebook, then run "
            "`%minimax restore` again to see what the file holds."
        )
    keys = {None, *(turn.key for past in due for turn in past.turns if path is not None)}
    changed = [str(turn.conversation) for turn in trusted_now]
    here = [session.conversations[name] for name in dict.fromkeys([*names, *changed])]
    record = record_json(
        (
            turn_json(turn, each.state, is_copy=True)
            for each in here
            for turn in each.turns
            if turn.key in keys  # no cell of this notebook may hold it, or only its old form
        ),
        ((each.name, each.state) for each in here),
        (
            pick_json(pick, turn, is_copy=True)
            for each in here
            for pick in each.picks
            if pick.key is None and (turn := each.numbered(pick.number)) is not None
        ),
    )
    *tables, last = _tables(shell, session, found, notebook, lines)
    show(shell, *tables, {**last, TURN_MIME: record} if here else last)


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
    found = pasts(notebook).get(session.options.conversation)
    if not found or not _is_own(notebook, session, cell):
        return None
    return found[0].conversation().numbered(number)


# What is taken in


def latest(session: Session, found: Pasts) -> list[Past]:
    """Of each name the latest that this kernel did not begin itself."""
    here = session.conversations.values()
    begun = {each.begins for each in here if not each.is_from_file}
    others = (
        [past for past in of_name if past.state.begins not in begun] for of_name in found.values()
    )
    return [of_name[0] for of_name in others if of_name]


def take_in(session: Session, due: Iterable[Past], file: str) -> list[str]:
    """Take in what the last kernel had, unless this one went on with it; return the names here."""
    due = [*due]
    names = names_here(due, session.conversations, file)
    for name, past in zip(names, due, strict=True):
        session.conversations.take_in(name, past.turns, past.state, past.picks)
    return names


def _trust_those(session: Session, names: Sequence[str], due: Iterable[Past]) -> list[Turn]:
    """Send the turns of another file from now on, but no others of their conversations."""
    from mm_magic.session.reusing import trust

    held = {_content(turn) for past in due for turn in past.turns}
    turns = [turn for name in names for turn in session.conversations[name].turns]
    return [
        each
        for turn in turns
        if _content(turn) in held
        for each in trust(
            session.requests.saved, session.conversations, turn.conversation, turn.number
        )
    ]


def _resume(session: Session, due: Sequence[Past], file: _File) -> str:
    """Take in what the last kernel had; return the sentences on what is sent."""
    names = take_in(session, due, file.name)
    told = f"{_told_of(session, names)}; `%minimax history` lists them."
    return plain(" ".join([told, *_new_names(due, names)]))


def _told_of(session: Session, names: Sequence[str]) -> str:
    """What a new cell sends of these conversations."""
    if len(names) == 1:
        return (
            f"A new cell sends {counted(_sent(session, names[0]), 'earlier turn')} of {names[0]} "
            "with its prompt"
        )
    parts = ", ".join(f"{_sent(session, name):,} of {name}" for name in names)
    return f"A new cell sends the earlier turns of its own conversation with its prompt ({parts})"


def _keep_answers(session: Session, notebook: Notebook, *, is_trusted: bool = True) -> None:
    """What the notebook's own file holds may come again without being asked."""
    from mm_magic.session.notebook_as_recording import answers_of  # with all of a stream

    of_cells = [each.turn for each in notebook.found if not each.is_copy]
    if not is_trusted:
        of_cells = [untrusted(turn) for turn in of_cells]
    session.requests.saved.take_in(partial(answers_of, notebook, is_trusted=is_trusted), of_cells)


def _untrusted(past: Past) -> Past:
    """A conversation whose turns are shown and not sent."""
    found = [replace(each, turn=untrusted(each.turn)) for each in past.found]
    return replace(past, found=tuple(found))


def _without_cells(past: Past) -> Past:
    """A conversation of a notebook whose cells are not here."""
    turns = [replace(each, turn=replace(each.turn, key=None)) for each in past.found]
    picks = [replace(pick, key=None) for pick in past.picks if not pick.is_undone]
    return replace(past, found=tuple(turns), picks=tuple(picks))


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
        raise UsageError(UNKNOWN_FILE, next_steps=(step,))
    if not is_file(path):
        raise UsageError(
            f"{shown(path.name)} does not exist: it was renamed, moved, or never saved",
            next_steps=("Save the notebook.", step),
        )
    return path


def _is_own(notebook: Notebook, session: Session, cell: Cell) -> bool:
    """Whether it is the running notebook: it has a cell that ran; VS Code's names can't tell.

    The running cell itself may be new, and not be saved yet.
    """
    if cell.id is None:
        return False
    return not is_notebook_id(cell.id) or any(map(notebook.has_cell, session.cells.ids))


# What is said


def _not_sent(due: Iterable[Past], *, is_known: bool) -> list[str]:
    """The line on a file's turns that wait for `%minimax restore`.

    If it is not known that the file is this notebook's, saving it tells.
    """
    number = sum(1 for _ in _of_models(due))
    if not number:
        return []
    those, are, they, them = (
        ("turn", "is", "the turn", "it") if number == 1 else ("turns", "are", "they", "them")
    )
    told = f"This file holds {number:,} earlier {those}. "
    if is_known:
        told += f"Jupyter does not trust it, so {they} {are} not sent. "
        return [f"{told}To send {them}: `%minimax restore`."]
    told += f"This cell is not in the saved file, so {they} {are} not sent. "
    return [f"{told}To send {them}, save the notebook, then run `%minimax restore`."]


def _kept(session: Session, due: Iterable[Past]) -> list[str]:
    """The line for a reader without a key, where the file holds a model's answers."""
    if not session.who.is_keyless or not any(_of_models(due)):
        return []
    return ["Without a key, cells that hold a model's answer keep it; the demo answers new cells."]


def _of_models(due: Iterable[Past]) -> Iterator[Turn]:
    """The turns that a model answered: the demo's go to no model, and replay sends nothing."""
    turns = (turn for past in due for turn in past.turns if not turn.is_hidden)
    return (turn for turn in turns if turn.reply.backend not in (OFFLINE, "recorded"))


def _still_untrusted(due: Iterable[Past]) -> list[str]:
    """The line on turns that came from an untrusted file when they were drawn again."""
    number = sum(turn.is_untrusted and not turn.is_hidden for past in due for turn in past.turns)
    return [untrusted_note(number, was_asked=False)] if number else []


def _tables(
    shell: InteractiveShell,
    session: Session,
    found: Pasts,
    notebook: Notebook,
    lines: Sequence[str],
) -> "list[Bundle]":
    """A table for each conversation of the file that this kernel has, then the lines."""
    from mm_magic.jupyter.commands.history_table import (
        COLUMNS,
        STATE,
        TEXTS,
        history_rows,
        next_turn,
        outdated_notes,
    )
    from mm_magic.jupyter.views.finished import width_of
    from mm_magic.rendering.bundles import status_bundle
    from mm_magic.rendering.tables import table_bundle
    from mm_magic.rendering.unseen_text import not_on_page

    unseen: dict[str, list[str]] = {}
    for turn, parts in not_on_page(_with_page(notebook.found)):
        known = unseen.setdefault(_content(turn), [])
        known += [part for part in parts if part not in known]
    in_file = {past.state.begins for of_name in found.values() for past in of_name}
    tables, width = [], width_of(shell)
    for here in session.conversations.values():
        if here.begins not in in_file:
            continue
        next_one = next_turn(session, here)
        rows = history_rows(here, next_one)
        for row, turn in zip(rows, here.turns, strict=True):
            if hidden := unseen.get(_content(turn)):
                row[STATE] += f"; not visible on its page: {', '.join(hidden)}"
        sent = counted(next_one.history.sent, "earlier turn")
        note = f"Conversation {here.name}: a new cell sends {sent} with its prompt."
        notes = [*outdated_notes(here), note]
        tables.append(table_bundle(COLUMNS, rows, notes, width=width, broken=TEXTS))
    return [*tables, status_bundle([], lines, None)]


def _with_page(found: Sequence[FoundTurn]) -> list[FoundTurn]:
    """Those that have to stand on the page: a copy does if the turn that it copies is not there."""
    originals = {_content(each.turn) for each in found if not each.turn.copy_of}
    return [each for each in found if not each.turn.copy_of or _content(each.turn) not in originals]


def _content(turn: Turn) -> str:
    """What tells a turn from others, whatever its number: all that is sent of it."""
    return fingerprint([turn.prompt.to_wire(), turn.reply.content])


def _new_names(due: Sequence[Past], names: Sequence[str]) -> list[str]:
    """Sentences on the conversations that have another name here than in their file."""
    return [
        f"This kernel already has a conversation {past.name}, so the file's {past.name} "
        f"({_turns(len(past.found))}) is called {name} here. "
        f"To continue it: `%minimax {option('-c', '--conversation', name)}`."
        for past, name in zip(due, names, strict=True)
        if past.found and name != past.name
    ]


def _left_out(session: Session, found: Pasts, due: Sequence[Past], notebook: Notebook) -> list[str]:
    """Sentences on the turns of a file that are not taken in."""
    known = {each.begins for each in session.conversations.values()}
    known |= {past.state.begins for past in due}
    everything = (past for of_name in found.values() for past in of_name)
    earlier = _number_of_turns(past for past in everything if past.state.begins not in known)
    lines = []
    if earlier:
        lines.append(f"{_turns(earlier)} from an earlier kernel {was(earlier)} left out.")
    lines += [
        f"{_turns(len(numbers))} of {past.name} {was(len(numbers))} left out "
        f"({turns_listed(numbers)}): {reason}."
        for past in due
        for reason, numbers in past.left_out.items()
    ]
    lines += [
        f"{_turns(count)} can't be read: {reason}." for reason, count in notebook.unreadable.items()
    ]
    return lines


def _sent(session: Session, name: str) -> int:
    """How many turns a new cell would send, as far as it is known who answers."""
    options = session.options.overridden({"conversation": name})
    try:
        ask = Ask(Prompt.of_text("?"), options, is_cell=False)
        return session.requests.history(ask, session.cells.here).sent
    except MiniMaxError:
        return len(session.conversations[name].visible)


def _number_of_turns(found: Iterable[Past]) -> int:
    return sum(len(past.found) for past in found)


def _turns(number: int) -> str:
    return counted(number, "turn") if number else "no turns"


def _ids(session: Session) -> list[tuple[str, bool]]:
    """All turns by their ids, and whether they may be sent."""
    return [(turn.id, turn.is_untrusted) for turn in session.conversations.turns()]
