"""The options: one table, which the magic line, the traits, the panel and the request follow.

A field of `Options` is a row: its names on the line, its help, its check, and how it is sent. To
add an option, add a field here and what it does; parser, help, Tab, `%config`, panel, docs and
the key of a request take it from its row. What belongs to one cell alone is in `jupyter/arguments`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from mm_magic import wording
from mm_magic.conversation.catalog import (
    ADVISED_MAX_TOKENS,
    DEFAULT_MODEL,
    PAGE_MAX_TOKENS,
    default_max_tokens,
    find,
)
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, as_object, as_text, join_surrogates
from mm_magic.protocol.request import (
    DEFAULT_TEMPERATURE,
    DEFAULT_TOP_P,
    Effort,
    Thinking,
    check_count,
    check_fraction,
    check_model,
    check_thinking,
)

UNSET = "default"
"""On the line: the option is not set, so it is not sent, and the server's own default holds."""

Varying: TypeAlias = Literal["", "repeated", "listed", "models", "names"]
"""How an option gets several values in one cell: not at all; repeated; repeated or listed with
commas; repeated, or listed where each part is the name of a model: proxies have commas in names;
several names, all for one answer."""

Offer: TypeAlias = Literal[
    "models",
    "conversations",
    "turns",
    "turns to restore",
    "answers",
    "recordings",
    "commands",
    "tables",
    "functions",
    "types",
    "left out",
]
"""Words that Tab looks up when it needs them."""


class Kind(NamedTuple):
    """What values are: their type, in words, and how text becomes one (else ValueError).

    `may_be_file`: a magic's line may have `@FILE` for the text of a file; nothing else reads one.
    """

    of: type
    meaning: str
    read: Callable[[str], Any]
    may_be_file: bool = False

    def fits(self, value: object) -> bool:
        """Whether it is of this type; True is no number, though Python has it so."""
        is_switch = isinstance(value, bool)
        return is_switch == (self.of is bool) and isinstance(
            value, (int, float) if self.of is float else self.of
        )


TEXT = Kind(str, "text", str)
TEXT_OR_FILE = Kind(str, "text", str, may_be_file=True)
CODE = Kind(str, "text", str)  # on the line it goes on to the end of its brackets
NUMBER = Kind(float, "a number such as 0.3", float)
COUNT = Kind(int, "a whole number", int)
SWITCH = Kind(bool, "True or False", bool)  # on the line its flag alone says it


class Scale(NamedTuple):
    """The panel's slider. `usual` is where it stands while the option is not set."""

    low: float
    high: float
    usual: float


class Row(NamedTuple):
    """One option.

    `flags` are its names on the line, none for one that only `%config` and Python set; of a switch,
    those with `--no-` switch it off. `words` are the only values it may have, `offers` those that
    Tab offers. `wire` makes of a value what the request holds under `wire_name`, or else under the
    option's name, None for nothing; it is None for an option that is never sent. `in_key`: two
    requests that differ in it are different requests. `varies` says how it gets several values in
    one cell, each for an answer of its own. An option whose default is None may be unset.
    """

    name: str
    kind: Kind
    default: object
    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    words: tuple[str, ...] = ()
    offers: Offer | tuple[str, ...] = ()
    check: Callable[[str, Any], None] | None = None
    wire: Callable[[Any], object] | None = None
    wire_name: str = ""
    in_key: bool = True
    in_panel: bool = True
    scale: Scale | None = None
    varies: Varying = ""

    @property
    def is_listed(self) -> bool:
        """Whether its values may stand in one list, with commas between them."""
        return self.varies in ("listed", "models", "names")

    @property
    def may_be_unset(self) -> bool:
        return self.default is None

    def accept(self, value: object) -> None:
        """Raise UsageError unless the option may have this value."""
        if value is None and self.may_be_unset:
            return
        if self.check is not None:
            self.check(self.name, value)
        elif not self.kind.fits(value):
            raise UsageError(f"{self.name} must be {self.kind.meaning}, got {value!r}")
        elif self.words and value not in self.words:
            raise UsageError(f"{self.name} must be one of {', '.join(self.words)}, got {value!r}")

    def read(self, text: str) -> object:
        """The value that a word of a line, or the text in a box, gives. Raises UsageError."""
        if self.may_be_unset and text == UNSET:
            return None
        try:
            value = self.kind.read(text)
        except ValueError:
            raise UsageError(f"{self.name} must be {self.kind.meaning}, got {text!r}") from None
        self.accept(value)
        return value

    def text(self, value: object) -> str:
        """A value as the text that `read` takes."""
        if isinstance(value, float):
            short = f"{value:g}"
            return short if float(short) == value else repr(value)
        return UNSET if value is None else str(value)

    def on_line(self, *values: object) -> str | None:
        """The option with a value, or a list, as a magic's line has it; None if none is read so."""
        text = ",".join(map(self.text, values))
        word = wording.not_a_file(text) if self.kind.may_be_file else text
        return wording.option(self.flags[0], self.flags[-1], word)


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


