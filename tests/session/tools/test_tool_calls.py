"""One call of a tool: what comes back as text, and what goes wrong as a result."""

import asyncio
import contextlib
import enum
import io
import json
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as with_any
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from mm_magic.errors import Stopped, UsageError
from mm_magic.prompt.values import text_of
from mm_magic.protocol.json_values import JsonObject, encode_json, parse_json
from mm_magic.session.tools.calling import (
    MAX_TEXT,
    ToolResult,
    call,
    refused,
    stopped,
    unknown,
)
from mm_magic.session.tools.tool import tools_of


def result_of(function: Callable[..., object], given: JsonObject | str | None = None) -> ToolResult:
    (tool,) = tools_of([function])
    return asyncio.run(call(tool, {} if given is None else given))


def returned(value: object) -> ToolResult:
    def returns() -> object:
        return value

    return result_of(returns)


def raised(error: BaseException) -> ToolResult:
    def raises() -> NoReturn:
        raise error

    return result_of(raises)


class Blank:
    def __str__(self) -> str:
        return ""


class Unit(str, enum.Enum):  # noqa: UP042 - the two kinds write themselves differently
    CELSIUS = "C"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("rain", "rain"),
        ("two\nlines ", "two\nlines "),
        (np.str_("rain"), "rain"),
        (Unit.CELSIUS, "C"),
        ("", '""'),
        (" \n", r'" \n"'),
        (Blank(), '""'),
        (None, "None"),
        (True, "true"),
        (3, "3"),
        (0.5, "0.5"),
        (np.float64(0.5), "0.5"),
        (np.int64(5), "5"),
        (math.nan, "NaN"),
        ({"city": "Zürich", "days": [1, 2], "is_dry": False}, None),
        ((1, "b"), '[1, "b"]'),
        (Counter("aab"), '{"a": 2, "b": 1}'),
        (OrderedDict(b=1, a=2), '{"b": 1, "a": 2}'),
        ([], "[]"),
        ({"when": date(2026, 11, 29)}, "{'when': datetime.date(2026, 11, 29)}"),
        ({1, 2}, "{1, 2}"),
        (date(2026, 11, 29), "2026-11-29"),
        (b"rain", "b'rain'"),
        ("in halves: \ud83d\ude00, one half: \ud83d", "in halves: 😀, one half: �"),
        ({"half": "\ud83d"}, '{"half": "�"}'),
    ],
)  # fmt: skip
def test_the_text_of_a_value(value: object, text: str | None) -> None:
    """A text stays as it is, plain data is JSON, and the rest is as a prompt has it."""
    result = returned(value)

    assert result.text == (json.dumps(value, ensure_ascii=False) if text is None else text)
    assert type(result.text) is str
    assert not result.is_error
    assert result.value is value


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame({"city": ["Lyon", "Arles"], "degrees": [11.5, 14]}),
        pd.DataFrame({"n": range(100)}),
        pd.Series(range(5)),
        np.arange(10_000),
        [pd.DataFrame({"n": range(100)})],
        {"table": pd.DataFrame({"n": range(3)})},
    ],
    ids=["table", "long table", "series", "array", "table in a list", "table in a dict"],
)
def test_a_table_is_as_a_prompt_has_it(value: object) -> None:
    """So it is bounded, and says what was left out of it."""
    assert returned(value) == ToolResult(text_of(value).text)


@pytest.mark.parametrize("value", ["é" * 1_000_000, list(range(100_000)), {"x": ["y"] * 50_000}])
def test_a_long_text_is_cut(value: object) -> None:
    """The end of it says how long it was."""
    whole = value if isinstance(value, str) else json.dumps(value)
    expected = f"{whole[:MAX_TEXT]}\n\n(the first 20,000 of {len(whole):,} characters)"

    assert returned(value).text == expected
    assert returned(whole[:MAX_TEXT]).text == whole[:MAX_TEXT]


def test_a_half_is_joined_where_a_text_is_cut() -> None:
    """What is sent can be encoded, also if the cut falls into a character of two halves."""
    text = returned("x" * (MAX_TEXT - 1) + "\ud83d\ude00" * 10).text
    assert text.encode()


