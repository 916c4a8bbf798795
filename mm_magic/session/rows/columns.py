"""The columns that come back with the answers: their names, and how pandas and polars hold them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, as_object, as_text
from mm_magic.session.rows.answers import RowAnswer
from mm_magic.session.values import ValueType, bare, field_of
from mm_magic.wording import plain

Labels: TypeAlias = tuple[str, ...]
"""A few texts, of which a column has one in each row."""
Kind: TypeAlias = type | Labels
"""What is in a column; `object` stands for anything."""

_NULL = {"type": "null"}
_SIMPLE: Mapping[tuple[str, str], type] = {
    ("integer", ""): int, ("number", ""): float, ("boolean", ""): bool, ("string", ""): str,
    ("string", "date"): date, ("string", "date-time"): datetime,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a map that is named `column`.

    `values` are those of the answer itself, one for each field where it `has_fields`; `type_name`
    is the type that it is read as, "" if it is text.
    """

    column: str
    values: Mapping[str, Kind]
    has_fields: bool = False
    type_name: str = ""

    @classmethod
    def of(cls, column: str, kind: ValueType | None) -> "Columns":
        """The columns of answers of this type. Raises UsageError where two have the same name."""
        if kind is None:
            return cls(column, {column: str})
        fields = _fields(kind.python_schema)
        made = cls(column, fields or {column: _of_all(kind.python_schema)}, bool(fields), kind.name)
        if twice := made.about.keys() & fields.keys():
            raise UsageError(
                f"{kind.name} has a field {min(twice)!r}, but mm.map adds a column of that name",
                next_steps=("Choose other names for its columns: `mm.map(…, column='reply')`",),
            )
        return made

    @property
    def about(self) -> dict[str, Kind]:
        """The columns that tell of an answer."""
        name = self.column
        return {f"{name}_error": str, f"{name}_tokens": int, f"{name}_seconds": float}

    @property
    def kinds(self) -> dict[str, Kind]:
        """All columns, in their order, and what is in them."""
        return {**self.values, **self.about}

    def cells(self, answers: Sequence[RowAnswer]) -> dict[str, Sequence[object]]:
        """The columns with the answers in them."""
        told: list[Sequence[object]] = [
            [None if each.error is None else plain(each.error) for each in answers],
            [each.tokens for each in answers],
            [each.seconds for each in answers],
        ]
        values = {name: [self._value(name, each) for each in answers] for name in self.values}
        return {**values, **dict(zip(self.about, told, strict=True))}

    def _value(self, name: str, answer: RowAnswer) -> object:
        if not self.type_name:
            return answer.text
        value = bare(answer.value)
        return bare(field_of(value, name)) if self.has_fields else value

    def former(self, names: Iterable[str], drop: str = "") -> set[str]:
        """Those of a table's columns that an earlier map has made: they are replaced.

        What tells of its answers says that there was one. `drop` is the line that takes a column
        out of the table, with `{}` for its name. Raises UsageError where the table has a column of
        its own in the way.
        """
        listed = [*names]
        known, found = set(listed), set[str]()
        if self.about.keys() <= known:
            found = {*self.about, *({self.column} & known)}
            if self._has_values(listed):
                found |= self.values.keys()
        if there := [name for name in self.kinds if name in known - found]:
            raise UsageError(
                f"the table already has a column {there[0]!r}, and the answers need that name",
                next_steps=self._way_out(there[0], drop),
            )
        return found

    def _has_values(self, names: list[str]) -> bool:
        """Whether an earlier map to this type made columns of a table: none is the table's own.

        A column that is named as that of a text may be one: the fields stand together then.
        """
        end = names.index(next(iter(self.about)))
        is_here = names[max(0, end - len(self.values)) : end] == [*self.values]
        return is_here or (self.column not in names and self.values.keys() <= {*names})

    def _way_out(self, name: str, drop: str) -> Sequence[str]:
        """What to do about a column of the table's own."""
        if not self.has_fields or name in self.about:
            return ("Choose another name for the answers: `mm.map(…, column='reply')`",)
        without = [f"Or drop the column: `{drop.format(repr(name))}`"] if drop else []
        return (f"Rename the field {name!r} of {self.type_name}.", *without)


def _fields(schema: JsonObject) -> dict[str, Kind]:
    """The fields of an object, and what is in them; none where the type has no fields."""
    properties = as_object(_resolved(schema, schema).get("properties"))
    return {name: _kind(as_object(each), schema) for name, each in properties.items()}


