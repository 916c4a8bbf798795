"""A table as a MIME bundle: safe HTML for the page, aligned columns for a terminal."""

from collections.abc import Sequence
from itertools import compress

from mm_magic.rendering.bundles import Bundle
from mm_magic.rendering.markdown import IGNORE, escaped
from mm_magic.wording import plain

_CELL = "text-align:left;vertical-align:top;padding:.2em .6em"


def table_bundle(
    columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> Bundle:
    """Return rows of plain text under the names of their columns, and `notes` below the table.

    A column whose cells are all empty is left out, and so is a table without rows.
    """
    used = [any(row[place] for row in rows) for place in range(len(columns))]
    columns = list(compress(columns, used))
    rows = [list(compress(row, used)) for row in rows]
    head = "".join(f'<th scope="col" style="{_CELL}">{escaped(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}" dir="auto">{escaped(c)}</td>' for c in row) + "</tr>"
        for row in rows
    )
    below = "".join(f"<p><small>{escaped(note)}</small></p>" for note in notes)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    lines = _columns([columns, *rows]) if rows else []
    return {
        "text/html": f'<div class="mm-table {IGNORE}">{table}{below}</div>',
        "text/plain": "\n".join([*lines, *map(plain, notes)]),
    }


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    rows = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
