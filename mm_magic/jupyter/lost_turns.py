"""Answers that a page lost, as it was loaded again before its file held them."""

from collections.abc import Sequence

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.notebook_file import load_bytes, read
from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.own_notebook import is_file, own_path
from mm_magic.jupyter.running_cell import Cell
from mm_magic.session.notes import way_to
from mm_magic.session.session import Session
from mm_magic.wording import turns_listed


def tell_lost(shell: InteractiveShell, session: Session, cell: Cell) -> None:
    """The page was loaded again: show which turns of this kernel its file does not hold.

    Such a page gets nothing more of an answer that was on its way. Nothing is said where the file
    is not known, or can't be read; nor of the turns of `cell`, which runs and makes them again, nor
    of those whose cells were deleted.
    """
    from mm_magic.jupyter.views.finished import show
    from mm_magic.rendering.bundles import status_bundle

    path = own_path(shell, cell.id)
    if path is None or not is_file(path):
        return
    try:
        notebook = read(load_bytes(path, path.name), path.name)
    except UsageError:
        return
    cells = [turn.key.cell_id for turn in session.conversations.turns() if turn.key]
    if not any(map(notebook.has_cell, cells)):  # another notebook has that name now
        return
    held = {each.turn.id for each in notebook.found}
    for here in session.conversations.values():
        made = [turn.as_made for turn in here.visible if not turn.is_of(cell.id)]
        lost = [turn for turn in made if turn.id not in held and session.told.once(turn.id)]
        if lost:
            told = _lost(lost, session.options.conversation)
            show(shell, status_bundle([], [told], None))


def _lost(turns: Sequence[Turn], current: str) -> str:
    """The sentence on these turns of one conversation, which is named unless it is the current."""
    numbers = [turn.number for turn in turns]
    first = way_to(turns[0], current)
    listed = turns_listed(numbers) + (f" of {turns[0].conversation}" if first else "")
    is_one = len(numbers) == 1
    return (
        f"This page was reloaded before {listed} {'was' if is_one else 'were'} saved; the kernel "
        f"still has {'it' if is_one else 'them'}. To show {'it' if is_one else 'the first'}: "
        f"{first}`%minimax show {numbers[0]}`"
    )
