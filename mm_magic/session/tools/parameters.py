"""What a function takes: its parameters and their types, as its signature has them.

A model names each argument and writes it as JSON, so not every function can be a tool.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any, Optional, get_type_hints

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, as_count, as_object
from mm_magic.session.validation import (
    adapter_of_fields,
    json_schema,
    pydantic_for,
    type_name,
    why_no_schema,
)
from mm_magic.wording import shortened

_LONGEST = 200
"""Characters of a default that a schema shows at most."""

_STARS: Mapping[object, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Those of the function `name`, each with its type; those in `defaults` may be left out."""

    name: str
    hints: Mapping[str, object]
    defaults: Mapping[str, object]

    @classmethod
    def of(cls, function: Callable[..., object], name: str) -> "Parameters":
        """Raises UsageError for a parameter that a model can't name, and for one without a type."""
        found = _signature(function, name).parameters.values()
        for each in found:
            _check_kind(each, name)
            _check_hinted(each, function, name)
        defaults = {each.name: each.default for each in found if each.default is not each.empty}
        return cls(name, _hints(function, name, found), defaults)

    def adapter(self) -> Any:
        """pydantic's TypeAdapter for the arguments of a call."""
        return adapter_of_fields(self.hints, self.defaults)

    def schema(self) -> JsonObject:
        """The JSON Schema of the arguments. Raises UsageError for a type that has none.

        `properties` is there even if it is empty: to a tool without a schema MiniMax answers
        “function parameters is empty (2013)”, to this one it does not (seen in September 2026,
        QwenLM/qwen-code#11834). Other arguments are refused when they come, and not forbidden
        here, which would be one more keyword for a server to know.
        """
        for parameter, hint in self.hints.items():
            _check_type(parameter, hint, self.name)
        made = json_schema(self.adapter())
        schema: JsonObject = {
            "type": "object",
            "properties": {
                parameter: self._with_default(parameter, described)
                for parameter, described in as_object(made["properties"]).items()
            },
        }
        if "required" in made:
            schema["required"] = made["required"]
        if types := as_object(made.get("$defs")):
            schema["$defs"] = {name: _untitled(described) for name, described in types.items()}
        return schema

    def _with_default(self, parameter: str, described: object) -> JsonObject:
        default = self.defaults.get(parameter, ...)
        shown: JsonObject = {"default": default} if _is_shown(default) else {}
        return as_object(described) | shown


def _untitled(described: object) -> JsonObject:
    """A type without its title, which is its name again."""
    return {key: value for key, value in as_object(described).items() if key != "title"}


def _is_shown(default: object) -> bool:
    """Whether a default is short, and exact in JSON."""
    if type(default) is str:
        return len(default) <= _LONGEST
    if type(default) is float:
        return isfinite(default)
    return default is None or type(default) is bool or as_count(default) is not None


def _signature(function: Callable[..., object], name: str) -> inspect.Signature:
    """Its signature, or that of the function which it wraps with `functools.wraps`."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some functions that are written in C tell none
        raise UsageError(
            f"the parameters of {name} can't be read", next_steps=(_wrapped(name),)
        ) from None


def _check_kind(parameter: inspect.Parameter, name: str) -> None:
    if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        return
    star = _STARS.get(parameter.kind, "")
    by_wraps = ("If a decorator made it, put `@functools.wraps(function)` into the decorator.",)
    raise UsageError(
        f"a model passes each argument by name, and {star}{parameter.name} of {name} can't be "
        "passed by name",
        next_steps=(_wrapped(name), *(by_wraps if star else ())),
    )


def _check_hinted(parameter: inspect.Parameter, function: object, name: str) -> None:
    if parameter.annotation is parameter.empty:
        raise UsageError(
            f"the parameter {parameter.name} of {name} has no type hint",
            next_steps=(_typed(parameter.name, function, name),),
        )


def _check_type(parameter: str, hint: object, name: str) -> None:
    adapter_of = pydantic_for("a tool").TypeAdapter
    try:
        json_schema(adapter_of(hint))  # where `Self` means nothing
        adapter_of_fields({parameter: hint}, ())  # where `Final` does
    except Exception as error:  # a type's own code runs here
        raise UsageError(
            f"the parameter {parameter} of {name} can't be described to a model as "
            f"{type_name(hint)}: {why_no_schema(error)}",
            next_steps=(
                f"Use a type that JSON can hold: `{parameter}: str`, int, list[str], a dataclass, "
                "an Enum, a TypedDict or a pydantic model.",
            ),
        ) from None


def _typed(parameter: str, function: object, name: str) -> str:
    owner = getattr(function, "__qualname__", "").split(".")[-2:-1]
    if parameter == "self" and owner:
        return f"Name the method of an object, as in `{owner[0].lower()}.{name}`."
    return f"Write its type after its name, as in `{parameter}: str`."


def _wrapped(name: str) -> str:
    return (
        "Write a function that calls it, with a name and a type for each argument: "
        f"`def call_{name}(text: str) -> str: return str({name}(text))`"
    )


def _hints(
    function: Callable[..., object], name: str, parameters: Iterable[inspect.Parameter]
) -> dict[str, object]:
    """The types of the parameters, also where they are written as text."""

    def stand_in() -> None:
        """Has the hints of the signature: those of a partial or a wrapper are elsewhere."""

    stand_in.__annotations__ = {each.name: each.annotation for each in parameters}
    try:
        found = get_type_hints(stand_in, globalns=_globals(function), include_extras=True)
    except Exception as error:  # a hint that is text is code
        raise UsageError(
            f"the type hints of {name} can't be read: {shortened(str(error), _LONGEST)}",
            next_steps=("Run the cell that defines the type first, or use one such as `str`.",),
        ) from None
    # Models send null for what they leave out, and `city: str = None` is often written.
    may_be_none = {each.name for each in parameters if each.default is None}
    return {
        each: Optional[hint] if each in may_be_none else hint  # noqa: UP045 - not all know |
        for each, hint in found.items()
    }


def _globals(function: Callable[..., object]) -> dict[str, Any]:
    """The names that the code of a function knows: in a notebook, those of its cells."""
    while isinstance(function, partial):
        function = function.func
    return getattr(inspect.unwrap(function), "__globals__", {})
