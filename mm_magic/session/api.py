"""`mm.ask`, `mm.compare`, `mm.map`, their `_async` twins and `mm.read_notebook`."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack, overload

from mm_magic.conversation.replies import Replies
from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.prompt import Asked
from mm_magic.protocol.request import Effort, Thinking, check_count
from mm_magic.session.options import is_list
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.session.warn import warn
from mm_magic.wording import shortened

if TYPE_CHECKING:
    from mm_magic.conversation.conversation import Conversation
    from mm_magic.session.rows.template import RowPrompt
    from mm_magic.session.turn_request import Ask, TypeOrTools
    from mm_magic.session.values import ValueType

V = TypeVar("V")
Without: TypeAlias = int | str | Iterable[int | str]
"""What `compare` leaves out."""

_first_use = Lock()


def session() -> Session:
    """The only session of this process, which the magics and `ask` share."""
    with _first_use:  # two threads may ask first at the same moment
        return _session()


def forget_session() -> None:
    """Drop the session: its key, settings and conversations. The next use makes a new one."""
    with _first_use:
        _session.cache_clear()


@cache
def _session() -> Session:
    return Session()


class AskOptions(TypedDict, total=False):
    """The options of `ask`. `%config MiniMax` gives those that are left out; None unsets one."""

    model: str
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    system: str
    thinking: Thinking
    effort: Effort | None
    stream: bool
    reuse: bool
    conversation: str
    retries: int


class CompareOptions(TypedDict, total=False):
    """The options of `compare`: those of `ask`, and some may be lists of values."""

    model: str | Iterable[str]
    temperature: float | Iterable[float | None] | None
    max_tokens: int | Iterable[int | None] | None
    top_p: float | Iterable[float | None] | None
    system: str | Iterable[str]
    thinking: Thinking | Iterable[Thinking]
    effort: Effort | Iterable[Effort | None] | None
    stream: bool
    reuse: bool
    conversation: str
    retries: int


@overload
def ask(
    prompt: Asked, *, type: type[V], show: bool = False, **options: Unpack[AskOptions]
) -> Reply[V]: ...
@overload
def ask(
    prompt: Asked,
    *,
    type: object = None,
    tools: Sequence[Callable[..., Any]] = (),
    confirm: bool = False,
    show: bool = False,
    **options: Unpack[AskOptions],
) -> Reply: ...
def ask(
    prompt: Asked,
    *,
    type: object = None,  # noqa: A002 - its name is fixed
    tools: Sequence[Callable[..., Any]] = (),
    confirm: bool = False,
    show: bool = False,
    **options: Unpack[AskOptions],
) -> Reply:
    """Ask, and wait for the complete reply.

        reply = mm.ask("Name three noble gases.", temperature=0.2)
        print(reply)

    Options: model, temperature (0, 1], max_tokens, top_p (0, 1], system, thinking ("auto",
    "adaptive" or "disabled"), effort ("low" to "max", if the model supports it), stream, reuse,
    conversation, retries. Each call is independent and not remembered, unless you name a
    `conversation` ("main" is the notebook's). With `show`, the answer is drawn as in a
    `%%minimax` cell; `%load_ext mm_magic` must have run. With `type`, `reply.value` is the answer
    as that type: anything that pydantic's TypeAdapter takes. The model may call the functions in
    `tools`, also async ones; `reply.steps` has the calls. With `confirm` you are asked before each.

    A prompt with pictures is a list: `mm.ask(["What does this show?", fig])`.

    Works in scripts, cells, functions, loops and threads. Raises MiniMaxError; an interrupt
    raises KeyboardInterrupt.
    """
    try:
        return run_to_end(
            ask_async(prompt, type=type, tools=tools, confirm=confirm, show=show, **options)
        )
    except (MiniMaxError, KeyboardInterrupt) as error:
        raise error.with_traceback(None) from None  # our own frames say nothing


@overload
async def ask_async(
    prompt: Asked, *, type: type[V], show: bool = False, **options: Unpack[AskOptions]
) -> Reply[V]: ...
@overload
async def ask_async(
    prompt: Asked,
    *,
    type: object = None,
    tools: Sequence[Callable[..., Any]] = (),
    confirm: bool = False,
    show: bool = False,
    **options: Unpack[AskOptions],
) -> Reply: ...
async def ask_async(
    prompt: Asked,
    *,
    type: object = None,  # noqa: A002 - its name is fixed
    tools: Sequence[Callable[..., Any]] = (),
    confirm: bool = False,
    show: bool = False,
    **options: Unpack[AskOptions],
) -> Reply:
    """The same as `ask`, but awaited: `await asyncio.gather(*map(mm.ask_async, prompts))`."""
    _check_names("ask", options, "show", "type", "tools", "confirm")
    if lists := [name for name, value in options.items() if is_list(value)]:
        written = ", ".join(f"{name}={options.get(name)!r}" for name in lists)
        raise UsageError(
            f"ask takes one {lists[0]}, got {options.get(lists[0])!r}",
            next_steps=(
                f"To compare several: `mm.compare({shortened(str(prompt), 40)!r}, {written})`",
            ),
        )
    current = session()
    try:
        chosen, alone = current.options.overridden(options), "conversation" not in options
        wanted = _type_or_tools(type, tools, confirm=confirm)
        if show:
            from mm_magic.session.turn_request import from_python

            return await _drawn(current, from_python(prompt, chosen, alone=alone, wanted=wanted))
        return await current.turns.ask(prompt, chosen, alone=alone, wanted=wanted)
    except MiniMaxError as error:
        raise error.with_traceback(None) from None


async def _drawn(current: Session, ask: "Ask") -> Reply:
    """Ask as a cell does, and draw it. Raises UsageError where nothing can draw it."""
    if current.front_end.draw is None:
        raise UsageError(
            "show=True needs a notebook in which mm_magic is loaded",
            next_steps=(
                "In a notebook: run `%load_ext mm_magic` first.",
                "In a script: `print(mm.ask(…))`",
            ),
        )
    return await current.front_end.draw(ask)


def _type_or_tools(kind: object, tools: object, *, confirm: bool) -> "TypeOrTools":
    """As a type, or with functions that the model may call. Raises UsageError."""
    from mm_magic.session.turn_request import TypeOrTools

    if not tools and not confirm and isinstance(tools, list | tuple):
        return TypeOrTools(_value_type(kind))
    if not isinstance(tools, list | tuple):
        raise UsageError(
            f"tools must be a list of functions, got {shortened(repr(tools), 60)}",
            next_steps=("Put the function in brackets: `mm.ask(…, tools=[f])`",),
        )
    if not tools:
        raise UsageError(
            "confirm=True asks before a function is called, but no function is named",
            next_steps=("Name one: `mm.ask(…, tools=[f], confirm=True)`",),
        )
    if kind is not None:
        raise UsageError(
            "tools and type can't be used together",
            next_steps=("Ask twice: `mm.ask(…, tools=[f])`, then `mm.ask(…, type=T)`",),
        )
    from mm_magic.session.tools.tool import tools_of  # few name functions

    return TypeOrTools(tools=tools_of(tools), confirms=confirm)


def _value_type(kind: object) -> "ValueType | None":
    """The type that answers are read as; None where none was given. Raises UsageError."""
    if kind is None:
        return None
    from mm_magic.session.values import ValueType  # few ask for a type

    return ValueType.of(kind)


@overload
def compare(
    prompt: Asked,
    *,
    n: int = 1,
    without: Without = (),
    yes: bool = False,
    type: type[V],
    **options: Unpack[CompareOptions],
) -> Replies[V]: ...
@overload
def compare(
    prompt: Asked,
    *,
    n: int = 1,
    without: Without = (),
    yes: bool = False,
    type: object = None,
    **options: Unpack[CompareOptions],
) -> Replies: ...
def compare(
    prompt: Asked,
    *,
    n: int = 1,
    without: Without = (),
    yes: bool = False,
    type: object = None,  # noqa: A002 - its name is fixed
    **options: Unpack[CompareOptions],
) -> Replies:
    """Ask for several answers at once, and wait for all of them.

        replies = mm.compare("Name a lake.", temperature=[0.1, 0.5, 1], n=2)
        replies.to_frame()

    Options are those of `ask`; model, temperature, max_tokens, top_p, system, thinking and effort
    may be lists. Every value is asked with every other, `n` times. `without` is the number of an
    earlier turn, "system", or a list of these: the full request is asked first, then the same
    without each of them. More than `confirm_above` requests need `yes=True`. With `type`, each
    reply has its `value`, as in `ask`. Each call is independent unless `conversation` names one:
    then the first complete answer is remembered.

    Raises MiniMaxError if one fails, after the others have ended; its `replies` hold what arrived.
    """
    try:
        return run_to_end(
            compare_async(prompt, n=n, without=without, yes=yes, type=type, **options)
        )
    except (MiniMaxError, KeyboardInterrupt) as error:
        raise error.with_traceback(None) from None


@overload
async def compare_async(
    prompt: Asked,
    *,
    n: int = 1,
    without: Without = (),
    yes: bool = False,
    type: type[V],
    **options: Unpack[CompareOptions],
) -> Replies[V]: ...
@overload
async def compare_async(
    prompt: Asked,
    *,
    n: int = 1,
    without: Without = (),
    yes: bool = False,
    type: object = None,
    **options: Unpack[CompareOptions],
) -> Replies: ...
async def compare_async(
    prompt: Asked,
    *,
    n: int = 1,
    without: Without = (),
    yes: bool = False,
    type: object = None,  # noqa: A002 - its name is fixed
    **options: Unpack[CompareOptions],
) -> Replies:
    """The same as `compare`, but awaited."""
    _check_names("compare", options, "n", "without", "yes", "type")
    from mm_magic.session.forecast import Forecast
    from mm_magic.session.left_out import check_left_out, check_sent
    from mm_magic.session.left_out import from_python as left_out_of
    from mm_magic.session.turn_request import TypeOrTools, from_python
    from mm_magic.session.variants import number_of, split, variants

    current = session()
    try:
        single, varying = split(options)
        chosen, wanted = current.options.overridden(single), TypeOrTools(_value_type(type))
        alone = "conversation" not in options
        left_out = left_out_of(without, alone=alone)
        check_left_out(left_out, chosen, varying)
        first = from_python(prompt, chosen, alone=alone, wanted=wanted)
        each_once = list(variants(chosen, varying, 1, left_out))
        if left_out:
            once = each_once[: 1 + len(left_out)]
            check_sent(current.requests, current.cells.here, first, once)
        check_count("n", n)
        number = number_of(varying, n, len(left_out))
        if number > chosen.confirm_above and not yes:
            asks = ((each.of(first), n) for each in each_once)
            foreseen = Forecast(number, current.requests.foresee(asks, current.cells.here))
            foreseen.check(chosen.confirm_above, "mm.compare(…, yes=True)")
        several = list(variants(chosen, varying, n, left_out))
        return await current.comparisons.ask(prompt, several, alone=alone, wanted=wanted)
    except MiniMaxError as error:
        raise error.with_traceback(None) from None


def map(  # noqa: A001, PLR0913 - the name that says it, and what a table needs
    prompt: "RowPrompt",
    rows: Any,
    column: str = "answer",
    *,
    parallel: int = 8,
    file: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    on_error: Literal["continue", "raise"] = "continue",
    budget: float | None = None,
    yes: bool = False,
    type: object = None,  # noqa: A002 - its name is fixed
    **options: Unpack[AskOptions],
) -> Any:
    """Ask once for each row of a table, and return the table with the answers.

        labelled = mm.map("Is this review positive? {{text}}", reviews)

    `rows`: a pandas or polars DataFrame or Series, or a list of dicts, dataclasses or texts. The
    prompt names columns (`{{text}}`, `{{row}}` for all of them), or is a function of the row.
    What comes back has four more columns: `answer` (named by `column`), `answer_error`,
    `answer_tokens` (of the answer, thinking included) and `answer_seconds`. It is a polars table
    if `rows` is one, and a pandas table otherwise.

    `parallel` requests are in flight at a time, fewer where the server is busy. Rows with the same
    prompt are sent once. A row that fails leaves the others alone, unless `on_error="raise"`.
    Running it again sends only missing and failed rows; `fresh=True` sends all. With `file`, each
    answer is saved to disk when it ends, and another kernel continues from there. Without a key,
    answers come from the file. `budget` is in USD: no request is sent that could bring the cost of
    this call above it. In a notebook, more than `confirm_above` requests need `yes=True`. With
    `type`, there is a column for each field of the type in place of `answer`, or `answer` has the
    value if the type has no fields. If an answer does not fit the type, the model is asked again.
    The other options are those of `ask`; each row stands alone.

    Raises MiniMaxError where nothing more can be asked: its `rows` is the table so far.
    """
    try:
        return run_to_end(
            map_async(
                prompt, rows, column, parallel=parallel, file=file, fresh=fresh,
                on_error=on_error, budget=budget, yes=yes, type=type, **options,
            )
        )  # fmt: skip
    except (MiniMaxError, KeyboardInterrupt) as error:
        raise error.with_traceback(None) from None


async def map_async(  # noqa: PLR0913 - as map
    prompt: "RowPrompt",
    rows: Any,
    column: str = "answer",
    *,
    parallel: int = 8,
    file: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    on_error: Literal["continue", "raise"] = "continue",
    budget: float | None = None,
    yes: bool = False,
    type: object = None,  # noqa: A002 - its name is fixed
    **options: Unpack[AskOptions],
) -> Any:
    """The same as `map`, but awaited."""
    own = ("column", "parallel", "file", "fresh", "on_error", "budget", "yes", "type")
    _check_names("map", options, *own)
    if "conversation" in options:
        raise UsageError(
            "map has no conversation: each row stands alone",
            next_steps=("Leave `conversation` out; put what every row needs into the prompt.",),
        )
    from mm_magic.session.rows.job import RowsJob, RowsOptions

    current = session()
    try:
        path = None if file is None else Path(file)
        chosen = current.options.overridden(options)
        kind = _value_type(type)
        how = RowsOptions(chosen, column, parallel, path, fresh, on_error, budget, kind)
        job = RowsJob(current, prompt, rows, how)
        if current.front_end.watch_rows is not None and not yes:
            job.check_number("mm.map(…, yes=True)")
        elif not yes and (other := job.other_prompt()):
            warn(f"{other} {job.forecast()}")
        answered = await job.run(current.front_end.watch_rows)
    except MiniMaxError as error:
        raise error.with_traceback(None) from None
    if not job.was_shown:
        for note in job.concerns:
            warn(note)
    return answered


def _check_names(function: str, options: Mapping[str, object], *own: str) -> None:
    """Raise UsageError where there is no such option; `own` are those of this function alone."""
    if "tools" in options:
        raise UsageError(
            f"{function} can't call functions",
            next_steps=("To let the model call them: `mm.ask(…, tools=[f])`",),
        )
    if unknown := options.keys() - AskOptions.__annotations__.keys():
        raise UsageError(
            f"{function} has no option {min(unknown)!r}",
            next_steps=(f"Its options: {', '.join([*AskOptions.__annotations__, *own])}.",),
        )


def read_notebook(path: str | os.PathLike[str]) -> dict[str, "Conversation"]:
    """The conversations in a notebook file, by name, as the last kernel had them.

        for turn in mm.read_notebook("lesson.ipynb")["main"].turns:
            print(turn.number, turn.prompt, turn.reply.text)

    It needs no Jupyter. Raises UsageError if the file can't be read.
    """
    from mm_magic.conversation.stored import conversations  # only who reads files needs it

    return conversations(path)
