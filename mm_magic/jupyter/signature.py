"""Whether Jupyter signed a notebook.

Jupyter takes nbformat for that, whose import and whose copy of a notebook would take most of the
time in which a long one is resumed (docs/dependencies.md), and which makes and repairs the database
that it looks into. Where Jupyter was told another algorithm, secret or database, `notary` knows it,
and nothing is trusted. What it signs is the content alone: all names and values, one
after the other, so other JSON can have the same signature. What nbformat refuses to read, or gives
new ids to as it reads it, is never trusted.
"""

import hmac
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

ALGORITHM = "sha256"
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
"""Of a notebook's metadata, what is not signed; nor is "trusted" of a cell's."""


def is_signed(data: bytes, folder: Path) -> bool:
    """Whether the content of a notebook's file is among those that were signed with the secret in
    Jupyter's data folder.

    Raises OSError where there is none; for what is no notebook ValueError, LookupError and more.
    """
    notebook = json.loads(data.decode())
    if not (_keeps_ids(notebook) and all(map(_is_readable, notebook["cells"]))):
        return False
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


def _keeps_ids(notebook: dict[str, Any]) -> bool:
    """Whether it is of format 4, and is read with the ids that it has: from 4.5 on, nbformat makes
    up those that are missing or stand twice.
    """
    version, minor = notebook["nbformat"], notebook.get("nbformat_minor", 0)
    if not (isinstance(version, int) and version == 4 and isinstance(minor, int)):
        return False
    ids = [cell["id"] for cell in notebook["cells"]] if minor >= 5 else []
    return len(set(ids)) == len(ids)


def _is_readable(cell: dict[str, Any]) -> bool:
    """Whether nbformat can join the lines of its texts."""
    outputs = cell.get("outputs", ()) if cell.get("cell_type") == "code" else ()
    return (
        _has_lines(cell.get("source"))
        and all(isinstance(each, dict) for each in cell.get("attachments", {}).values())
        and all(map(_is_readable_output, outputs))
    )


def _is_readable_output(output: dict[str, Any]) -> bool:
    kind = output.get("output_type", "")
    if kind in {"execute_result", "display_data"}:
        return isinstance(output.get("data", {}), dict)
    return not kind or _has_lines(output.get("text"))


def _has_lines(text: object) -> bool:
    """Whether a list has nothing but texts; True for what is no list."""
    return not isinstance(text, list) or all(isinstance(line, str) for line in text)


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
