"""The options: one table, which the magic line, the traits, the panel and the request follow.

A field of `Options` is a row: its names on the line, its help, its check, and how it is sent. To
add an option, add a field here and what it does; parser, help, Tab, `%config` and the key of a
request take it from its row. What belongs to one cell alone is in `jupyter/arguments`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, get_args

from mm_magic.conversation.model_facts import DEFAULT_MAX_TOKENS, DEFAULT_MODEL
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, join_surrogates
from mm_magic.protocol.request import (
    Thinking,
    check_fraction,
    check_max_tokens,
    check_model,
    check_thinking,
)

Kind: TypeAlias = Literal["text", "number", "count", "word", "switch", "speed"]
"""What a value is: any text, a float, an int, one of the row's `words`, True or False, a factor."""

UNSET = "default"
"""On the line: the option is not set, so it is not sent, and the server's own default holds."""


@dataclass(frozen=True, slots=True)
class Row:
    """One option.

    `flags` are its names on the line, none for one that only `%config` and Python set. `wire` makes
    of a value what the request holds under the option's name, None for nothing; it is None for
    an option that is never sent. `in_key`: two requests that differ in it are different requests.
    A switch that is on by default has `off`, the help of its `--no-…`.
    An option whose default is None may be unset.
    """

    name: str
    kind: Kind
    default: object
    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    words: tuple[str, ...] = ()
    check: Callable[[str, Any], None] | None = None
    wire: Callable[[Any], object] | None = None
    in_key: bool = True
    off: str = ""

    @property
    def may_be_unset(self) -> bool:
        return self.default is None


def option(default: object, kind: Kind, *flags: str, help: str, **more: Any) -> Any:  # noqa: A002
    """A field that is a row; `more` as the fields of `Row`."""
    row = {"kind": kind, "default": default, "flags": flags, "help": help, **more}
    return field(default=default, metadata=row)


def rows(table: type) -> Iterator[Row]:
    """The rows of a class whose fields are options, in order."""
    return (Row(name=each.name, **each.metadata) for each in fields(table) if each.metadata)


def _as_it_is(value: object) -> object:
    return value


def _not_empty(value: str) -> str | None:
    return value or None


def _thinking(value: Thinking) -> JsonObject | None:
    return None if value == "auto" else {"type": value}


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise UsageError(f"{name} must be text, got {value!r}")


def _check_conversation(_name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"a conversation needs a name, got {value!r}")


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, got {value!r}")


def _check_retries(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"{name} must be a whole number of 0 or more, got {value!r}")


@dataclass(frozen=True, slots=True)
class Options:
    """What a turn is asked with. Raises UsageError where a value is out of its range.

    None is not set. `said` names the options that the notebook set: by a line, the panel, `%config`
    or Python, and not the environment or a default of this package. `retries` is the number of
    further tries before the first event of an answer arrives.
    """

    model: str = option(
        DEFAULT_MODEL, "text", "-m", "--model", metavar="NAME", help="the model to ask",
        check=lambda _, value: check_model(value), wire=_as_it_is,
    )  # fmt: skip
    temperature: float | None = option(
        None, "number", "-t", "--temperature", metavar="T", help="randomness, in (0, 1]",
        check=check_fraction, wire=_as_it_is,
    )  # fmt: skip
    max_tokens: int | None = option(
        None, "count", "--max-tokens", metavar="N",
        help="maximum length of the answer in tokens, including thinking",
        check=lambda _, value: check_max_tokens(value), wire=_as_it_is,
    )  # fmt: skip
    top_p: float | None = option(
        None, "number", "--top-p", metavar="P",
        help="keep only the most likely words, up to this total probability, in (0, 1]",
        check=check_fraction, wire=_as_it_is,
    )  # fmt: skip
    system: str = option(
        "", "text", "-s", "--system", metavar="TEXT",
        help="system prompt: the role and style the model should adopt",
        check=_check_text, wire=_not_empty,
    )  # fmt: skip
    thinking: Thinking = option(
        "auto", "word", "--thinking", metavar="WORD", help="auto, adaptive or disabled",
        words=get_args(Thinking), check=lambda _, value: check_thinking(value), wire=_thinking,
    )  # fmt: skip
    hide_thinking: bool = option(
        False, "switch", "--hide-thinking", help="do not show the thinking", check=_check_switch
    )
    stream: bool = option(
        True, "switch", "--stream", help="show the answer as it comes (default)",
        check=_check_switch, wire=_as_it_is, in_key=False, off="ask for the answer in one piece",
    )  # fmt: skip
    conversation: str = option(
        "main", "text", "-c", "--conversation", metavar="NAME",
        help="which conversation the turn belongs to", check=_check_conversation,
    )  # fmt: skip
    retries: int = option(
        2, "count", help="further tries while the service is busy", check=_check_retries
    )
    said: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for row in ROWS:
            value = getattr(self, row.name)
            if row.check is not None and not (value is None and row.may_be_unset):
                row.check(row.name, value)
            if isinstance(value, str):  # no file or socket takes half characters
                object.__setattr__(self, row.name, join_surrogates(value))

    def overridden(self, given: Mapping[str, object]) -> "Options":
        """These options with those that the notebook gives now; None, or UNSET, unsets one."""
        values = {name: _value(name, value) for name, value in given.items()}
        unset = {name for name, value in values.items() if value is None}
        said = frozenset({*self.said, *values} - unset)
        return replace(self, said=said, **values)  # type: ignore[arg-type]

    def parameters(self) -> JsonObject:
        """The request's body but for its messages, by the names of the wire."""
        found = {"model": self.model, "stream": self.stream, **self._wire(lambda _: True)}
        if self.max_tokens is None:
            found["max_tokens"] = DEFAULT_MAX_TOKENS
        return found

    def asked(self) -> JsonObject:
        """What of `parameters` the notebook said: this tells one request from another."""
        return self._wire(lambda row: row.in_key and row.name in self.said)

    def _wire(self, is_meant: Callable[[Row], bool]) -> JsonObject:
        found = {
            row.name: row.wire(value)
            for row in ROWS
            if row.wire and (value := getattr(self, row.name)) is not None and is_meant(row)
        }
        return {name: value for name, value in found.items() if value is not None}


ROWS = tuple(rows(Options))
_BY_NAME = {row.name: row for row in ROWS}


def _value(name: str, value: object) -> object:
    """A given value; that of an option which goes back to its default."""
    row = _BY_NAME[name]
    return row.default if row.may_be_unset and value == UNSET else value


def first_options(environ: Mapping[str, str]) -> Options:
    """The options of a new kernel or script: MINIMAX_MODEL, and else this package's defaults."""
    return Options(model=environ.get("MINIMAX_MODEL", "").strip() or DEFAULT_MODEL)
