"""What a command of `%minimax` works on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.config import MiniMax
from mm_magic.session.session import Session

if TYPE_CHECKING:
    from mm_magic.jupyter.panel.panel import Panels


@dataclass(frozen=True, slots=True)
class Notebook:
    """The shell that runs the cells, and what this kernel holds beside it."""

    shell: InteractiveShell
    session: Session
    settings: MiniMax
    panels: "Panels" = field(default_factory=dict)