def test_a_picture_is_named() -> None:
    """Only text goes back; the picture is still the value."""
    picture = Image.new("RGB", (3, 3))
    result = returned(picture)

    assert result.text == "A picture (Image). Tools can only return text to the model."
    assert not result.is_error
    assert result.value is picture


def numbers() -> Iterator[int]:
    yield 1


async def later() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (numbers(), "returned an iterator (generator)"),
        (later(), "returned an iterator (async_generator)"),
        (io.StringIO("text"), "returned an open file (StringIO)"),
        (numbers, "returned a function"),
        (object(), "returned an object with no text form (object)"),
        ([numbers()], "returned a value that holds an iterator (generator)"),
        ({"f": io.StringIO()}, "returned a value that holds an open file (StringIO)"),
    ],
)
def test_what_is_no_data(value: object, what: str) -> None:
    """Its text would tell a model nothing, and hold an address that differs each time."""
    assert returned(value) == ToolResult(f"This tool {what}, which can't be sent as text.", True)


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("value", [Mute(), [Mute()], {"x": Mute()}, {Mute()}])
def test_a_repr_that_raises(value: object) -> None:
    """It is an error of the call, wherever in the value it is."""
    assert returned(value) == ToolResult("RuntimeError: no words", True)


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Panic(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such city"), "ValueError: no such city"),
        (KeyError("Lyon"), "KeyError: 'Lyon'"),
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit(), "SystemExit"),
        (Panic("torn"), "test_tool_calls.Panic: torn"),  # as polars and pytest have them
        (RecursionError("too deep"), "RecursionError: too deep"),
        # Python lets no StopIteration out of a coroutine.
        (StopIteration(), "RuntimeError: coroutine raised StopIteration\ncaused by StopIteration"),
        (Odd(), "test_tool_calls.Odd: <exception str() failed>"),
        (ValueError("half \ud83d"), "ValueError: half �"),
        (ValueError("key sk-api-0123456789abcdef"), "ValueError: key sk-…"),
        (UsageError("no model", next_steps=["Set a key."]), None),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "ExceptionGroup: two"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_is_a_result(error: BaseException, text: str | None) -> None:
    """It has the type and the message, and no frame or path of this machine."""
    result = raised(error)

    if text is None:
        text = "mm_magic.errors.UsageError: no model\n→ Set a key."
    assert result.is_error
    assert result.text.split(" (2 sub-exceptions)")[0] == text
    assert __file__ not in result.text


def test_a_cause_that_says_the_same_is_told_once() -> None:
    """What pandas raises for a column that there is not is caused by an error of the same words."""

    def column() -> object:
        return pd.DataFrame({"a": [1]})["b"]

    def chain() -> object:
        try:
            return column()
        except KeyError as error:
            raise ValueError("no column") from error

    assert result_of(column).text == "KeyError: 'b'"
    assert result_of(chain).text == "ValueError: no column\ncaused by KeyError: 'b'"


def test_an_exception_is_bounded() -> None:
    """A long message is cut, and what led to it is told."""
    try:
        raise ValueError("y" * 10_000) from KeyError("Lyon")
    except ValueError as error:
        result = raised(error)

    assert result.text.startswith("ValueError: yyy")
    assert "caused by KeyError: 'Lyon'" in result.text
    assert len(result.text) < 2000


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), asyncio.CancelledError(), Stopped(), GeneratorExit()]
)
def test_a_stop_is_no_result(error: BaseException) -> None:
    """What ends a cell goes on to end it."""
    with pytest.raises(type(error)):
        raised(error)


def test_what_it_waits_for_may_be_cancelled() -> None:
    """Nobody stopped the cell: it is a result, and not a stop."""

    async def waits() -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    result = result_of(waits)
    assert result.is_error
    assert "what it waited for was cancelled" in result.text


def test_a_stop_of_an_async_function_is_no_result() -> None:
    """Cancelled from outside while it waits, it ends so."""

    async def stops() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        result_of(stops)


