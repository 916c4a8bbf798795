"""Which cell is running, and who is watching."""

import sys
from typing import Literal, NamedTuple, TypeAlias

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.web_page import in_page

Audience: TypeAlias = Literal["page", "terminal", "nobody"]


class Cell(NamedTuple):
    """The running cell.

    `id` is the notebook file's; None where the front end sends none. `deleted` are the ids of
    the cells that were deleted since the last run. If `is_captured`, what it displays is not among
    the cell's outputs. `page` names the loaded page that sent it: after a reload it is another.
    """

    id: str | None
    audience: Audience
    deleted: tuple[str, ...] = ()
    is_captured: bool = False
    page: str | None = None

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees the answer grow: what a terminal prints may go to a file."""
        return self.audience == "page" or (self.audience == "terminal" and sys.stdout.isatty())


def running_cell(shell: InteractiveShell) -> Cell:
    """Read it from the message that the front end sent.

    nbclient, nbval, nbconvert and papermill send `allow_stdin` false: nobody watches, so that one
    final display a part is enough. The same holds under `%%capture`, which would keep every update
    as an output of its own, and in an Output widget, which gets no updates in JupyterLab.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return Cell(None, "terminal")
    # Pyodide's kernel has one channel, and so no argument.
    parent = (kernel.get_parent() if in_page() else kernel.get_parent("shell")) or {}
    metadata = parent.get("metadata") or {}
    cell_id, deleted = metadata.get("cellId"), metadata.get("deletedCells")
    has_reader = (parent.get("content") or {}).get("allow_stdin", False)
    is_captured = isinstance(shell.display_pub, CapturingDisplayPublisher) or _fills_widget(shell)
    return Cell(
        id=cell_id if isinstance(cell_id, str) else None,
        audience="page" if has_reader and not is_captured else "nobody",
        deleted=tuple(filter(_is_text, deleted)) if isinstance(deleted, list) else (),
        is_captured=is_captured,
        page=(parent.get("header") or {}).get("session"),
    )


def is_running_cell(shell: InteractiveShell) -> bool:
    """Whether a cell is running. The trap has a public name for it only since IPython 8.31."""
    return bool(shell.display_trap._nested_level)


def _fills_widget(shell: InteractiveShell) -> bool:
    """Whether an Output widget takes what is displayed now, as in `with out:` and `@interact`.

    It takes the messages that answer the request whose id it holds.
    """
    widgets = sys.modules.get("ipywidgets.widgets.widget")
    request = getattr(shell.display_pub, "parent_header", {}).get("msg_id")
    if widgets is None or request is None:
        return False
    found = list(widgets._instances.values())  # it has no other name that is not deprecated
    return any(getattr(each, "msg_id", None) == request for each in found)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
