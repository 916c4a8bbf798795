"""Tables as text of bounded size, arrays whose text is cut, and values that have no text.

A value's kind is told by the names of its types, so no library is imported, and a value of any
other type is left alone.
"""

import re
from collections.abc import Iterable
from inspect import isroutine
from math import prod
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

MAX_ROWS = 20
MAX_COLUMNS = 20
MAX_CHARACTERS = 60
"""The most that one cell or one label may have."""

_PICTURES = (
    ("matplotlib", "Artist"),  # figures and axes
    ("PIL", "Image"),
    ("IPython", "Image"),
    ("plotly", "BaseFigure"),
)
_ARRAYS = (
    ("numpy", "ndarray"),
    ("pandas", "Index"),
    ("pandas", "ExtensionArray"),  # what unique() gives
    ("torch", "Tensor"),
)
_QUOTED = re.compile(r"""'[^'\n]*'|"[^"\n]*\"""")
_GAP = re.compile(r"(?<![^\s\[])\.\.\.(?=[,\s\]])")
"""What an array writes in place of its middle."""
_ADDRESS = re.compile(r"<.* at 0x[0-9A-Fa-f]+>", re.DOTALL)
"""The text of an object that has none of its own."""


class Table(NamedTuple):
    """`text` is a Markdown table; `left_out` says what is not in it, "" if all is."""

    text: str
    left_out: str


def table_of(value: object) -> Table | None:
    """The table of a pandas or polars DataFrame or Series; None for any other value.

    Raises what the methods of a broken DataFrame raise.
    """
    if _is_a(value, "pandas", "DataFrame"):
        return _pandas_table(value)
    if _is_a(value, "polars", "DataFrame"):
        return _polars_table(value)
    series: Any = value
    if _is_a(value, "pandas", "Series"):
        return _pandas_table(series.to_frame("value" if series.name is None else series.name))
    if _is_a(value, "polars", "Series"):
        return _polars_table(series.to_frame(series.name or "value"))
    return None


def left_out_of(value: object, text: str) -> str:
    """What an array's `text` leaves out; "" if nothing, and for a value that is no array."""
    if not any(_is_a(value, library, name) for library, name in _ARRAYS):
        return ""
    values = text.partition("\nCategories")[0]
    if _GAP.search(_QUOTED.sub("", values)) is None:
        return ""
    array: Any = value
    return f"only the ends of {prod(array.shape):,} values"


def is_picture(value: object) -> bool:
    """Whether it is a figure or an image of one of the usual libraries."""
    return any(_is_a(value, library, name) for library, name in _PICTURES)


def without_text(value: object, text: str) -> str:
    """The kind of a value whose `text` would tell a model nothing, as "a method"; else ""."""
    if isinstance(value, str):
        return ""
    if isinstance(value, FunctionType):
        return "a function"
    if isroutine(value):
        owner = getattr(value, "__self__", None)  # a built-in function's is its module
        is_bound = owner is not None and not isinstance(owner, ModuleType)
        return "a method" if is_bound else "a built-in function"
    if isinstance(value, ModuleType):
        return "a module"
    if isinstance(value, type):
        return "a class"
    has_none = _ADDRESS.fullmatch(text) is not None
    return f"an object that has no text ({type(value).__name__})" if has_none else ""


def _is_a(value: object, library: str, name: str) -> bool:
    return any(
        base.__name__ == name and str(base.__module__).split(".")[0] == library
        for base in type(value).__mro__
    )


def _pandas_table(frame: Any) -> Table:  # it may not be installed, and neither are its types
    part = frame.iloc[:MAX_ROWS, :MAX_COLUMNS]
    names, labels = _index(part.index)
    lines = [
        [*names, *map(_label, part.columns)],
        *(
            [*label, *(part.iat[row, column] for column in range(part.shape[1]))]
            for row, label in enumerate(labels)
        ),
    ]
    return _table(lines, frame.shape)


def _polars_table(frame: Any) -> Table:
    part = frame[:MAX_ROWS, :MAX_COLUMNS]
    return _table([part.columns, *part.rows()], frame.shape)


def _table(lines: Iterable[Iterable[object]], shape: tuple[int, int]) -> Table:
    """The table of these lines, the first of which names the columns; `shape` is the whole's."""
    rows, columns = shape
    texts = [[" ".join(_text(cell).split()) for cell in line] for line in lines]
    is_cut = any(len(text) > MAX_CHARACTERS for line in texts for text in line)
    counts = (
        _count(rows, MAX_ROWS, "rows"),
        _count(columns, MAX_COLUMNS, "columns"),
        f"cells cut at {MAX_CHARACTERS} characters" if is_cut else "",
    )
    left_out = ", ".join(filter(None, counts))
    head, *body = [f"| {' | '.join(map(_cell, line))} |" for line in texts]
    table = "\n".join([head, "|" + " --- |" * len(texts[0]), *body])
    return Table(f"{table}\n\n({left_out})" if left_out else table, left_out)


def _count(number: int, limit: int, things: str) -> str:
    """As "20 of 5,000 rows" or "no rows"; "" if all are shown."""
    if number > limit:
        return f"{limit} of {number:,} {things}"
    return "" if number else f"no {things}"


def _index(index: Any) -> tuple[list[str], list[tuple[object, ...]]]:
    """The names of an index and each row's labels; none if it only counts the rows from 0."""
    if index.nlevels > 1:
        return [_label(name) for name in index.names], list(index)
    if index.name is None and list(index) == list(range(len(index))):
        return [], [()] * len(index)
    return [_label(index.name)], [(label,) for label in index]


def _label(label: object) -> str:
    """A column's name; several levels become one name, as "2024 / price"."""
    parts = label if isinstance(label, tuple) else (label,)
    return " / ".join("" if part is None else str(part) for part in parts)


def _text(value: object) -> str:
    if isinstance(value, float):  # 15 digits hold all that was typed, and not 0.1 + 0.2's noise
        return "NaN" if value != value else f"{value:.15g}"
    return str(value)


def _cell(line: str) -> str:
    """A cell of a Markdown table; its own bars are escaped so that they don't end it.

    It is cut here to the byte: the text is part of a request, and recordings know requests by it.
    """
    shown = line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…"
    return shown.replace("|", "\\|")
