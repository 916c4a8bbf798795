"""Several answers beside one another as one MIME bundle: while they grow, and finished.

Pure. Inline styles make the columns, as many as the page is wide enough for; where styles are
dropped the answers stand one below the other, each under its label. Each answer comes here as safe
HTML by itself, so none reaches into its neighbour's place.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mm_magic.rendering.bundles import Bundle, disarmed, growing_end
from mm_magic.rendering.markdown import IGNORE, READABLE, escaped, open_fence
from mm_magic.wording import plain

MOST_BESIDE = 4
"""More answers than that are folded, one below the other."""

_GRID = "display:grid;gap:0 2em;grid-template-columns:repeat(auto-fit,minmax(min(100%,{}),1fr))"
_LOOK = {
    "mm-pair": _GRID.format("16em"),
    "mm-pairs": _GRID.format("34em"),  # of four, three in a row would leave the last one alone
    "mm-column": "min-width:0;overflow-x:auto",
    "mm-column>h3": "font-size:1em;margin:.8em 0 .5em;border-bottom:1px solid #8886",
}
# The columns are drawn often, the table above them seldom, so it has their styles. A box shows the
# end of what does not fit, so that nothing below it moves.
_GROWING_LOOK = {
    **_LOOK,
    "mm-box": "height:18em;overflow:hidden;display:flex;flex-direction:column-reverse",
    "mm-low": "height:9em",
    "mm-box>div": f"flex:none;{READABLE}",
    "mm-box>.mm-all": "margin-bottom:auto",
}
_STYLE = f"<style>{''.join(f'.{name}{{{look}}}' for name, look in _GROWING_LOOK.items())}</style>"


OPENING = f'<div class="mm-columns {IGNORE}">'
"""With this begins the HTML of finished answers."""
_FOLDED = '<div style="margin:.5em 0 1em 1em">'


class Column(NamedTuple):
    """An answer under its label: the bundles that it is made of."""

    label: str
    parts: Sequence[Bundle]


class GrowingColumn(NamedTuple):
    """An answer that grows: safe HTML of its end, which may be all that came."""

    label: str
    html: str
    is_all: bool


def growing_table(table: Bundle) -> Bundle:
    """Return the table that stands above answers that grow."""
    return {**table, "text/html": f"{table['text/html']}{_STYLE}"}


def growing_columns(columns: Sequence[GrowingColumn], waiting: str) -> Bundle:
    """Return the ends of answers that grow, in boxes of a fixed height, and what they wait for.

    Many have lower boxes. Their styles are in the `growing_table`.
    """
    box = "mm-box" if len(columns) <= MOST_BESIDE else "mm-box mm-low"
    cells = [(each.label, _growing_html(each, box)) for each in columns]
    return growing_end(_grid(cells, _class) if cells else "", waiting)


def finished_columns(columns: Sequence[Column]) -> Bundle:
    """Return up to four answers side by side, or more of them folded one below the other."""
    if len(columns) > MOST_BESIDE:
        html = "".join(map(_folded_html, columns))
    else:
        html = _grid([(each.label, _parts_html(each)) for each in columns], _style)
    return {
        "text/html": f"{OPENING}{html}</div>",
        "text/markdown": "\n\n".join(map(_markdown, columns)),
        "text/plain": "\n\n".join(map(_plain, columns)),
    }


def frame(label: str) -> list[str]:
    """Return all tags that stand around finished answers; those of a label have this text."""
    boxes = [f"<div {_style(name)}>" for name in _LOOK if ">" not in name]
    labels = [_label_html(label, _style), _summary_html(label)]
    return [OPENING, *boxes, *labels, "<details>", _FOLDED, "</div>", "</details>"]


def _class(name: str) -> str:
    """What the style sheet finds; the label is found by what it stands in."""
    return "" if ">" in name else f'class="{name}"'


def _style(name: str) -> str:
    """The same look, as it stays in a file whose page is sanitized."""
    return f'style="{_LOOK[name]}"'


def _grid(cells: Sequence[tuple[str, str]], look: Callable[[str], str]) -> str:
    """Labels, and the safe HTML below each."""
    columns = [
        f"<div {look('mm-column')}>{_label_html(label, look)}{html}</div>" for label, html in cells
    ]
    if len(columns) == 1:
        return columns[0]
    size = 2 if len(columns) >= MOST_BESIDE else len(columns)
    groups = ("".join(columns[at : at + size]) for at in range(0, len(columns), size))
    grids = [f"<div {look('mm-pair')}>{group}</div>" for group in groups]
    return grids[0] if len(grids) == 1 else f"<div {look('mm-pairs')}>{''.join(grids)}</div>"


def _label_html(label: str, look: Callable[[str], str]) -> str:
    # JupyterLab's table of contents lists the headings of outputs, too.
    text, attributes = f"<strong>{escaped(label)}</strong>", look("mm-column>h3")
    return f'<h3 class="jp-toc-ignore" dir="auto" {attributes}>{text}</h3>'


def _growing_html(column: GrowingColumn, box: str) -> str:
    # The width that each block has in the end is said once.
    html = column.html.replace(f' style="{READABLE}">', ">")
    place = ' class="mm-all"' if column.is_all else ""
    return f'<div class="{box}"><div{place}>{html}</div></div>'


def _folded_html(column: Column) -> str:
    return f"<details>{_summary_html(column.label)}{_FOLDED}{_parts_html(column)}</div></details>"


def _summary_html(label: str) -> str:
    return f'<summary dir="auto"><strong>{escaped(label)}</strong></summary>'


def _parts_html(column: Column) -> str:
    return "".join(str(part["text/html"]) for part in column.parts)


def _markdown(column: Column) -> str:
    """Code that is not closed would go on into the next answer, so it is closed."""
    parts = [f"**{disarmed(column.label)}**"]
    for part in column.parts:
        text = str(part.get("text/markdown") or disarmed(str(part["text/plain"])))
        fence = open_fence(text)
        parts.append(f"{text.rstrip()}\n{fence}" if fence else text.strip("\n"))
    return "\n\n".join(parts)


def _plain(column: Column) -> str:
    parts = (str(part["text/plain"]) for part in column.parts)
    return "\n\n".join([plain(column.label), *parts])
