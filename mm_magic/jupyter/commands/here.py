"""What a command works on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.config import MiniMax
from mm_magic.jupyter.last_error import LastError
from mm_magic.session.session import Session

if TYPE_CHECKING:
    from mm_magic.jupyter.panel.panel import Panels


@dataclass(frozen=True, slots=True)
class Here:
    """One shell with its session, settings and last error, and the panels on its pages."""

    shell: InteractiveShell
    session: Session
    settings: MiniMax
    last_error: LastError
    panels: "Panels" = field(default_factory=dict)
