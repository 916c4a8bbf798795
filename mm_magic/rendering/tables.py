"""A table as a MIME bundle: safe HTML for the page, columns for a terminal."""

from collections.abc import Sequence

from mm_magic.rendering.bundles import Bundle
from mm_magic.rendering.markdown import IGNORE, escaped
from mm_magic.wording import plain

_CELL = "text-align:left;vertical-align:top;padding:.2em .6em"


def table_bundle(
    columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> Bundle:
    """Return rows of plain text under their columns, and sentences below.

    A column in which all is empty is left out, and so is a table without rows.
    """
    used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    columns = [columns[place] for place in used]
    rows = [[row[place] for place in used] for row in rows]
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


def shortened(text: str, limit: int) -> str:
    """The beginning of a text on one line, in `limit` characters at most."""
    line = " ".join(text[: limit * 4].split())
    is_whole = len(line) <= limit and len(text) <= limit * 4
    return line if is_whole else f"{line[: limit - 1].rstrip()}…"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    rows = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
