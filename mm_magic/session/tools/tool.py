"""A Python function as a tool of a model: its name, what it does, and what it takes.

Nothing is called here. A function is known by its signature and its docstring alone.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, encode_json, join_surrogates
from mm_magic.session.tools.parameters import Parameters
from mm_magic.session.validation import a_value, problems_of, pydantic_for
from mm_magic.wording import plain, shortened

MAX_DESCRIPTION = 4_000
"""Characters of a docstring that are sent: that of `pandas.read_csv` has 22,395."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOLD = 60
"""Characters of a name or a value in a message."""
_LONGEST = 300
"""Characters of another error's message there."""


class BadArguments(ValueError):
    """The arguments of a call are not those of its tool. The text is for the model."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call. `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: JsonObject
    function: Callable[..., object]

    def to_wire(self, *, is_minimax: bool) -> JsonObject:
        """The tool as a request has it.

        MiniMax's hosts want a type, else they answer “invalid tool type: (2013)” (since about
        July 2026); others refuse it.
        """
        tool: JsonObject = {
            "name": self.name,
            "description": self.description,
            "input_schema": self.schema,
        }
        return {"type": "custom", **tool} if is_minimax else tool

    def arguments(self, given: JsonObject) -> dict[str, object]:
        """The arguments of a call as the hints have their types; what was left out is not there.

        Raises BadArguments, which names what is wrong.
        """
        # 1 ms, beside a model's seconds: a tool holds nothing that could differ from its function.
        adapter = Parameters.of(self.function, self.name).adapter()
        try:
            read: dict[str, object] = adapter.validate_json(encode_json(given))
        except pydantic_for("a tool").ValidationError as error:
            problems = "; ".join(problems_of(error))
            raise BadArguments(f"The arguments do not fit {self.name}: {problems}.") from None
        except Exception as error:  # a type's own check is at fault, or no JSON can be made of it
            why = shortened(plain(f"{type(error).__name__}: {error}"), _LONGEST)
            raise BadArguments(f"The arguments of {self.name} can't be checked: {why}") from error
        return read


def tools_of(functions: Sequence[Callable[..., object]]) -> tuple[Tool, ...]:
    """The tools that these functions are, in their order.

    A parameter needs a type hint, which pydantic turns into its schema. Raises UsageError for what
    can't be a tool, and for a name that two of them have.
    """
    tools = tuple(map(_tool, functions))
    names = [tool.name for tool in tools]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"two tools have the name {twice[0]}",
            next_steps=(
                "List each function once; if these are two functions, rename one, as in "
                f"`def {twice[0]}_2`.",
            ),
        )
    return tools


def _tool(function: Callable[..., object]) -> Tool:
    name = _name(function)
    schema = Parameters.of(function, name).schema()
    return Tool(name, _description(function, name), schema, function)


def _name(function: object) -> str:
    """The name of a function, by which a model calls it. Raises UsageError if it has none."""
    if not callable(function):
        raise UsageError(
            f"a tool must be a function, got {_shown(function)}",
            next_steps=("Give the function itself, without quotes or parentheses: `look_up`.",),
        )
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise _nameless(f"{a_value(function)} has no name")
    if not _NAME.fullmatch(name):
        raise _nameless(f"{shortened(plain(name), _TOLD)!r} is not such a name")
    if inspect.isclass(function):
        raise UsageError(
            f"a tool must be a function, and {name} is a class",
            next_steps=(
                f"Write one that uses it: `def use_{name}(text: str) -> str: "
                f"return str({name}(text))`",
            ),
        )
    return name


def _shown(value: object) -> str:
    """A value that is no function, as messages show it: only the text of a text."""
    return shortened(repr(value), _TOLD) if isinstance(value, str) else a_value(value)


def _nameless(why: str) -> UsageError:
    return UsageError(
        "the name of a tool must be 1 to 64 characters long and contain only letters from a to z "
        f"or A to Z, digits, hyphens and underscores: {why}",
        next_steps=("Define a function that has one: `def look_up(city: str) -> str: …`",),
    )


def _description(function: Callable[..., object], name: str) -> str:
    """The docstring, in which people describe parameters in one of many forms; a model reads all.

    Without one, the function as it is called. Values are not in it, as their texts may hold an
    address, and so make each request another one.
    """
    doc = inspect.getdoc(function) or ""
    if not doc.strip() or doc == inspect.getdoc(type(function)):  # that of a partial, of no use
        doc = f"{name}({', '.join(inspect.signature(function).parameters)})"
    is_whole = len(doc) <= MAX_DESCRIPTION
    return join_surrogates(doc if is_whole else f"{doc[: MAX_DESCRIPTION - 1]}…")
