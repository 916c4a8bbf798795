"""One call of a tool: the function runs, and what it gives becomes text for the model.

What goes wrong in a call is its result, too: the model reads it and can do better.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial

from mm_magic.errors import Stopped
from mm_magic.prompt.error_text import error_text
from mm_magic.prompt.no_data import HERE, NoDataError
from mm_magic.prompt.pictures import NoPictureHereError
from mm_magic.prompt.values import text_of
from mm_magic.protocol.json_values import JsonObject, join_surrogates
from mm_magic.session.tools.interrupts import interruptibly
from mm_magic.session.tools.tool import BadArguments, Tool
from mm_magic.wording import plain, shortened

MAX_TEXT = 20_000
"""Characters of a result, which stays in the conversation: some 5,000 tokens in each request."""
_QUOTED = 200
"""Characters of what a model wrote."""
_NAME = 64
_NAMES = 20
"""Tools that a model is told of."""
_JSON = (bool, int, float, dict, list, tuple)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a model gets back for a call. `value` is what the function returned."""

    text: str
    is_error: bool = False
    value: object = field(default=None, compare=False, repr=False)


async def call(tool: Tool, given: JsonObject | str) -> ToolResult:
    """Call a tool with the arguments that a model gave; as a str, they were no JSON.

    A plain function runs on this thread, and an interrupt reaches it; an async one is awaited. An
    exception is a result, also SystemExit and what other libraries derive from BaseException: a
    tool is not to end the program that offers it. Raises KeyboardInterrupt, CancelledError,
    GeneratorExit and Stopped, after which there is no result.
    """
    if isinstance(given, str):
        return _failed(f"The arguments are not JSON: {_quoted(given)}")
    try:
        arguments = tool.arguments(given)
        value = await interruptibly(partial(tool.function, **arguments))
        if inspect.isawaitable(value):
            value = await _awaited(value)
        return await interruptibly(partial(_result, value))
    except BadArguments as error:
        return _failed(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, Stopped):
        raise
    except BaseException as error:
        return _failed(error_text(error, _no_frame).text)


async def _awaited(value: Awaitable[object]) -> object:
    """What an awaitable gives. That a task it waits for was cancelled is an error like any other.

    Raises CancelledError where this task is.
    """
    here = asyncio.current_task()
    before = here.cancelling() if here else 0
    try:
        return await value
    except asyncio.CancelledError as error:
        if here is None or here.cancelling() > before:
            raise
        raise RuntimeError("what it waited for was cancelled") from error


def refused() -> ToolResult:
    """The result of a call that the user did not allow."""
    return _failed("The user refused this call, so it did not run.")


def stopped() -> ToolResult:
    """The result of a call that the user stopped, or of one that came after it."""
    return _failed("The user stopped the cell before this call was complete.")


def unknown(name: str, known: Sequence[str]) -> ToolResult:
    """The result of a call of a tool that there is not."""
    tools = ", ".join(known[:_NAMES]) or "none"
    return _failed(f"There is no tool {shortened(plain(name), _NAME)!r}. The tools are: {tools}.")


def _result(value: object) -> ToolResult:
    """What a function returned as a result. Raises what the value's own methods raise."""
    try:
        text = _text(value)
        # Servers refuse an empty text, and one of white space: such a text is written in quotes.
        return ToolResult(_bounded(text) if text.strip() else json.dumps(text), value=value)
    except NoDataError as error:
        returned = "returned" if error.place == HERE else "returned a value that holds"
        text = f"This tool {returned} {error.what}, which can't be sent as text."
        return ToolResult(text, True, value)


def _text(value: object) -> str:
    """A text as it is, plain data as JSON, a picture by its kind, the rest as `{{name}}` has it.

    None is “None”, which a model knows from Python.
    """
    if isinstance(value, str):
        return str.__str__(value)  # of a text that is an Enum, too
    if isinstance(value, _JSON):
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):  # it holds what JSON has not
            pass
    try:
        return text_of(value).text
    except NoPictureHereError:
        return f"A picture ({type(value).__name__}). Tools can only return text to the model."


def _bounded(text: str) -> str:
    """A text that can be sent, and that says how much of it was cut."""
    if len(text) <= MAX_TEXT:
        return join_surrogates(text)
    cut = join_surrogates(text[:MAX_TEXT])
    return f"{cut}\n\n(the first {MAX_TEXT:,} of {len(text):,} characters)"


def _failed(why: str) -> ToolResult:
    return ToolResult(join_surrogates(why), is_error=True)


def _quoted(text: str) -> str:
    return shortened(plain(text), _QUOTED)


def _no_frame(_file: str) -> None:
    """No frame of the traceback is for the model: it can't change the code."""