def _of_all(schema: JsonObject) -> Kind:
    return _kind(schema, schema)


def _resolved(part: JsonObject, schema: JsonObject) -> JsonObject:
    """A part of a schema, or the definition that it refers to.

    pydantic before 2.9 puts what refers to one into a list, where a field says more of itself.
    """
    match part:
        case {"allOf": [one]}:
            return _resolved(as_object(one), schema)
        case {"$ref": str(name)}:
            definitions = as_object(schema.get("$defs"))
            return as_object(definitions.get(name.rpartition("/")[2]))
    return part


def _kind(part: JsonObject, schema: JsonObject) -> Kind:
    """What a part of a schema describes; whether it may be missing does not count."""
    part = _resolved(part, schema)
    options = part.get("anyOf")
    if isinstance(options, list):
        others = [each for each in options if each != _NULL]
        return _kind(as_object(others[0]), schema) if len(others) == 1 else object
    if "enum" in part or "const" in part:
        return _of_choices(part.get("enum", [part.get("const")]))
    return _SIMPLE.get((as_text(part.get("type")), as_text(part.get("format"))), object)


def _of_choices(choices: object) -> Kind:
    """What is in a column that has one of a few values."""
    found = [each for each in choices if each is not None] if isinstance(choices, list) else []
    labels = tuple(each for each in found if isinstance(each, str))
    if labels and len(labels) == len(found):
        return labels
    kinds = {type(each) for each in found}
    return kinds.pop() if len(kinds) == 1 and kinds <= {int, bool} else object


# How they are held

_PANDAS: Mapping[Kind, str] = {
    str: "object", int: "Int64", float: "float64", bool: "boolean", date: "datetime64[s]",
}  # fmt: skip


def pandas_series(pandas: Any, values: Sequence[object], kind: Kind, index: Any) -> Any:
    """A pandas Series of the same dtype whatever is in it, but for what the dtype can't hold."""
    with suppress(TypeError, ValueError, OverflowError):  # as a whole number of 100 digits
        if _are(kind, values):
            return pandas.Series(values, dtype=_pandas_dtype(pandas, values, kind), index=index)
    return pandas.Series(values, dtype="object", index=index)


def _pandas_dtype(pandas: Any, values: Sequence[object], kind: Kind) -> Any:
    if isinstance(kind, tuple):
        return pandas.CategoricalDtype(kind)
    if kind is datetime:
        return "datetime64[us, UTC]" if _have_zones(values) else "datetime64[us]"
    return _PANDAS.get(kind, "object")


def polars_series(polars: Any, name: str, values: Sequence[object], kind: Kind) -> Any:
    """The same as a polars Series."""
    with suppress(TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
        if _are(kind, values):
            made = polars.Series(name, values, _polars_dtype(polars, values, kind))
            if kind not in (object, datetime) or made.to_list() == [*map(_plain, values)]:
                return made
    return polars.Series(name, values, polars.Object)


def _plain(value: Any) -> Any:
    """A value as polars gives it back: it makes all dicts have the keys of the first, and all times
    one zone."""
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields"):
        value = dict(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_plain, value)]
    return value


def _polars_dtype(polars: Any, values: Sequence[object], kind: Kind) -> Any:
    """None leaves it to polars."""
    if isinstance(kind, tuple):
        return polars.Enum(kind)
    if kind is datetime:
        return polars.Datetime("us", "UTC" if _have_zones(values) else None)
    kinds = {str: polars.String, int: polars.Int64, float: polars.Float64,
             bool: polars.Boolean, date: polars.Date}  # fmt: skip
    return kinds.get(kind)


def _are(kind: Kind, values: Iterable[object]) -> bool:
    """Whether values are of their column's kind: a type's own check may have made others of them.

    pandas would make a missing value of a label that it does not know.
    """
    found = [each for each in values if each is not None]
    if isinstance(kind, tuple):
        return all(each in kind for each in found)
    kinds = (float, int) if kind is float else (kind,)
    return kind is object or all(type(each) in kinds for each in found)


def _have_zones(values: Iterable[object]) -> bool:
    """Whether these times are given with a time zone."""
    times = [each for each in values if isinstance(each, datetime)]
    return bool(times) and all(each.tzinfo is not None for each in times)
