"""An answer as a value of a type: the only module that imports pydantic, when a type is asked for.

A value is read from the text of an answer and from nothing else, so whatever asks can use it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any

from mm_magic.conversation.catalog import longer
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.errors import AnswerError, UsageError
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.last_json import last_json
from mm_magic.web_page import way_to
from mm_magic.wording import plain, shortened

if TYPE_CHECKING:
    import pydantic

_PROBLEMS = 5  # that are told of one answer
_LONGEST = 300  # characters of one of them
_SHOULD = re.compile(r"[A-Z][a-z]+ should ")
_MODULES = re.compile(r"""('[^']*'|"[^"]*")|\b[A-Za-z_][\w.]*\.(?=\w)""")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_AROUND = 30  # characters of an answer before the place where its JSON breaks


class WrongValue(Exception):
    """An answer holds no value of the type. Its text says why: “`year` is missing”.

    `problems` has what is wrong, and says how many `more` there are. `may_be_mended`: asking once
    more may help.
    """

    def __init__(
        self, problems: Iterable[str], *, more: int = 0, may_be_mended: bool = True
    ) -> None:
        found = [shortened(plain(each), _LONGEST) for each in problems]
        self.problems = [*found, *([f"and {more} more"] if more > 0 else [])]
        self.may_be_mended = may_be_mended
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True, eq=False)
class ValueType:
    """A type that answers are read as. `schema` is its JSON Schema."""

    name: str
    schema: JsonObject
    _adapter: "pydantic.TypeAdapter[Any]"

    @classmethod
    def of(cls, kind: object) -> "ValueType":
        """Anything that pydantic's TypeAdapter takes. Raises UsageError for what it does not."""
        make, name = _pydantic().TypeAdapter, _name(kind)
        if isinstance(kind, str):  # pydantic would take it for a name that is to be found later
            raise UsageError(
                f"type must be a type, got the text {kind!r}",
                next_steps=("Write it without quotes, as in `type=int`.",),
            )
        try:
            adapter = make(kind)
            schema = adapter.json_schema(schema_generator=_schema_generator())
        except Exception as error:  # a type's own code runs here
            raise UsageError(
                f"no answer can be read as {name}: {_why(error)}",
                next_steps=(
                    "Use a dataclass, `list[str]`, `int`, an Enum, a TypedDict or a pydantic "
                    "model.",
                ),
            ) from None
        return cls(name, schema, adapter)

    @property
    def python_schema(self) -> JsonObject:
        """The same schema, with the names that fields have in Python."""
        made: JsonObject = self._adapter.json_schema(
            by_alias=False, schema_generator=_schema_generator()
        )
        return made

    def read(self, text: str) -> object:
        """The value in the text of an answer. Raises WrongValue."""
        found = last_json(text)
        if found.json is None:
            raise WrongValue([_no_json(text, found.broken_at)])
        try:
            return self._adapter.validate_json(found.json)
        except _pydantic().ValidationError as error:
            found = _errors(error)  # there may be 100,000
            told = map(_problem, found[:_PROBLEMS])
            raise WrongValue(told, more=len(found) - _PROBLEMS) from None
        except Exception as error:  # the type's own check is at fault, not the answer
            why = f"the check in {self.name} raised {type(error).__name__}: {error}"
            raise WrongValue([why], may_be_mended=False) from error

    def read_with(self, fields: Collection[str], text: str) -> object:
        """The same, of a type with these fields. Raises WrongValue if its check left none."""
        found = self.read(text)
        value = bare(found)
        if isinstance(value, Mapping) or not fields or any(hasattr(value, each) for each in fields):
            return found
        why = f"the check in {self.name} returned {_a_value(value)}, with none of the type's fields"
        raise WrongValue([why], may_be_mended=False)


def bare(value: Any) -> Any:
    """A value without the Enum or the RootModel around it."""
    while getattr(type(value), "__pydantic_root_model__", False):
        value = value.root
    return value.value if isinstance(value, Enum) else value


def field_of(value: Any, name: str) -> Any:
    """A field of a value; None where there is none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def may_ask_again(turn: Turn, wrong: WrongValue) -> bool:
    """Whether asking once more may help, behind this turn, whose answer is no value of its type.

    Nothing of an untrusted file is quoted.
    """
    is_cut = turn.reply.stop_reason == "max_tokens"
    is_quotable = not turn.is_untrusted and turn.is_sendable
    return wrong.may_be_mended and not is_cut and is_quotable


def wrong_value(
    kind: ValueType, reply: Reply, wrong: WrongValue, *, model: str, max_tokens: int
) -> AnswerError:
    """The error of an answer that is no value of the type; model and limit are as asked."""
    problem, steps = f"the answer is not of the type {kind.name}: {wrong}", []
    if reply.stop_reason == "max_tokens":
        problem = f"the answer was cut off at max_tokens {max_tokens}: {wrong}"
        more = longer(model, max_tokens) or "N"
        steps.append(f"For a longer answer: `--max-tokens {more}`, in Python `max_tokens={more}`")
    elif wrong.may_be_mended:
        steps.append("Say in the prompt what the answer should contain, or ask a larger model.")
    steps.append("In Python, the error has the answer: `error.reply.text`")
    error = AnswerError(problem, next_steps=steps)
    error.reply = reply
    return error


def _pydantic() -> Any:
    with suppress(ImportError):
        import pydantic

        if hasattr(pydantic, "TypeAdapter"):  # pydantic 1 has none
            return pydantic
    raise UsageError(
        "a type needs the package pydantic, version 2, which is not installed",
        next_steps=(way_to("pydantic", '%pip install "mm_magic[types]"'),),
    )


def _schema_generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        """Without a title for each field, which says its name again."""

        def field_title_should_be_set(self, _schema: object) -> bool:
            return False

    return Untitled


def _name(kind: object) -> str:
    """A type as the notebook has it, without the modules: `list[Review]`; of a value its class."""
    if isinstance(kind, UnionType) or hasattr(kind, "__origin__"):
        return shortened(_MODULES.sub(r"\1", _ADDRESS.sub("", repr(kind))), 60)
    name = getattr(kind, "__name__", None)
    return name if isinstance(name, str) else _a_value(kind)


def _a_value(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _why(error: Exception) -> str:
    """The first sentence of pydantic's message, if that is about the type and not about itself."""
    message = str(error).partition("\n")[0]
    if message.startswith("Unable to generate pydantic-core schema"):
        return "it is not a type that pydantic knows"
    return shortened(message, _LONGEST)


def _errors(error: Any) -> Any:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _no_json(text: str, broken_at: int | None) -> str:
    if broken_at is None:
        return "the answer has no JSON in it" if text.strip() else "the answer is empty"
    before = ("…" if broken_at > _AROUND else "") + text[max(0, broken_at - _AROUND) : broken_at]
    rest = text[broken_at:].strip()
    if not rest or (rest[0] == '"' and '"' not in rest[1:]):
        return f"the JSON breaks off after `{_quoted(before)}`"
    return f"the JSON is broken after `{_quoted(before)}`"


def _quoted(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _problem(error: Any) -> str:
    """One of pydantic's errors as words: “`year` is missing”."""
    where, message = _path(error["loc"]), _quoted(str(error["msg"]))
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
    return _quoted(path.removeprefix("."))
