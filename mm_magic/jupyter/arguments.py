"""The line behind `%%minimax` and `%minimax`: how it is split, and what its options say."""

import argparse
import keyword
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from io import StringIO
from typing import Any, NoReturn, TypeVar

from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.text_file import text_of
from mm_magic.session.options import ROWS, SWITCH, TEXT, UNSET, Options, Row, option, rows

T = TypeVar("T")


def _check_variable(_name: str, value: str) -> None:
    if not value.isidentifier() or keyword.iskeyword(value):
        raise UsageError(f"-o needs a variable's name, got {value!r}")


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a line says. Its fields that are options belong to one cell.

    `given` holds the other options, by name, None for one that is unset; `words` what is no option.
    """

    words: tuple[str, ...] = ()
    given: Mapping[str, object] = field(default_factory=dict)
    alone: bool = option(
        False, SWITCH, "--alone", help="send no earlier turns, and remember nothing"
    )  # fmt: skip
    to: str = option(
        "", TEXT, "-o", "--to", metavar="NAME", help="put the reply into this variable",
        check=_check_variable,
    )  # fmt: skip
    literal: bool = option(False, SWITCH, "--literal", help="send {{name}} as written")
    dry_run: bool = option(
        False, SWITCH, "--dry-run", help="show what would be sent, and send nothing"
    )  # fmt: skip
    help: bool = option(False, SWITCH, "-h", "--help", help="show this help")

    def options(self, defaults: Options) -> Options:
        """The defaults, overridden by what the line says."""
        return defaults.overridden(self.given)


OF_ONE_CELL = tuple(rows(Arguments))
HELP = OF_ONE_CELL[-1]
CELL_ROWS = (*(row for row in ROWS if row.flags), *OF_ONE_CELL)
"""All options of `%%minimax`."""


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        raise mistakes.bad_option(message, [*self._option_string_actions], f"{self.prog} -h")


@cache
def _parser(prog: str, table: tuple[Row, ...]) -> _Parser:
    """It gives those options only that a line names."""
    parser = _Parser(
        prog, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS,
        usage=argparse.SUPPRESS,
    )  # fmt: skip
    for row in table:
        if row.kind is not SWITCH:
            parser.add_argument(*row.flags, dest=row.name, type=partial(_value, row))
            continue
        for flag in row.flags:
            parser.add_argument(
                flag, dest=row.name, action="store_const", const=not flag.startswith("--no-")
            )
    parser.add_argument("words", nargs="*")
    return parser


def _value(row: Row, word: str) -> object:
    """What a word of the line says for an option: `@FILE` is a file's text, `@@` a real `@`."""
    if row.kind.may_be_file and word.startswith("@"):
        word = word[1:] if word.startswith("@@") else text_of(word[1:], row.flags)
    return row.read(word)


def read(prog: str, table: Iterable[Row], words: Sequence[str]) -> dict[str, Any]:
    """The options that are among the words, by name, and as "words" the rest.

    Raises UsageError; `prog` is what its help is called by.
    """
    try:
        found = vars(_parser(prog, tuple(table)).parse_intermixed_args(list(words)))
    except UsageError as error:
        raise mistakes.key_in_cell() if mistakes.holds_key(error.message) else error from None
    return {**found, "words": tuple(found.get("words", ()))}


def parse(line: str) -> Arguments:
    """Read a magic line. Raises UsageError with the right line where it can be guessed."""
    found = read("%%minimax", CELL_ROWS, words_of(line))
    given = {row.name: found.pop(row.name) for row in ROWS if row.name in found}
    return Arguments(given=given, **found)


def read_command(name: str, table: type[T], words: Sequence[str]) -> tuple[str | None, T]:
    """The one word behind a command, if there is one, and the options of its own, as a `table`."""
    found = read(f"%minimax {name}", rows(table), words)
    return at_most_one(name, found.pop("words")), table(**found)


def at_most_one(command: str, words: Sequence[str]) -> str | None:
    """The word behind a command; None if there is none. Raises UsageError."""
    if len(words) > 1:
        raise UsageError(
            f"{command} takes one word, got {len(words)}",
            next_steps=("Put a name or path with spaces in double quotes.",),
        )
    return words[0] if words else None


def help_rows(table: Iterable[Row]) -> list[tuple[str, str]]:
    """Names and meaning of each option, for a help and the docs' table."""
    return [(f"{', '.join(row.flags)} {row.metavar}".rstrip(), row.help) for row in table]


def in_columns(pairs: Sequence[tuple[str, str]]) -> str:
    """Lines of a name and its meaning."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in pairs)


def help_text() -> str:
    """The options as `%%minimax -h` shows them."""
    unset = ", ".join(row.flags[0] for row in CELL_ROWS if row.may_be_unset)
    files = ", ".join(row.flags[0] for row in CELL_ROWS if row.kind.may_be_file)
    return (
        f"{in_columns(help_rows(CELL_ROWS))}\n"
        f"To unset one of {unset}, give it the value `{UNSET}`.\n"
        f"`{files} @role.md` reads a UTF-8 file next to the notebook; "
        f"for text that begins with @, write @ twice: `{files} @@home`."
    )


def flags_of(table: Iterable[Row]) -> list[str]:
    """The long names of options, for Tab."""
    return [flag for row in table for flag in row.flags if flag.startswith("--")]


def words_of(line: str) -> list[str]:
    """The words of a line, `_` in an option's name as `-`. A backslash is a letter (Windows)."""
    try:
        return [with_hyphens(word) for word in lexer_of(line)]
    except ValueError:
        raise mistakes.unclosed_quote(line) from None


def lexer_of(line: str | StringIO) -> shlex.shlex:
    """What reads the words of a line, one after another. It raises ValueError at an open quote."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""
    return lexer


def with_hyphens(token: str) -> str:
    """`--max_tokens=5` to `--max-tokens=5`."""
    if not token.startswith("--"):
        return token
    name, equals, value = token.partition("=")
    return name.replace("_", "-") + equals + value
