"""The line behind `%%minimax` and `%minimax`: what it says, and its help.

Parsers are built from rows: those of `Options` for what may hold for all cells, and those below
for what belongs to one cell, or to one command. A new kind of value gets its reader here.
"""

import argparse
import keyword
import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NoReturn

from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes
from mm_magic.session.options import ROWS, UNSET, Kind, Options, Row, option, rows


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a line says. `given` has those of `Options` that it names, by their names."""

    words: tuple[str, ...] = ()
    given: Mapping[str, object] = field(default_factory=dict)
    alone: bool = option(
        False, "switch", "--alone", help="send no earlier turn, and remember nothing"
    )
    to: str | None = option(
        None, "text", "-o", "--to", metavar="NAME", help="put the reply into this variable"
    )
    literal: bool = option(False, "switch", "--literal", help="send {{name}} as it stands")
    dry_run: bool = option(
        False, "switch", "--dry-run", help="show what would be sent, and send nothing"
    )
    help: bool = option(False, "switch", "-h", "--help", help="show this help")

    def options(self, defaults: Options) -> Options:
        """The defaults, overridden by what the line says."""
        return defaults.overridden(self.given)

    def of_one_cell(self) -> list[str]:
        """The options on the line that can't hold for all cells."""
        return [row.flags[0] for row in rows(Arguments) if getattr(self, row.name) != row.default]


@dataclass(frozen=True, slots=True)
class ReplayArguments:
    """What stands behind `%minimax replay`. `speed` is a factor, math.inf for "max"."""

    words: tuple[str, ...] = ()
    speed: float = option(1.0, "speed", "--speed", metavar="N", help="N times as fast, or max")
    fill: bool = option(
        False, "switch", "--fill", help="ask a model for what is missing, and record it"
    )
    loose: bool = option(
        False, "switch", "--loose",
        help="take the answer to the same prompt and options, whatever came before",
    )  # fmt: skip
    help: bool = option(False, "switch", "-h", "--help", help="show this help")


@dataclass(frozen=True, slots=True)
class RequestArguments:
    """What stands behind `%minimax request`."""

    words: tuple[str, ...] = ()
    events: bool = option(False, "switch", "--events", help="with what came back, event by event")
    help: bool = option(False, "switch", "-h", "--help", help="show this help")


CELL_ROWS = (*ROWS, *rows(Arguments))
"""The options of a `%%minimax` line, in the order of the help."""


def parse(line: str) -> Arguments:
    """Read a magic line. Raises UsageError with the right line where it can be guessed."""
    said = _parser("%%minimax", CELL_ROWS).read(words_of(line))
    given = {row.name: said.pop(row.name) for row in ROWS if row.name in said}
    arguments = Arguments(given=given, **said)  # type: ignore[arg-type]
    if arguments.to is not None and not _is_name(arguments.to):
        raise UsageError(f"-o needs a variable's name, got {arguments.to!r}")
    return arguments


def parse_replay(words: Sequence[str]) -> ReplayArguments:
    """Read what stands behind `%minimax replay`. Raises UsageError."""
    said = _parser("%minimax replay", tuple(rows(ReplayArguments))).read(words)
    return ReplayArguments(**said)  # type: ignore[arg-type]


def parse_request(words: Sequence[str]) -> RequestArguments:
    """Read what stands behind `%minimax request`. Raises UsageError."""
    said = _parser("%minimax request", tuple(rows(RequestArguments))).read(words)
    return RequestArguments(**said)  # type: ignore[arg-type]


def words_of(line: str) -> list[str]:
    """The words of a line, its options among them, with `-` for `_` in the options' names."""
    return [_with_hyphens(token) for token in _split(line)]


def read_value(row: Row, text: str) -> object:
    """The value of an option as it is typed: "" where it is not set. Raises UsageError."""
    try:
        return _READERS[row.kind](row, text) if text else None
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{row.name} {error}") from None


def check_no_words(arguments: Arguments, line: str, commands: Sequence[str]) -> None:
    """For `%%minimax`: all that is left on the line is a slip."""
    if arguments.words:
        raise mistakes.stray_words(arguments.words, line, commands)


# Help


def help_of(table: Iterable[Row]) -> str:
    """Names and meaning of each option, line by line."""
    return in_columns([pair for row in table for pair in help_rows(row)])


def help_rows(row: Row) -> list[tuple[str, str]]:
    """Names and meaning of an option, and of its opposite, if it has one."""
    if not row.flags:
        return []
    found = [(" ".join(filter(None, (", ".join(row.flags), row.metavar))), row.help)]
    return [*found, (_off(row), row.off)] if row.off else found


def flags_of(table: Iterable[Row]) -> list[str]:
    """All long names, for completion."""
    flags = [[*row.flags, *([_off(row)] if row.off else [])] for row in table]
    return [flag for each in flags for flag in each if flag.startswith("--")]


def in_columns(pairs: Sequence[tuple[str, str]]) -> str:
    """Two columns of text, indented."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in pairs)


def _off(row: Row) -> str:
    return f"--no-{row.name.replace('_', '-')}"


# Reading


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the kernel, and tells what was given alone."""

    def error(self, message: str) -> NoReturn:
        raise mistakes.bad_option(message, [*self._option_string_actions], f"{self.prog} -h")

    def read(self, words: Sequence[str]) -> dict[str, object]:
        """The options that were given, by name, and "words": what is left. Raises UsageError."""
        found = vars(self.parse_intermixed_args(list(words)))
        return {**found, "words": tuple(found["words"])}


@cache
def _parser(name: str, table: tuple[Row, ...]) -> _Parser:
    parser = _Parser(
        prog=name,
        add_help=False,
        allow_abbrev=False,
        usage=argparse.SUPPRESS,
        argument_default=argparse.SUPPRESS,
    )
    for row in table:
        if row.flags and row.kind == "switch":
            parser.add_argument(*row.flags, dest=row.name, action="store_true")
        elif row.flags:
            reader = partial(_READERS[row.kind], row)
            parser.add_argument(*row.flags, dest=row.name, type=reader)
        if row.off:
            parser.add_argument(_off(row), dest=row.name, action="store_false")
    parser.add_argument("words", nargs="*", default=[])
    return parser


def _text(_row: Row, text: str) -> str:
    return text


def _number(row: Row, text: str) -> float | str:
    if row.may_be_unset and text == UNSET:
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number such as 0.3, got {text!r}") from None


def _count(row: Row, text: str) -> int | str:
    if row.may_be_unset and text == UNSET:
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def _word(row: Row, text: str) -> str:
    if text not in row.words:
        *others, last = row.words
        words = f"{', '.join(others)} or {last}"
        raise argparse.ArgumentTypeError(f"must be {words}, got {text!r}")
    return text


def _speed(_row: Row, text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:  # also what is no number at all
        raise argparse.ArgumentTypeError(f"must be a number above 0, or max, got {text!r}")
    return speed


_READERS: Mapping[Kind, Callable[[Row, str], object]] = {
    "text": _text,
    "number": _number,
    "count": _count,
    "word": _word,
    "speed": _speed,
}


def _split(line: str) -> Sequence[str]:
    """The words of a line. A backslash is a letter: Windows paths survive."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise mistakes.unclosed_quote(line) from None


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _with_hyphens(token: str) -> str:
    """`--max_tokens=5` to `--max-tokens=5`."""
    if not token.startswith("--"):
        return token
    name, equals, value = token.partition("=")
    return name.replace("_", "-") + equals + value
