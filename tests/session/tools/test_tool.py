"""A Python function as a tool: its name, its schema, its arguments, and what can be none."""

import datetime
import enum
import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, Literal, Self

import jsonschema
import pytest
from pydantic import BaseModel, Field

from mm_magic.errors import UsageError
from mm_magic.session.tools.tool import MAX_DESCRIPTION, BadArguments, Tool, tools_of

ROOT = Path(__file__).parents[3]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Review(BaseModel):
    title: str
    year: int = 1815


@dataclass
class Place:
    city: str
    inside: "Place | None" = None


class Weather:
    """Has methods of every kind."""

    def look_up(self, city: str) -> str:
        """The weather of a city."""
        return f"{city}: rain"

    @classmethod
    def of_class(cls, city: str) -> str:
        return f"{cls.__name__} {city}"

    @staticmethod
    def of_nothing(city: str) -> str:
        return city


def look_up(city: str, days: int = 3) -> str:
    """The weather of a city.

    Args:
        city: without its country
    """
    return f"{city}, {days}"


async def wait_for(seconds: float) -> float:
    return seconds


def tool_of(function: Callable[..., object]) -> Tool:
    (tool,) = tools_of([function])
    return tool


def error_of(*functions: Any) -> UsageError:
    with pytest.raises(UsageError) as raised:
        tools_of(functions)
    assert raised.value.next_steps, "what to do is missing"
    return raised.value


def test_what_is_sent() -> None:
    """A tool is its name, its whole docstring and the schema of its parameters."""
    assert tool_of(look_up).to_wire(is_minimax=False) == {
        "name": "look_up",
        "description": "The weather of a city.\n\nArgs:\n    city: without its country",
        "input_schema": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "default": 3},
            },
            "required": ["city"],
        },
    }


def test_the_type_of_a_tool_is_for_minimax_alone() -> None:
    """MiniMax's hosts refuse a tool without a type, and others one with it."""
    tool = tool_of(look_up)
    assert tool.to_wire(is_minimax=True) == {"type": "custom", **tool.to_wire(is_minimax=False)}


def test_a_function_without_parameters() -> None:
    """Its schema has `properties`, as MiniMax refuses an empty one."""

    def now() -> str:
        return "noon"

    tool = tool_of(now)
    assert tool.schema == {"type": "object", "properties": {}}
    assert tool.arguments({}) == {}
    with pytest.raises(BadArguments, match="`city`"):
        tool.arguments({"city": "Lyon"})


def everything(
    text: str,
    number: float,
    is_dry: bool,
    words: list[str],
    pair: tuple[int, str],
    table: dict[str, int],
    when: datetime.date,
    colour: Colour,
    unit: Literal["C", "F"],
    year: Annotated[int, Field(ge=1800, description="of the first edition")],
    review: Review,
    place: Place,
    anything: Any,
    maybe: int | None,
    *,
    copy: str = "",
    json: str = "x" * 1000,
    _private: int = None,  # type: ignore[assignment] # noqa: RUF013 - many write it so
) -> None: ...


GIVEN = {
    "text": "a", "number": 1, "is_dry": True, "words": ["a"], "pair": [1, "b"], "table": {"a": 1},
    "when": "2026-11-29", "colour": "red", "unit": "C", "year": "1815",
    "review": {"title": "T"}, "place": {"city": "Lyon", "inside": {"city": "x"}},
    "anything": [1], "maybe": None, "copy": "c", "_private": None,
}  # fmt: skip
READ = GIVEN | {
    "number": 1.0,
    "pair": (1, "b"),
    "when": datetime.date(2026, 11, 29),
    "colour": Colour.RED,
    "year": 1815,
    "review": Review(title="T"),
    "place": Place("Lyon", Place("x")),
}


def test_arguments_have_the_types_of_the_hints() -> None:
    """JSON becomes what the hints say; what was left out keeps the function's default."""
    tool = tool_of(everything)

    jsonschema.validate(GIVEN | {"year": 1815}, tool.schema)
    assert tool.arguments(GIVEN) == READ
    signature(everything).bind(**tool.arguments(GIVEN))