def test_an_async_function_is_awaited() -> None:
    """So is what a plain one returns for it."""

    async def later(city: str) -> str:
        await asyncio.sleep(0)
        return f"{city}: rain"

    async def fails(city: str) -> str:
        await asyncio.sleep(0)
        raise ValueError(city)

    def indirectly(city: str) -> Any:
        return later(city)

    assert result_of(later, {"city": "Lyon"}) == ToolResult("Lyon: rain")
    assert result_of(indirectly, {"city": "Lyon"}) == ToolResult("Lyon: rain")
    assert result_of(fails, {"city": "Lyon"}) == ToolResult("ValueError: Lyon", True)


def test_an_async_function_is_cancelled() -> None:
    """A cancel ends it where it waits, and is no result."""
    ended = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    async def main() -> None:
        task = asyncio.create_task(call(tools_of([waits])[0], {}))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert ended == ["waits"]


def add(number: int, other: int = 1) -> int:
    return number + other


def test_arguments() -> None:
    """They are converted before the call; bad ones are a result, and nothing is called."""
    assert result_of(add, {"number": "2"}) == ToolResult("3")
    bad = result_of(add, {"other": "x"})
    assert bad.is_error
    assert bad.text == (
        "The arguments do not fit add: `number` is missing; `other` should be a valid integer, "
        "unable to parse string as an integer."
    )


def test_arguments_that_are_no_json() -> None:
    """The result quotes their beginning, on one line and safe to show."""
    result = result_of(add, '{"number": 1,\n\x1b[31m' + "x" * 1000)

    assert result.is_error
    assert result.text.startswith('The arguments are not JSON: {"number": 1, ␛[31mxxx')
    assert len(result.text) < 250


def test_a_loop_in_the_loop() -> None:
    """A tool can't run a loop of its own here: Python's error is the result."""

    def runs() -> object:
        main = asyncio.sleep(0, "ran")
        with contextlib.closing(main):
            return asyncio.run(main)

    text = "RuntimeError: asyncio.run() cannot be called from a running event loop"
    assert result_of(runs) == ToolResult(text, True)


def test_what_a_call_becomes_without_running() -> None:
    """Each is an error that says why, in a sentence for the model."""
    known = [f"tool_{number}" for number in range(1000)]
    hostile = unknown("\x1b[31m\ud83d" + "x" * 1000, known)

    assert refused() == ToolResult("The user refused this call, so it did not run.", True)
    assert stopped() == ToolResult("The user stopped the cell before this call was complete.", True)
    assert unknown("f", ["g", "h"]) == ToolResult(
        "There is no tool 'f'. The tools are: g, h.", True
    )
    assert unknown("f", []) == ToolResult("There is no tool 'f'. The tools are: none.", True)
    assert hostile.text.startswith("There is no tool '␛[31m�xxx")
    assert len(hostile.text) < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(st.characters()), inside),
    max_leaves=10,
)


def takes(
    text: str = "", number: float = 0, names: list[str] = [], table: dict[str, int] | None = None  # noqa: B006
) -> object:  # fmt: skip
    return [text, number, names, table]


@settings(max_examples=50, deadline=None)
@with_any(
    st.dictionaries(st.sampled_from(["text", "number", "names", "table"]), JSON)
    | st.dictionaries(st.text(st.characters()), JSON)
    | st.text(st.characters())
)
def test_any_arguments(given: JsonObject | str) -> None:
    """Whatever a model gives, there is a result that can be sent, and that is bounded."""
    result = result_of(takes, given)

    assert len(result.text) <= MAX_TEXT + 100
    assert result.text.strip()
    assert parse_json(encode_json(result.text)) == result.text


@settings(max_examples=50, deadline=None)
@with_any(JSON)
def test_any_value(value: object) -> None:
    """Whatever plain data a tool returns, its text is not empty and can be sent."""
    result = returned(value)

    assert result.text.encode()
    assert result.text.strip()


def test_values_that_json_can_not_hold() -> None:
    """One that is too deep, too long or holds itself is an error or as a prompt has it."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    itself: list[Any] = [1]
    itself.append(itself)

    assert returned(itself).text == "[1, [...]]"
    assert returned(deep).is_error
    assert returned(10**5000).is_error
    assert result_of(add, {"number": deep}).is_error
    assert result_of(add, {"number": 10**5000}).is_error