def _check_conversation(_name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"a conversation needs a name, got {value!r}")


@dataclass(frozen=True, slots=True)
class Options:
    """What a turn is asked with. Raises UsageError where a value is out of its range.

    None is not set. `said` names the options that the notebook set: by a line, the panel, `%config`
    or Python, and not the environment or a default of this package. `retries` is the number of
    further tries before the first event of an answer arrives.
    """

    model: str = option(
        DEFAULT_MODEL, TEXT, "-m", "--model", metavar="NAME", help="the model to ask",
        offers="models", check=lambda _, value: check_model(value), wire=_as_it_is,
        varies="models",
    )  # fmt: skip
    conversation: str = option(
        "main", TEXT, "-c", "--conversation", metavar="NAME",
        help="the conversation that the turn belongs to",
        offers="conversations", check=_check_conversation,
    )  # fmt: skip
    temperature: float | None = option(
        None, NUMBER, "-t", "--temperature", metavar="T", help="randomness, above 0 and at most 1",
        check=check_fraction, wire=_as_it_is, scale=Scale(0.01, 1, usual=DEFAULT_TEMPERATURE),
        varies="listed",
    )  # fmt: skip
    top_p: float | None = option(
        None, NUMBER, "--top-p", metavar="P",
        help="keep only the most likely words, up to this total probability",
        check=check_fraction, wire=_as_it_is, scale=Scale(0.01, 1, usual=DEFAULT_TOP_P),
        varies="listed",
    )  # fmt: skip
    max_tokens: int | None = option(
        None, COUNT, "--max-tokens", metavar="N",
        help="maximum length of the answer in tokens, including thinking",
        check=check_count, wire=_as_it_is,
        scale=Scale(1, ADVISED_MAX_TOKENS, usual=PAGE_MAX_TOKENS),
        varies="listed",
    )  # fmt: skip
    thinking: Thinking = option(
        "auto", TEXT, "--thinking", metavar="WORD",
        help="whether the model thinks first: auto, adaptive or disabled",
        words=get_args(Thinking), check=lambda _, value: check_thinking(value), wire=_thinking,
        varies="listed",
    )  # fmt: skip
    effort: Effort | None = option(
        None, TEXT, "--effort", metavar="WORD",
        help="how long the model thinks, if it supports this: low, medium, high, xhigh or max",
        words=get_args(Effort), wire=lambda value: {"effort": value}, wire_name="output_config",
        varies="listed",
    )  # fmt: skip
    hide_thinking: bool = option(
        False, SWITCH, "--hide-thinking", help="hide the thinking"
    )  # fmt: skip
    system: str = option(
        "", TEXT_OR_FILE, "-s", "--system", metavar="TEXT or @FILE",
        help="system prompt: the role and style the model should adopt", wire=_not_empty,
        varies="repeated",
    )  # fmt: skip
    stream: bool = option(
        True, SWITCH, "--stream", "--no-stream",
        help="show the answer as it arrives (default), or all at once",
        wire=_as_it_is, in_key=False, in_panel=False,
    )  # fmt: skip
    reuse: bool = option(
        False, SWITCH, "--reuse", "--no-reuse",
        help="reuse the answers in this notebook, and ask only for new ones",
    )  # fmt: skip
    retries: int = option(
        2, COUNT, help="how many times to retry while the service is busy",
        check=partial(check_count, least=0), in_panel=False,
    )  # fmt: skip
    confirm_above: int = option(
        12, COUNT, help="how many requests a cell may send without `--yes`",
        check=check_count, in_panel=False,
    )  # fmt: skip
    said: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for row in ROWS:
            value = getattr(self, row.name)
            row.accept(value)
            if isinstance(value, str):  # no file or socket takes half characters
                object.__setattr__(self, row.name, join_surrogates(value))

    def overridden(self, given: Mapping[str, object]) -> "Options":
        """These options with those that the notebook gives now.

        None, or UNSET, unsets one; it changes nothing where the option can't be unset.
        """
        values = {
            name: None if value == UNSET and BY_NAME[name].may_be_unset else value
            for name, value in given.items()
            if value is not None or BY_NAME[name].may_be_unset
        }
        unset = {name for name, value in values.items() if value is None}
        said = frozenset({*self.said, *values} - unset)
        return replace(self, said=said, **values)  # type: ignore[arg-type]

    def in_words(self) -> list[tuple[str, str]]:
        """Name and value of each option that a line can set; of a switch only what is unusual."""
        found = []
        for row in ROWS:
            value = getattr(self, row.name)
            if row.kind is SWITCH and value != row.default:
                found.append((row.name, "yes" if value else "no"))
            elif row.kind is not SWITCH and row.flags:
                found.append(
                    (row.name, wording.told(row.text(value)).replace("\n", " ↵ ") or "none")
                )
        return found

    def parameters(self) -> JsonObject:
        """The request's body but for its messages, by the names of the wire."""
        found = {"model": self.model, "stream": self.stream, **self._wire(lambda _: True)}
        if self.max_tokens is None:
            found["max_tokens"] = default_max_tokens(self.model)
        if self.thinking == "auto" and (known := find(self.model)) and known.thinks_if_asked:
            found["thinking"] = {"type": "adaptive"}
        return found

    def asked(self) -> JsonObject:
        """What of `parameters` the notebook said: this tells one request from another."""
        return self._wire(lambda row: row.in_key and row.name in self.said)

    def _wire(self, is_meant: Callable[[Row], bool]) -> JsonObject:
        found = {
            row.wire_name or row.name: row.wire(value)
            for row in ROWS
            if row.wire and (value := getattr(self, row.name)) is not None and is_meant(row)
        }
        return {name: value for name, value in found.items() if value is not None}