def titles_in(schema: Any) -> list[str]:
    """The titles of a schema; a field that has that name is none."""
    if isinstance(schema, list):
        return [title for each in schema for title in titles_in(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["title"]] if isinstance(schema.get("title"), str) else []
    return own + titles_in(list(schema.values()))


def test_a_schema_says_each_thing_once() -> None:
    """It has no titles, and of defaults only those that are short and plain."""
    schema: Any = tool_of(everything).schema

    assert titles_in(schema) == []
    properties = schema["properties"]
    assert properties["year"]["description"] == "of the first edition"
    assert properties["_private"]["default"] is None
    assert properties["copy"]["default"] == ""
    assert "default" not in properties["json"]
    assert set(schema["$defs"]) == {"Colour", "Place", "Review"}
    assert set(schema["required"]) == set(properties) - {"copy", "json", "_private"}


@pytest.mark.parametrize(
    "value",
    [object(), float("nan"), float("inf"), 10**5000, Colour.RED, [1], "x" * 201, (), ...],
    ids=lambda value: type(value).__name__,
)
def test_a_default_that_json_has_not(value: object) -> None:
    """It is not in the schema, and may be left out all the same."""

    def with_default(x: Any = value) -> None: ...

    tool = tool_of(with_default)
    assert tool.schema == {"type": "object", "properties": {"x": {}}}
    assert tool.arguments({}) == {}


def wraps_as_is(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def inner(*args: Any, **options: Any) -> object:
        return function(*args, **options)

    return inner


def named_partial() -> Callable[..., object]:
    made = functools.partial(look_up, days=1)
    made.__name__ = "look_up"  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("function", "given", "result"),
    [
        (Weather().look_up, {"city": "Lyon"}, "Lyon: rain"),
        (Weather.of_class, {"city": "Lyon"}, "Weather Lyon"),
        (Weather.of_nothing, {"city": "Lyon"}, "Lyon"),
        (wraps_as_is(look_up), {"city": "Lyon", "days": "2"}, "Lyon, 2"),
        (functools.cache(look_up), {"city": "Lyon"}, "Lyon, 3"),
        (named_partial(), {"city": "Lyon"}, "Lyon, 1"),
    ],
    ids=["method", "class method", "static method", "decorated", "cached", "named partial"],
)
def test_functions_of_every_kind(
    function: Callable[..., object], given: dict[str, object], result: str
) -> None:
    """A tool is whatever has a name and a signature with types: a method takes no `self`."""
    tool = tool_of(function)

    assert tool.name == function.__name__
    assert "city" in tool.schema["properties"]  # type: ignore[operator]
    assert "self" not in tool.schema["properties"]  # type: ignore[operator]
    assert tool.function(**tool.arguments(given)) == result


def test_hints_that_are_text() -> None:
    """They mean what the function's own module has: in a notebook, its cells."""
    cell = (
        "from __future__ import annotations\n"
        "from pydantic import BaseModel\n"
        "class Town(BaseModel):\n"
        "    name: str\n"
        "def visit(town: Town, others: list['Town'] = ()): return town.name\n"
    )
    module = ModuleType("__main__")
    exec(compile(cell, "<ipython-input-1>", "exec"), module.__dict__)

    part = functools.partial(module.visit)
    part.__name__ = "visit"  # type: ignore[attr-defined]
    for function in (module.visit, wraps_as_is(module.visit), part):
        arguments = tool_of(function).arguments(
            {"town": {"name": "Lyon"}, "others": [{"name": "Arles"}]}
        )
        assert arguments == {
            "town": module.Town(name="Lyon"),
            "others": [module.Town(name="Arles")],
        }


def test_descriptions() -> None:
    """Without a docstring a tool is described by its call, without values; a long one is cut."""

    def bare(a: str, b: object = object()) -> None: ...
    def blank(a: str) -> None:
        """  """  # fmt: skip

    def huge() -> None: ...
    def odd() -> None: ...

    huge.__doc__ = "x" * 10_000_000
    odd.__doc__ = "an emoji in halves: \ud83d\ude00, half of one: \ud83d"
    found = [tool.description for tool in tools_of([bare, blank, named_partial(), huge, odd])]

    assert found[:3] == ["bare(a, b)", "blank(a)", "look_up(city, days)"]
    assert found[3] == "x" * (MAX_DESCRIPTION - 1) + "…"
    assert found[4] == "an emoji in halves: 😀, half of one: �"


def without_hint(city, days: int = 3): ...  # type: ignore[no-untyped-def]
def stars(*cities: str) -> None: ...
def double_stars(**cities: str) -> None: ...
def by_position(city: str, /) -> None: ...
def of_callable(then: Callable[[], int]) -> None: ...
def of_object(place: Weather) -> None: ...
def of_number(city: 3) -> None: ...  # type: ignore[valid-type]
def of_final(city: Final[str]) -> None: ...  # type: ignore[valid-type]
def of_self(city: list[Self]) -> None: ...  # type: ignore[misc]
def of_nobody(city: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821
def größe(city: str) -> None: ...
def with_a_name_that_has_more_than_sixty_four_characters_in_all_of_it(city: str) -> None: ...


def with_odd_signature(city: str) -> None: ...


with_odd_signature.__signature__ = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (without_hint, "the parameter city of without_hint has no type hint"),
        (Weather.look_up, "the parameter self of look_up has no type hint"),
        (stars, "*cities of stars"),
        (double_stars, "**cities of double_stars"),
        (by_position, "city of by_position"),
        (print, "*args of print"),
        (len, "obj of len"),
        (of_callable, "the parameter then of of_callable can't be described"),
        (of_object, "as Weather: it is not a type that pydantic knows"),
        (of_number, "as a value of type int"),
        (of_final, "as Final[str]"),
        (of_self, "as list[Self]"),
        (of_nobody, "name 'Nowhere' is not defined"),
        (größe, "'größe' is not such a name"),
        (with_a_name_that_has_more_than_sixty_four_characters_in_all_of_it, "…' is not such"),
        (lambda: 3, "'<lambda>' is not such a name"),
        (functools.partial(look_up, days=1), "a value of type partial has no name"),
        (Weather, "Weather is a class"),
        (Review, "Review is a class"),
        (max, "the parameters of max can't be read"),
        (with_odd_signature, "the parameters of with_odd_signature can't be read"),
        ("look_up", "got 'look_up'"),
        (look_up("Lyon") + "x" * 1000, "got 'Lyon, 3xxx"),
        (3, "got a value of type int"),
        (None, "got a value of type NoneType"),
    ],
)
def test_what_can_be_no_tool(function: object, told: str) -> None:
    """The error names the function and the parameter, and a step that helps."""
    error = error_of(function)

    assert told in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("function", "step"),
    [
        (without_hint, "`city: str`"),
        (Weather.look_up, "`weather.look_up`"),
        (stars, "`def call_stars(text: str) -> str: return str(stars(text))`"),
        (of_object, "`place: str`"),
        (Weather, "`def use_Weather(text: str) -> str: return str(Weather(text))`"),
    ],
)
def test_the_step_can_be_typed(function: object, step: str) -> None:
    """It has the names of the function, and a whole line of it is Python."""
    told = error_of(function).next_steps[0]

    assert step in told
    if step.startswith("`def"):
        compile(step.strip("`"), "<cell>", "exec")


