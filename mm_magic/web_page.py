"""Python in a web page: Pyodide, as JupyterLite runs it. It has no sockets, so no server is asked.

What does not work there says so before it is tried.
"""

import sys
from pathlib import Path

NO_SERVER = "Python in a web page can't reach a server, so no model can be asked here"
"""Without a full stop, as messages are."""
ELSEWHERE = "To ask a model, install mm_magic on your computer, or use Binder."


def in_page() -> bool:
    """Whether this Python runs in a web page."""
    return sys.platform == "emscripten"


def way_to(module: str, install: str) -> str:
    """How a missing module is had, elsewhere by the line `install`.

    A page loads what a cell's own code imports.
    """
    if in_page():
        return f"To load it, run `import {module}` in a cell, then run this cell again."
    return f"To install it: `{install}`"


def in_site(path: Path) -> Path:
    """The name that a recording has in a site.

    JupyterLite parses each file with "json" in its extension, and then gives no text of it.
    """
    return path.with_suffix(".recording") if path.suffix.lower() == ".jsonl" else path


def readable(path: Path) -> Path:
    """The file to read: in a page, a recording may have its name in the site."""
    there = in_site(path)
    return there if in_page() and not path.exists() and there.exists() else path
