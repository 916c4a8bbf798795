"""A table as a MIME bundle: safe HTML for the page, aligned columns for a terminal."""

from collections.abc import Collection, Sequence
from itertools import compress

from mm_magic.rendering.bundles import Bundle
from mm_magic.rendering.markdown import IGNORE, escaped, escaped_note
from mm_magic.wording import columns as wide
from mm_magic.wording import cut, plain, wrapped

_GAP = "  "
_LONG = 32
"""A column that is wider holds text that may be cut in a terminal, and keeps `_SHORTEST` of it."""
_SHORTEST = 20
_WITHOUT_WINDOW = 400
"""The columns for which a table in a file is cut: each row of it is as long as its widest one."""
_CELL = "text-align:left;vertical-align:top;padding:.2em .6em"
_SHORT_CELL = "white-space:nowrap"
_LONG_CELL = "min-width:16em"
_BROKEN_CELL = "min-width:4.5em"


def table_bundle(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    *,
    width: int | None = None,
    broken: Collection[str] = (),
) -> Bundle:
    """Return rows of plain text under the names of their columns, and `notes` below the table.

    A column whose cells are all empty is left out, and so is a table without rows. The plain text
    fits a terminal of `width` columns; without one, only long texts are cut. A table that is wider
    than the page is scrolled sideways: a short cell is not broken, so that one that is filled later
    makes no row higher. The columns named in `broken` are, at spaces, before anything is scrolled.
    """
    used = [any(row[place] for row in rows) for place in range(len(columns))]
    columns = list(compress(columns, used))
    rows = [list(compress(row, used)) for row in rows]
    styles = [_BROKEN_CELL if name in broken else "" for name in columns]
    head = "".join(f'<th scope="col" style="{_CELL}">{escaped(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row, styles))}</tr>" for row in rows)
    below = "".join(f"<p><small>{escaped_note(note)}</small></p>" for note in notes)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    box = f'<div style="overflow-x:auto">{table}</div>' if rows else ""
    lines = _lines([columns, *rows], width) if rows else []
    return {
        "text/html": f'<div class="mm-table {IGNORE}">{box}{below}</div>',
        "text/plain": "\n".join([*lines, *map(plain, notes)]),
    }


def _cell(text: str, style: str) -> str:
    """A cell, in `style` if its column has one of its own."""
    style = style or (_SHORT_CELL if len(text) <= _LONG else _LONG_CELL)
    return f'<td style="{_CELL};{style}" dir="auto">{escaped(text)}</td>'


def _lines(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The names and the rows below them in columns; where those don't fit, a list of the rows."""
    rows = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    widest = [max(map(wide, column)) for column in zip(*rows, strict=True)]
    widths = _fitted(widest, _WITHOUT_WINDOW if width is None else width)
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        return _listed(rows, width)
    return [
        _GAP.join(_padded(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _fitted(widths: Sequence[int], width: int) -> list[int]:
    """The widths of the columns; those of long text share what room the others leave."""
    long = [w for w in widths if w > _LONG]
    others = sum(widths) - sum(long) + len(_GAP) * (len(widths) - 1)
    share = max(_SHORTEST, (width - others) // max(1, len(long)))
    return [min(w, share) if w > _LONG else w for w in widths]


def _padded(cell: str, width: int) -> str:
    cell = cut(cell, width)
    return cell + " " * (width - wide(cell))


def _listed(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A paragraph for each row, in which each cell has its name before it."""
    names, *rest = rows
    return [
        wrapped("- " + " · ".join(f"{n} {c}" for n, c in zip(names, row, strict=True) if c), width)
        for row in rest
    ]