def test_a_decorator_is_named_as_the_cause() -> None:
    """Stars are often those of a decorator that does not pass the signature on."""
    steps = [error_of(function).next_steps[1:] for function in (stars, double_stars, by_position)]
    assert ["functools.wraps" in "".join(each) for each in steps] == [True, True, False]


def test_a_name_twice() -> None:
    """Two tools of one name could not be told apart."""
    assert error_of(look_up, Weather().look_up).message == "two tools have the name look_up"
    assert tools_of([]) == ()


def test_bad_arguments_are_told_to_the_model() -> None:
    """The text names each parameter that is missing, wrong or unknown, and is bounded."""
    tool = tool_of(everything)

    with pytest.raises(BadArguments) as raised:
        tool.arguments(GIVEN | {"year": 1, "colour": "mauve", "city": "Lyon"})
    text = str(raised.value)
    assert text.startswith("The arguments do not fit everything: ")
    assert all(f"`{name}`" in text for name in ("year", "colour", "city"))

    with pytest.raises(BadArguments, match=r"`text` is missing; .*; and 9 more"):
        tool.arguments({})
    with pytest.raises(BadArguments) as raised:
        tool.arguments({f"{number}" * 1000: "x" * 1000 for number in range(1000)})
    assert len(str(raised.value)) < 2000


def test_strict_types_read_json() -> None:
    """A strict date is a text in JSON, which has no dates."""

    def of_day(day: Annotated[datetime.date, Field(strict=True)]) -> None: ...

    expected = {"day": datetime.date(2026, 11, 29)}
    assert tool_of(of_day).arguments({"day": "2026-11-29"}) == expected


def test_a_check_that_fails_itself() -> None:
    """An error in a type's own check is not the model's, and told as what it is."""
    from pydantic import AfterValidator

    def breaks(_: int) -> int:
        raise RuntimeError("no dice")

    def roll(dice: Annotated[int, AfterValidator(breaks)]) -> None: ...

    with pytest.raises(BadArguments, match="can't be checked: RuntimeError: no dice"):
        tool_of(roll).arguments({"dice": 3})


@pytest.mark.parametrize("found", [None, ModuleType("pydantic")])
def test_without_pydantic(monkeypatch: pytest.MonkeyPatch, found: ModuleType | None) -> None:
    """The error gives the line that installs it, also for a function without parameters."""
    monkeypatch.setitem(sys.modules, "pydantic", found)

    for function in (look_up, wait_for, lambda_free):
        error = error_of(function)
        assert error.message.startswith("a tool needs the package pydantic")
        assert error.next_steps == ('To install it: `%pip install "mm_magic[types]"`',)


def lambda_free() -> None: ...


def test_the_module_is_light() -> None:
    """pydantic is imported for the first tool, and not before."""
    code = (
        "import sys, mm_magic.session.tools.calling\n"
        "from mm_magic.session.tools.tool import tools_of\n"
        "print('pydantic' in sys.modules)\n"
        "def now(): ...\n"
        "tools_of([now])\n"
        "print('pydantic' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True"]
