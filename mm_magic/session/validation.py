"""pydantic for types and tools: the only module that loads it, and what it says, in our words."""

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from types import UnionType
from typing import Any, NotRequired

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject
from mm_magic.web_page import way_to
from mm_magic.wording import plain, shortened

LONGEST = 300
"""Characters of one problem."""
_PROBLEMS = 5  # that are told of one value
_MODULES = re.compile(r"""('[^']*'|"[^"]*")|\b[A-Za-z_][\w.]*\.(?=\w)""")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SHOULD = re.compile(r"[A-Z][a-z]+ should ")


def pydantic_for(subject: str) -> Any:
    """The module pydantic, version 2; `subject` needs it, as "a type".

    Raises UsageError, with the line that installs it, if it is not there.
    """
    with suppress(ImportError):
        import pydantic

        if hasattr(pydantic, "TypeAdapter"):  # pydantic 1 has none
            return pydantic
    raise UsageError(
        f"{subject} needs the package pydantic, version 2, which is not installed",
        next_steps=(way_to("pydantic", '%pip install "mm_magic[types]"'),),
    )


def adapter_of_fields(kinds: Mapping[str, object], optional: Collection[str]) -> Any:
    """A TypeAdapter of a dict that has fields of these types, and no others.

    It is no model, whose own methods would take names away, such as `copy` and `json`; and what is
    left out stays out. Raises UsageError without pydantic, and what pydantic raises.
    """
    adapter_of = pydantic_for("a tool").TypeAdapter
    from typing_extensions import TypedDict  # before Python 3.12 pydantic wants this one

    make: Any = TypedDict  # with fields that are known only now
    fields = {name: NotRequired[kind] if name in optional else kind for name, kind in kinds.items()}
    made = make("Fields", fields)
    made.__pydantic_config__ = {"extra": "forbid"}
    return adapter_of(made)


def json_schema(adapter: Any, **options: Any) -> JsonObject:
    """The JSON Schema of a TypeAdapter, for a model: without what it would read twice.

    Raises what pydantic raises.
    """
    made: JsonObject = adapter.json_schema(schema_generator=_schema_generator(), **options)
    return made


def _schema_generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        """Without a title for each field, which says its name again."""

        def field_title_should_be_set(self, _schema: object) -> bool:
            return False

    return Untitled


def why_no_schema(error: Exception) -> str:
    """The first sentence of pydantic's message, if that is about the type and not about itself."""
    message = str(error).partition("\n")[0]
    if message.startswith("Unable to generate pydantic-core schema"):
        return "it is not a type that pydantic knows"
    return shortened(message, LONGEST)


def problems_of(error: Any) -> list[str]:
    """What a ValidationError found, the first five problems: “`year` is missing”."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [shortened(plain(_problem(each)), LONGEST) for each in found[:_PROBLEMS]]
    more = len(found) - _PROBLEMS  # there may be 100,000
    return [*told, *([f"and {more} more"] if more > 0 else [])]


def type_name(kind: object) -> str:
    """A type as the notebook has it, without the modules: `list[Review]`; of a value its class."""
    if isinstance(kind, UnionType) or hasattr(kind, "__origin__"):
        return shortened(_MODULES.sub(r"\1", _ADDRESS.sub("", repr(kind))), 60)
    name = getattr(kind, "__name__", None)
    return name if isinstance(name, str) else a_value(kind)


def a_value(value: object) -> str:
    """As "a value of type float"."""
    return f"a value of type {type(value).__name__}"


def in_code(text: str) -> str:
    """A text that can stand between backticks."""
    return " ".join(text.replace("`", "'").split())


def _problem(error: Any) -> str:
    """One of pydantic's errors as words."""
    where, message = _path(error["loc"]), in_code(str(error["msg"]))
    if error["type"] == "missing":
        return f"`{where}` is missing"
    subject = f"`{where}`" if where else "the value"
    if _SHOULD.match(message):  # as "Input should …" or "String should …"
        return f"{subject} {message.partition(' ')[2]}"
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{subject}: {message[:1].lower()}{message[1:]}"


def _path(places: Iterable[object]) -> str:
    """As `tags[0].name`."""
    path = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in places)
    return in_code(path.removeprefix("."))
