"""An answer as a value of a type, which pydantic reads when a type is asked for.

A value is read from the text of an answer and from nothing else, so whatever asks can use it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from mm_magic.conversation.catalog import longer
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.errors import AnswerError, UsageError
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.last_json import last_json
from mm_magic.session.validation import (
    LONGEST,
    a_value,
    in_code,
    json_schema,
    problems_of,
    pydantic_for,
    type_name,
    why_no_schema,
)
from mm_magic.wording import plain, shortened

if TYPE_CHECKING:
    import pydantic

_AROUND = 30  # characters of an answer before the place where its JSON breaks


class WrongValue(Exception):
    """An answer holds no value of the type. Its text says why: “`year` is missing”.

    `problems` has what is wrong. `may_be_mended`: asking once more may help.
    """

    def __init__(self, problems: Iterable[str], *, may_be_mended: bool = True) -> None:
        self.problems = [shortened(plain(each), LONGEST) for each in problems]
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
        make, name = _pydantic().TypeAdapter, type_name(kind)
        if isinstance(kind, str):  # pydantic would take it for a name that is to be found later
            raise UsageError(
                f"type must be a type, got the text {kind!r}",
                next_steps=("Write it without quotes, as in `type=int`.",),
            )
        try:
            adapter = make(kind)
            schema = json_schema(adapter)
        except Exception as error:  # a type's own code runs here
            raise UsageError(
                f"no answer can be read as {name}: {why_no_schema(error)}",
                next_steps=(
                    "Use a dataclass, `list[str]`, `int`, an Enum, a TypedDict or a pydantic "
                    "model.",
                ),
            ) from None
        return cls(name, schema, adapter)

    @property
    def python_schema(self) -> JsonObject:
        """The same schema, with the names that fields have in Python."""
        return json_schema(self._adapter, by_alias=False)

    def read(self, text: str) -> object:
        """The value in the text of an answer. Raises WrongValue."""
        found = last_json(text)
        if found.json is None:
            raise WrongValue([_no_json(text, found.broken_at)])
        try:
            return self._adapter.validate_json(found.json)
        except _pydantic().ValidationError as error:
            raise WrongValue(problems_of(error)) from None
        except Exception as error:  # the type's own check is at fault, not the answer
            why = f"the check in {self.name} raised {type(error).__name__}: {error}"
            raise WrongValue([why], may_be_mended=False) from error

    def read_with(self, fields: Collection[str], text: str) -> object:
        """The same, of a type with these fields. Raises WrongValue if its check left none."""
        found = self.read(text)
        value = bare(found)
        if isinstance(value, Mapping) or not fields or any(hasattr(value, each) for each in fields):
            return found
        why = f"the check in {self.name} returned {a_value(value)}, with none of the type's fields"
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
    problem, steps = f"the answer is not of type {kind.name}: {wrong}", []
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
    return pydantic_for("a type")


def _no_json(text: str, broken_at: int | None) -> str:
    if broken_at is None:
        return "the answer has no JSON in it" if text.strip() else "the answer is empty"
    before = ("…" if broken_at > _AROUND else "") + text[max(0, broken_at - _AROUND) : broken_at]
    rest = text[broken_at:].strip()
    if not rest or (rest[0] == '"' and '"' not in rest[1:]):
        return f"the JSON breaks off after `{in_code(before)}`"
    return f"the JSON is broken after `{in_code(before)}`"
