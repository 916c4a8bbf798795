"""Whether Jupyter signed a notebook.

Jupyter takes nbformat for that, whose import and whose copy of a notebook would take most of the
time in which a long one is resumed. What it signs is the content alone: all names and values.
"""

import hmac
import json
import sqlite3
from contextlib import closing
from pathlib import Path

ALGORITHM = "sha256"
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
"""Of a notebook's metadata, what is not signed; nor is "trusted" of a cell's."""


def is_signed(data: bytes, folder: Path) -> bool:
    """Whether the content of a notebook's file is among those that were signed with the secret in
    Jupyter's data folder.

    Raises OSError where there is none; for what is no notebook ValueError, LookupError and more.
    """
    notebook = json.loads(data.decode())
    for name in _TRANSIENT:
        notebook["metadata"].pop(name, None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("trusted", None)
    parts: list[str] = []
    _take_all(notebook, parts)
    secret = (folder / "notebook_secret").read_bytes()
    signature = hmac.digest(secret, "".join(parts).encode(), ALGORITHM).hex()
    database = (folder / "nbsignatures.db").absolute().as_uri()
    with closing(sqlite3.connect(f"{database}?mode=ro", uri=True)) as known:
        query = "SELECT 1 FROM nbsignatures WHERE algorithm = ? AND signature = ?"
        return known.execute(query, (ALGORITHM, signature)).fetchone() is not None


def _take_all(value: object, parts: list[str]) -> None:
    """Names and values, one after the other; the names of an object in order."""
    if isinstance(value, str):
        parts.append(value)
    elif isinstance(value, dict):
        for name in sorted(value):
            parts.append(name)
            _take_all(value[name], parts)
    elif isinstance(value, list):
        for each in value:
            _take_all(each, parts)
    else:
        parts.append(str(value))
