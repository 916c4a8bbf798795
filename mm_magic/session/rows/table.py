"""What `mm.map` is given, as rows; and the table that comes back, as it came in.

pandas and polars are never imported before the user's own table brought them, but to make a table
of what was none.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import Any

from mm_magic.errors import UsageError
from mm_magic.prompt.kinds import is_a
from mm_magic.prompt.values import text_of
from mm_magic.session.rows.columns import Columns, pandas_series, polars_series
from mm_magic.web_page import way_to

VALUE = "value"
"""The column of a list of plain values, and of a Series without a name."""
_MAY_BE_NAN = "numpy pandas", "floating datetime64 timedelta64 NaTType"
"""Libraries and types of values that differ from themselves where they are missing."""


class Row:
    """One row of a table: `row["title"]`, `row.title`; as text, a line for each column."""

    __slots__ = ("_cells",)

    def __init__(self, cells: Mapping[str, object]) -> None:
        self._cells = cells

    def __getitem__(self, name: str) -> object:
        return self._cells[name]

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what copies and pickles look for
            raise AttributeError(name)
        try:
            return self._cells[name]
        except KeyError:
            raise AttributeError(f"the row has no column {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __str__(self) -> str:
        return "\n".join(f"{name}: {text_of(value).text}" for name, value in self._cells.items())

    def __repr__(self) -> str:
        return f"Row({dict(self._cells)!r})"

    def keys(self) -> Iterable[str]:
        """The names of the columns, so that `dict(row)` works."""
        return self._cells.keys()


@dataclass(frozen=True, slots=True)
class Item:
    """One row as a prompt sees it: its cells by name, and the `row` itself.

    Cells that have no value are empty texts; `missing` names them.
    """

    cells: Mapping[str, object]
    row: object
    missing: Set[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the user's, of any sort.

    `names` are its columns as a prompt names them; `items` gives its rows, and may be called once.
    `with_columns` makes the table that comes back: the same with these columns at its end.
    """

    names: Sequence[str]
    size: int
    items: Callable[[], Iterator[Item]]
    with_columns: Callable[[Mapping[str, Sequence[object]]], Any]

    def __len__(self) -> int:
        return self.size


def table_of(rows: Any, own: Columns) -> Table:
    """The table that `rows` is. Raises UsageError where it is none.

    Of the columns `own`, those of an earlier run are left out.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        return _of_pandas(pandas, rows, own)
    if pandas is not None and isinstance(rows, pandas.Series):
        frame = rows.to_frame(VALUE if rows.name is None else rows.name)
        return _of_pandas(pandas, frame, own, is_plain=True)
    if polars is not None and isinstance(rows, polars.DataFrame):
        return _of_polars(polars, rows, own)
    if polars is not None and isinstance(rows, polars.Series):
        return _of_polars(polars, rows.to_frame(rows.name or VALUE), own, is_plain=True)
    return _of_items(_listed(rows), own)


def _listed(rows: Any) -> list[Any]:
    if isinstance(rows, Mapping):
        raise UsageError(
            "rows is a dict, so it is unclear what its rows are",
            next_steps=(
                "Turn a dict of columns into a table: `mm.map(prompt, pd.DataFrame(rows))`",
            ),
        )
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise UsageError(
            f"rows must be a DataFrame, a Series or a list, got {type(rows).__name__}",
            next_steps=('For one prompt: `mm.ask("…")`',),
        )
    return list(rows)


def _item_of(names: Sequence[str], values: Iterable[object], *, is_plain: bool) -> Item:
    """A row; missing values are empty."""
    given = dict(zip(names, values, strict=True))
    missing = {name for name, value in given.items() if is_missing(value)}
    cells = given | dict.fromkeys(missing, "")
    return Item(cells, next(iter(cells.values())) if is_plain else Row(cells), missing)


def is_missing(value: object) -> bool:
    """Whether a cell has no value: None, NaN and NaT of any kind, and pandas' NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return (isinstance(value, float) or is_a(value, *_MAY_BE_NAN)) and value != value


# pandas


