"""DataFrames and Series as Markdown tables of bounded size; every other value is left alone."""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from mm_magic.prompt.kinds import is_a
from mm_magic.prompt.no_data import HERE

MAX_ROWS = 20
MAX_COLUMNS = 20
MAX_CHARACTERS = 60
"""The most that one cell or one label may have."""
_PRECISION = 6
"""Digits of a float, as pandas and polars show it where nobody set another precision."""


class MarkdownTable(NamedTuple):
    """`text` is a Markdown table; `left_out` says what is not in it, "" if all is."""

    text: str
    left_out: str
    cells: list[tuple[str, object]]
    """The values in it, each with its code, where HERE is the code of the whole."""


def table_of(value: object) -> MarkdownTable | None:
    """The table of a pandas or polars DataFrame or Series; None for any other value.

    Raises what the methods of a broken DataFrame raise.
    """
    series: Any = value
    if is_a(value, "pandas", "DataFrame"):
        return _pandas_table(value, HERE + ".iat[{row}, {column}]")
    if is_a(value, "polars", "DataFrame"):
        return _polars_table(value, HERE + "[{row}, {column}]")
    if is_a(value, "pandas", "Series"):
        frame = series.to_frame("value" if series.name is None else series.name)
        return _pandas_table(frame, HERE + ".iat[{row}]")
    if is_a(value, "polars", "Series"):
        return _polars_table(series.to_frame(series.name or "value"), HERE + "[{row}]")
    return None


def one_line(value: object, number: Callable[[float], str] | None = None) -> str:
    """The text of a cell before it is cut; `number` writes a float."""
    is_float = isinstance(value, float) or is_a(value, "numpy", "floating")
    text = (number or _number)(value) if is_float else str(value)  # type: ignore[arg-type]
    return " ".join(text.split())


def _pandas_table(frame: Any, place: str) -> MarkdownTable:  # pandas may not be installed
    part = frame.iloc[:MAX_ROWS, :MAX_COLUMNS]
    names, labels = _index(part.index)
    head = [*names, *map(_label, part.columns)]
    rows = [
        [part.iat[row, column] for column in range(part.shape[1])] for row in range(len(labels))
    ]
    return _table(_texts(head, labels, rows, _pandas_number()), rows, frame.shape, place)


def _polars_table(frame: Any, place: str) -> MarkdownTable:
    part = frame[:MAX_ROWS, :MAX_COLUMNS]
    rows = part.rows()
    texts = _texts(part.columns, [()] * len(rows), rows, _polars_number())
    return _table(texts, rows, frame.shape, place)


def _pandas_number() -> Callable[[float], str]:
    """How pandas writes a float, as its display options have it."""
    display = sys.modules["pandas"].options.display
    written = display.float_format
    if written is None:
        return partial(_number, precision=display.precision)
    return lambda value: "NaN" if value != value else str(written(value))


def _polars_number() -> Callable[[float], str]:
    set_to = sys.modules["polars"].Config.state().get("set_float_precision")
    return partial(_number, precision=_PRECISION if set_to is None else set_to)


def _number(value: float, precision: int = _PRECISION) -> str:
    """A float without the digits that its library does not show, and without zeros at its end.

    A library has as many digits behind the point in all of a column; a number below 1 keeps as many
    significant ones here.
    """
    if value != value:
        return "NaN"
    exact = float(value)
    if abs(exact) < 1:
        return f"{exact:.{precision}g}"
    return f"{round(exact, precision):.15g}"


def _texts(
    head: Iterable[object],
    labels: Iterable[Sequence[object]],
    rows: Sequence[Sequence[object]],
    number: Callable[[float], str],
) -> list[list[str]]:
    """The lines of a table of these columns, labels and rows, uncut; `number` writes a float."""
    lines = [head, *([*label, *row] for label, row in zip(labels, rows, strict=True))]
    return [[one_line(each, number) for each in line] for line in lines]


def _table(
    texts: Sequence[Sequence[str]],
    rows: Sequence[Sequence[object]],
    shape: tuple[int, int],
    place: str,
) -> MarkdownTable:
    """The table of these lines, which show `rows`; `shape` is the whole's."""
    cells = [
        (place.format(row=row, column=column), cell)
        for row, line in enumerate(rows)
        for column, cell in enumerate(line)
    ]
    first, *body = [f"| {' | '.join(map(_cell, line))} |" for line in texts]
    table = "\n".join([first, "|" + " --- |" * len(texts[0]), *body])
    return MarkdownTable(table, _left_out(texts, shape), cells)


def _left_out(texts: Iterable[Iterable[str]], shape: tuple[int, int]) -> str:
    rows, columns = shape
    is_cut = any(len(text) > MAX_CHARACTERS for line in texts for text in line)
    counts = (
        _count(rows, MAX_ROWS, "rows"),
        _count(columns, MAX_COLUMNS, "columns"),
        f"cells cut at {MAX_CHARACTERS} characters" if is_cut else "",
    )
    return ", ".join(filter(None, counts))


def _count(number: int, limit: int, things: str) -> str:
    """As "20 of 5,000 rows" or "no rows"; "" if all are shown."""
    if number > limit:
        return f"{limit} of {number:,} {things}"
    return "" if number else f"no {things}"


def _index(index: Any) -> tuple[list[str], list[tuple[object, ...]]]:
    """The names of an index and each row's labels; none if it only counts the rows from 0."""
    if index.nlevels > 1:
        return [_label(name) for name in index.names], list(index)
    if index.name is None and _only_counts(index):
        return [], [()] * len(index)
    return [_label(index.name)], [(label,) for label in index]


def _only_counts(index: Any) -> bool:
    """Whether the labels are the whole numbers from 0 on: False, 0.0 and a category are not."""
    if str(index.dtype) == "category":
        return False
    return all(
        (type(label) is int or is_a(label, "numpy", "integer")) and str(label) == str(row)
        for row, label in enumerate(index)
    )


def _label(label: object) -> str:
    """A column's name; several levels become one name, as "2024 / price"."""
    parts = label if isinstance(label, tuple) else (label,)
    return " / ".join("" if part is None else str(part) for part in parts)


def _cell(line: str) -> str:
    """A cell of a Markdown table; its own bars are escaped so that they don't end it.

    It is cut here to the byte: the text is part of a request, and recordings know requests by it.
    """
    shown = line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…"
    return shown.replace("|", "\\|")
