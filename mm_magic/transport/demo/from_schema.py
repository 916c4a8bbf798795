"""JSON made from a JSON Schema: what the embedded backend answers where a type is asked for.

It fits the schema as far as that can be seen without solving it: a pattern or a condition between
fields is not read. The same schema and answer give the same JSON.
"""

import math

from mm_magic.protocol.json_values import JsonObject, as_count, as_object, as_text

_WORDS = ("oak", "elm", "ash", "fir", "yew", "box", "may", "bay")
_FORMATS = {
    "date": "2026-01-0{}",
    "date-time": "2026-01-0{}T12:00:00Z",
    "time": "12:0{}:00Z",
    "duration": "PT{}H",
    "email": "oak{}@example.com",
    "uri": "https://example.com/{}",
    "uuid": "00000000-0000-4000-8000-00000000000{}",
    "ipv4": "192.0.2.{}",
    "ipv6": "2001:db8::{}",
}
_ITEMS = 2  # of a list whose length is free
_MOST = 50  # items and characters, whatever the schema demands
_VALUES = 1000  # in all: a schema may lead to itself
_NO_DEEPER = 30  # levels, whatever the schema demands
_DEEPEST = 4  # levels, below which what may be left out is left out


def json_from(schema: JsonObject, answer: int = 1) -> object:
    """A JSON value that fits the schema; `answer` is its number among several."""
    return _Maker(as_object(schema.get("$defs")), answer).value(schema, 0)


class _Maker:
    """Makes the values one after another, each with words and numbers of its own."""

    def __init__(self, definitions: JsonObject, answer: int) -> None:
        self._definitions = definitions
        self._count = answer - 1
        self._left = _VALUES

    def value(self, schema: JsonObject, depth: int) -> object:
        """One value. Where there is a choice, the number of the answer and of the value decide."""
        self._left -= 1
        if depth > _NO_DEEPER or self._left < 0:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        for name in ("enum", "examples"):
            choices = schema.get(name)
            if isinstance(choices, list) and choices:
                return choices[self._next() % len(choices)]
        for name in ("anyOf", "oneOf", "allOf"):
            choices = schema.get(name)
            if isinstance(choices, list) and choices:
                return self.value(as_object(choices[-1 if depth > _DEEPEST else 0]), depth + 1)
        return self._of_kind(schema, depth)

    def _of_kind(self, schema: JsonObject, depth: int) -> object:
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._text(schema)
            case "integer" | "number" as kind:
                return self._number(schema, is_whole=kind == "integer")
            case "boolean":
                return self._next() % 2 == 0
        return None

    def _resolved(self, schema: JsonObject) -> JsonObject:
        """What a schema refers to, if it does."""
        for _ in range(_DEEPEST):
            name = as_text(schema.get("$ref")).removeprefix("#/$defs/")
            if not name:
                break
            schema = as_object(self._definitions.get(name))
        return schema

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = as_object(schema.get("properties"))
        names = [*properties] if depth <= _DEEPEST else [*map(str, _list(schema.get("required")))]
        made: JsonObject = {n: self.value(as_object(properties.get(n)), depth + 1) for n in names}
        others = as_object(schema.get("additionalProperties"))
        if not properties and others:
            for _ in range(max(1, _limit(schema, "minProperties", 1))):
                made[self._word()] = self.value(others, depth + 1)
        return made

    def _array(self, schema: JsonObject, depth: int) -> list[object]:
        firsts = schema.get("prefixItems")
        made = [self.value(as_object(each), depth + 1) for each in _list(firsts)]
        least = _limit(schema, "minItems", 0)
        usual = 0 if depth > _DEEPEST else _ITEMS
        wanted = max(least, min(usual, _limit(schema, "maxItems", usual)))
        items = as_object(schema.get("items"))
        while len(made) < wanted:
            made.append(self.value(items, depth + 1))
        return made

    def _text(self, schema: JsonObject) -> str:
        if (form := _FORMATS.get(as_text(schema.get("format")))) is not None:
            return form.format(self._next() % 9 + 1)
        text = self._word()
        times = max(1, math.ceil(_limit(schema, "minLength", 0) / len(text)))
        return (text * times)[: _limit(schema, "maxLength", _MOST + len(text))]

    def _word(self) -> str:
        return _WORDS[self._next() % len(_WORDS)]

    def _number(self, schema: JsonObject, *, is_whole: bool) -> float:
        """A number within the limits; each is another one where there is room."""
        low, high = _lowest(schema, is_whole=is_whole), _highest(schema, is_whole=is_whole)
        count = self._next()
        if not is_whole:
            if low is not None and high is not None:
                return round(low + (high - low) * (count % 3 + 1) / 4, 6)
            return (low or 0.0) + count + 0.5 if high is None else high - count - 0.5
        first = 1 if low is None and high is None else low if low is not None else high
        room = _MOST if low is None or high is None else max(1, int(high - low) + 1)
        sign = -1 if low is None and high is not None else 1
        value = int(first or 0) + sign * (count % room)
        step = as_count(schema.get("multipleOf")) or 1
        return -(-value // step) * step


def _lowest(schema: JsonObject, *, is_whole: bool) -> float | None:
    """The lowest number that is allowed; None if there is none."""
    above = _real(schema.get("exclusiveMinimum"))
    if above is not None:
        return math.floor(above) + 1 if is_whole else above
    least = _real(schema.get("minimum"))
    return least if least is None or not is_whole else math.ceil(least)


def _highest(schema: JsonObject, *, is_whole: bool) -> float | None:
    below = _real(schema.get("exclusiveMaximum"))
    if below is not None:
        return math.ceil(below) - 1 if is_whole else below
    most = _real(schema.get("maximum"))
    return most if most is None or not is_whole else math.floor(most)


def _kind(schema: JsonObject) -> str:
    """The type of a value; what has none may be a text."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    return as_text(kind) or ("object" if "properties" in schema else "string")


def _limit(schema: JsonObject, name: str, usual: int) -> int:
    value = as_count(schema.get(name))
    return usual if value is None else min(value, _MOST)


def _real(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
