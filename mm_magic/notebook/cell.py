"""Which cell is running, and who is watching."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

Audience: TypeAlias = Literal["page", "terminal", "nobody"]


@dataclass(frozen=True, slots=True)
class Cell:
    """The running cell. `id` is the notebook file's; None where the front end sends none."""

    id: str | None
    audience: Audience


def running_cell(shell: InteractiveShell) -> Cell:
    """Read it from the message that the front end sent.

    nbclient, nbval, nbconvert and papermill send `allow_stdin` false: nobody watches, so that one
    final display a part is enough. The same holds under `%%capture`, which would keep every update
    as an output of its own.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return Cell(None, "terminal")
    parent = kernel.get_parent("shell") or {}
    cell_id = (parent.get("metadata") or {}).get("cellId")
    has_reader = (parent.get("content") or {}).get("allow_stdin", False)
    is_seen = has_reader and not isinstance(shell.display_pub, CapturingDisplayPublisher)
    return Cell(cell_id if isinstance(cell_id, str) else None, "page" if is_seen else "nobody")