def _of_pandas(pandas: ModuleType, frame: Any, own: Columns, *, is_plain: bool = False) -> Table:
    if former := own.former(map(_column_name, frame.columns), "rows.drop(columns={})"):
        frame = frame.drop(columns=[each for each in frame.columns if _column_name(each) in former])
    names = [_column_name(each) for each in frame.columns]

    def items() -> Iterator[Item]:
        rows = frame.itertuples(index=False, name=None)
        return (_item_of(names, row, is_plain=is_plain) for row in rows)

    def with_columns(columns: Mapping[str, Sequence[object]]) -> Any:
        return _with_columns(pandas, frame, columns, own)

    return Table(names, len(frame), items, with_columns)


def _with_columns(
    pandas: Any, frame: Any, columns: Mapping[str, Sequence[object]], own: Columns
) -> Any:
    """A copy of the frame with these columns, of the same types whatever is in them."""
    below, kinds = ("",) * (frame.columns.nlevels - 1), own.kinds
    made = pandas.DataFrame(
        {
            (name, *below) if below else name: pandas_series(
                pandas, values, kinds[name], frame.index
            )
            for name, values in columns.items()
        }
    )
    made.columns.names = frame.columns.names
    found = pandas.concat([frame, made], axis=1)  # one by one, hundreds make a slow frame
    found.attrs = dict(frame.attrs)
    return found


def _column_name(column: object) -> str:
    """A column as a prompt names it; of several levels the empty ones do not count."""
    if isinstance(column, tuple) and not any(column[1:]):
        return str(column[0])
    return str(column)


# polars


def _of_polars(polars: ModuleType, frame: Any, own: Columns, *, is_plain: bool = False) -> Table:
    frame = frame.drop(list(own.former(frame.columns, "rows.drop({})")))
    names = list(frame.columns)

    def items() -> Iterator[Item]:
        return (_item_of(names, row, is_plain=is_plain) for row in frame.iter_rows())

    def with_columns(columns: Mapping[str, Sequence[object]]) -> Any:
        kinds = own.kinds
        series = [polars_series(polars, n, values, kinds[n]) for n, values in columns.items()]
        return frame.with_columns(series)

    return Table(names, frame.height, items, with_columns)


# Lists and whatever else can be walked through


def _of_items(given: list[Any], own: Columns) -> Table:
    """A table of dicts, of objects with fields, or of plain values."""
    cells = [_cells(item) for item in given]
    is_plain = bool(cells) and all(each is None for each in cells)
    if not is_plain and any(each is None for each in cells):
        raise UsageError(
            "some of the rows are dicts or objects with fields, and others are not",
            next_steps=("Make all of them dicts with the same keys.",),
        )
    known = [
        {VALUE: item} if each is None else each for item, each in zip(given, cells, strict=True)
    ]
    names = list(dict.fromkeys(name for each in known for name in each))
    former = own.former(names)
    names = [name for name in names if name not in former]

    def items() -> Iterator[Item]:
        for item, each in zip(given, known, strict=True):
            made = _item_of(names, [each.get(name) for name in names], is_plain=is_plain)
            yield made if is_plain or isinstance(item, Mapping) else replace(made, row=item)

    def with_columns(columns: Mapping[str, Sequence[object]]) -> Any:
        pandas = _pandas()
        frame = pandas.DataFrame(
            {name: [each.get(name) for each in known] for name in names},
            index=pandas.RangeIndex(len(given)),
        )
        return _with_columns(pandas, frame, columns, own)

    return Table(names, len(given), items, with_columns)


def _cells(item: Any) -> dict[str, object] | None:
    """The fields of a dict, a dataclass or a named tuple; None of another value."""
    if isinstance(item, Mapping):
        return {str(name): value for name, value in item.items()}
    if is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in fields(item)}
    if isinstance(item, tuple) and hasattr(item, "_asdict"):
        return dict(item._asdict())
    return None


def check_can_return(rows: Any) -> None:
    """Raise UsageError where the table that comes back could not be made: before it is paid for."""
    if not type(rows).__module__.startswith("polars"):
        _pandas()


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UsageError(
            "mm.map returns a pandas DataFrame, and pandas is not installed",
            next_steps=(way_to("pandas", "pip install pandas"),),
        ) from None
    return pandas
