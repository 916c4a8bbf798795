"""What a value is as text: the one place that decides, for every container and library.

A value is written whole, or with a sentence on what is left out, or refused if it is no data. It
is known by the names of its types; of an unknown one only `str` and `repr` are asked for.
"""

from collections import UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

from mm_magic.prompt.cuts import cut_of, gaps, may_be_cut
from mm_magic.prompt.dataframes import MAX_CHARACTERS, MarkdownTable, one_line, table_of
from mm_magic.prompt.kinds import is_a
from mm_magic.prompt.no_data import HERE, may_be_no_data, refuse, refuse_handle, refuse_inside
from mm_magic.wording import counted, shortened

_PLAIN = frozenset({int, float, str, bool, bytes, complex, type(None)})
_ORDERED: tuple[Any, ...] = (list, tuple, deque)
_UNORDERED: tuple[Any, ...] = (set, frozenset, type({}.values()), type({}.items()))
_OF_FIELDS = (SimpleNamespace, UserDict, UserList)
_TOLD = 5
"""Cuts inside a container that are told one by one."""


class Text(NamedTuple):
    """A value's text; `left_out` says what is not in it, "" if all is.

    `is_apart`: it has lines of its own, and stands between blank ones.
    """

    text: str
    left_out: str = ""
    is_apart: bool = False


class _Cut(NamedTuple):
    left_out: str
    place: str
    gaps: int
    """How often its own text leaves out a middle."""

    def __str__(self) -> str:
        place = self.place.replace(f"list({HERE})", "").replace(HERE, "")
        place = shortened(place, MAX_CHARACTERS)
        return f"{self.left_out} in {place}" if place else self.left_out


def text_of(value: object) -> Text:
    """The text of a value.

    Raises NoDataError if it is no data, and what its own methods raise.
    """
    if isinstance(value, Text):
        return value
    if type(value) in _PLAIN and type(value) is not bytes:
        return Text(str(value))
    refuse_handle(value)
    if (table := table_of(value)) is not None:
        return _table_text(table)
    text = str(value)
    refuse(value, text)
    inside = list(_cuts_inside(value, text, HERE))
    own = cut_of(value, text) if may_be_cut(value) else ""
    if own and inside and gaps(text) <= sum(cut.gaps for cut in inside):
        own = ""  # what is missing is in the items
    left_out = ", ".join(filter(None, (own, _told(inside))))
    return Text(f"{text} ({left_out})" if left_out else text, left_out)


def _table_text(table: MarkdownTable) -> Text:
    cut = sum(_is_cut_cell(place, cell) for place, cell in table.cells)
    in_cells = f"only part of what is in {counted(cut, 'cell')}" if cut else ""
    left_out = ", ".join(filter(None, (table.left_out, in_cells)))
    text = f"{table.text}\n\n({left_out})" if left_out else table.text
    return Text(text, left_out, is_apart=True)


def _is_cut_cell(place: str, cell: object) -> bool:
    """Whether a cell's own text leaves something out; a cell that the table cuts is told there."""
    if type(cell) in _PLAIN:
        return False
    text = str(cell)
    refuse_inside(cell, text, place)
    inside = list(_cuts_inside(cell, text, place))
    is_whole = len(one_line(cell)) <= MAX_CHARACTERS
    return is_whole and bool(inside or cut_of(cell, text))


def _told(cuts: list[_Cut]) -> str:
    more = f" and {len(cuts) - _TOLD} more" if len(cuts) > _TOLD else ""
    return ", ".join(map(str, cuts[:_TOLD])) + more


def _cuts_inside(value: object, text: str, place: str) -> Iterator[_Cut]:
    """The cuts of what is in a container, as far as its `text` shows it.

    Raises NoDataError for what is no data there.
    """
    line = ""
    unseen: dict[str, int] = {}  # how often a text is there and not yet accounted for
    for where, item in _tables_and_handles(value, place):
        line = line or " ".join(text.split())
        shown = repr(item)
        left_out = cut_of(item, shown)
        if not left_out and not may_be_no_data(item):
            continue
        part = " ".join(shown.split())
        unseen[part] = unseen.get(part, line.count(part)) - 1
        if unseen[part] >= 0:
            refuse_inside(item, shown, where)
            if left_out:
                yield _Cut(left_out, where, gaps(shown))


def _tables_and_handles(value: object, place: str) -> Iterator[tuple[str, object]]:
    """The values in a container that may be cut or refused, each with its code."""
    kinds: dict[type, bool] = {}
    for where, item in _inner(value, place):
        kind = type(item)
        if kind not in kinds:
            kinds[kind] = may_be_cut(item) or may_be_no_data(item)
        if kinds[kind]:
            yield where, item


def _inner(value: object, place: str) -> Iterator[tuple[str, object]]:
    """The values in a container that are no plain ones, at any depth, each with its code."""
    todo = [_items(value, place) or iter(())]
    seen = {id(value)}  # a container may hold itself
    while todo:
        for where, item in todo[-1]:
            if (items := _items(item, where)) is None:
                yield where, item
            elif id(item) not in seen:
                seen.add(id(item))
                todo.append(items)
                break
        else:
            todo.pop()


def _items(value: Any, place: str) -> Iterator[tuple[str, object]] | None:
    """What a container holds, without plain values; None for what is no container."""
    if isinstance(value, dict):
        return _with_places(f"{place}[%s]", dict.items(value))
    for kind in _ORDERED:
        if isinstance(value, kind):
            return _with_places(f"{place}[%s]", enumerate(kind.__iter__(value)))
    for kind in _UNORDERED:
        if isinstance(value, kind):
            return _with_places(f"list({place})[%s]", enumerate(kind.__iter__(value)))
    if is_a(value, "numpy", "ndarray") and value.dtype.hasobject and value.ndim:
        return _with_places(f"{place}[%s]", enumerate(value.tolist()))
    if isinstance(value, _OF_FIELDS) or is_a(value, "pydantic", "BaseModel"):
        return _with_places(f"{place}.%s", vars(value).items(), str)
    if is_dataclass(value) and not isinstance(value, type):
        parts = ((field.name, getattr(value, field.name, None)) for field in fields(value))
        return _with_places(f"{place}.%s", parts, str)
    return None


def _with_places(
    pattern: str, items: Iterable[tuple[object, object]], key_text: Callable[[object], str] = repr
) -> Iterator[tuple[str, object]]:
    before, after = pattern.rsplit("%s", 1)
    for key, item in items:
        if type(item) not in _PLAIN:
            yield f"{before}{key_text(key)}{after}", item