ROWS = tuple(rows(Options))
BY_NAME = {row.name: row for row in ROWS}
BY_WIRE_NAME = {row.wire_name or row.name: row for row in ROWS if row.wire}


TOOLS = "tools"
"""They have no row: their functions belong to one cell."""


def on_line(wire_name: str, sent: object) -> str | None:
    """The option as a magic's line has it that makes a request hold this, None for nothing.

    None where no line can say it: which model is the default differs from place to place.
    """
    if wire_name == TOOLS:
        return _tools_on_line(sent)
    row = BY_WIRE_NAME.get(wire_name)
    if row is None or row.wire is None or (row.name == "model" and sent is None):
        return None
    if row.words and sent is not None:
        return next((row.on_line(word) for word in row.words if row.wire(word) == sent), None)
    return row.on_line(row.default if sent is None else sent)


def _tools_on_line(sent: object) -> str | None:
    """`--tools` with the names of these tools."""
    tools = sent if isinstance(sent, list) else []
    names = [as_text(as_object(each).get("name")) for each in tools]
    return f"--tools {','.join(names)}" if names and all(map(str.isidentifier, names)) else None


def first_options(environ: Mapping[str, str]) -> Options:
    """The options of a new kernel or script: MINIMAX_MODEL, and else this package's defaults."""
    return Options(model=model_in(environ) or DEFAULT_MODEL)


def model_in(environ: Mapping[str, str]) -> str:
    """The model that the environment chooses, "" if it chooses none."""
    return environ.get("MINIMAX_MODEL", "").strip()


def is_list(value: object) -> bool:
    """Whether a value from Python is several: any iterable but a text."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def listed(value: object) -> tuple[object, ...] | None:
    """The values in a list from Python; None if it is one value.

    An array counts as the list of its values, which are then Python's own numbers.
    """
    to_list = getattr(value, "tolist", None)
    values = value if to_list is None else to_list()
    return tuple(values) if isinstance(values, Iterable) and is_list(values) else None
