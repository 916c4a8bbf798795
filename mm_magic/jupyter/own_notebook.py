"""The file of the notebook that is running, and whether Jupyter trusts it."""

import os
from contextlib import suppress
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.turn import is_notebook_id, is_notebook_name
from mm_magic.jupyter.notary import is_configured
from mm_magic.jupyter.signature import is_signed

UNKNOWN_FILE = "mm_magic can't tell which file this notebook is saved in"
"""What is said where a command needs the file."""


def own_path(shell: InteractiveShell, cell_id: str | None) -> Path | None:
    """The notebook's file as it was named when the kernel started; None where nothing tells.

    Jupyter Server tells it in JPY_SESSION_NAME, which a process started by a kernel inherits: it
    is this notebook's only if it holds the running cell. VS Code puts it into the namespace.
    """
    if cell_id is None:
        return None
    if not is_notebook_id(cell_id):
        told = shell.user_ns.get("__vsc_ipynb_file__")
        return Path(told) if isinstance(told, str) and told else None
    name = os.environ.get("JPY_SESSION_NAME", "")
    return Path(name) if is_notebook_name(name) else None


def is_file(path: Path) -> bool:
    """Whether a file is there; False, too, where that can't be found out."""
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file may raise PermissionError)


def is_trusted(data: bytes) -> bool:
    """Whether Jupyter trusts the outputs in a notebook file's bytes: as Jupyter Server decides it.

    False where that can't be found out, and where Jupyter keeps its decisions in another way than
    it does by itself. It leaves no file behind: without Jupyter's secret nothing is signed.
    """
    with suppress(Exception):  # whatever a made-up file brings about
        from jupyter_core.paths import jupyter_data_dir

        return is_signed(data, Path(jupyter_data_dir())) and not is_configured()
    return False
