"""The line behind `%%minimax` and `%minimax`: how it is split, and what its options say."""

import argparse
import keyword
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from io import StringIO
from typing import Any, NoReturn, TypeVar

from mm_magic.conversation.left_out import LeftOut
from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes
from mm_magic.jupyter.lists import joined, several
from mm_magic.jupyter.text_file import text_of
from mm_magic.protocol.request import check_count
from mm_magic.session.options import (
    BY_NAME,
    CODE,
    COUNT,
    NUMBER,
    ROWS,
    SWITCH,
    TEXT,
    UNSET,
    Options,
    Row,
    option,
    rows,
)
from mm_magic.session.variants import number_of

T = TypeVar("T")


def _check_variable(_name: str, value: str) -> None:
    if not value.isidentifier() or keyword.iskeyword(value):
        raise UsageError(f"-o needs a variable name, got {value!r}")


def _check_table(_name: str, value: str) -> None:
    if not value.isidentifier() or keyword.iskeyword(value):
        raise UsageError(
            f"--rows needs a variable name, got {value!r}",
            next_steps=("Assign the table to a variable in a cell above, and give that name.",),
        )


def _check_function(_name: str, value: str) -> None:
    if not value.isidentifier() or keyword.iskeyword(value):
        raise UsageError(
            f"--tools needs the names of functions, got {value!r}",
            next_steps=(
                "Name functions that a cell above defines, separated by commas: `--tools f,g`",
                "Give any other function a name first: `f = thing.method`",
            ),
        )


def _check_budget(_name: str, value: object) -> None:
    if not isinstance(value, int | float) or not value > 0:
        raise UsageError(f"--budget must be an amount in USD above 0, got {value!r}")


def _check_left_out(_name: str, value: str) -> None:
    found = re.match(r"\{*\s*([A-Za-z_]\w*)", value)
    if found is not None and not value.isidentifier():
        raise UsageError(
            f"for a variable, --without takes only its name, got {value!r}",
            next_steps=(f"Write: `--without {found[1]}`",),
        )
    LeftOut(value)


def _check_n(_name: str, value: int) -> None:
    check_count("-n", value)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a line says. Its fields that are options belong to one cell.

    `given` holds the other options, by name, None for one that is unset; `varying` those that have
    several values, in the order of the line; `words` what is no option.
    """

    words: tuple[str, ...] = ()
    given: Mapping[str, object] = field(default_factory=dict)
    varying: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    n: int = option(
        1, COUNT, "-n", metavar="N", help="ask N times and compare the answers", check=_check_n,
    )  # fmt: skip
    without: tuple[str, ...] = option(
        (), TEXT, "--without", metavar="WHAT",
        help="ask again without this (the number of a turn, `system`, or the name of a variable in "
        "the prompt) and compare the answers",
        offers="left out", check=_check_left_out, varies="listed",
    )  # fmt: skip
    alone: bool = option(
        False, SWITCH, "--alone", help="send no earlier turns, and do not remember this one"
    )  # fmt: skip
    to: str = option(
        "", TEXT, "-o", "--to", metavar="NAME", help="put the reply into this variable",
        check=_check_variable,
    )  # fmt: skip
    type: str = option(
        "", CODE, "--type", metavar="TYPE", help="read the answer as this type, such as list[str]",
        offers="types",
    )  # fmt: skip
    tools: tuple[str, ...] = option(
        (), TEXT, "--tools", metavar="NAME,…", help="let the model call these functions",
        offers="functions", check=_check_function, varies="names",
    )  # fmt: skip
    confirm: bool = option(
        False, SWITCH, "--confirm", help="with --tools: ask you before each call"
    )  # fmt: skip
    literal: bool = option(False, SWITCH, "--literal", help="send {{name}} as written")
    dry_run: bool = option(
        False, SWITCH, "--dry-run", help="show what would be sent, without sending it"
    )  # fmt: skip
    fresh: bool = option(
        False, SWITCH, "--fresh", help="ask again, even if there is a saved or recorded answer"
    )  # fmt: skip
    rows: str = option(
        "", TEXT, "--rows", metavar="NAME",
        help="ask once for each row of the table in this variable; {{column}} is replaced by "
        "the row's value",
        offers="tables", check=_check_table,
    )  # fmt: skip
    budget: float = option(
        0.0, NUMBER, "--budget", metavar="USD",
        help="with --rows: stop before the cost of this run could exceed this amount",
        check=_check_budget,
    )  # fmt: skip
    yes: bool = option(
        False, SWITCH, "--yes", help="send any number of requests without confirmation"
    )  # fmt: skip
    help: bool = option(False, SWITCH, "-h", "--help", help="show this help")

    def options(self, defaults: Options) -> Options:
        """The defaults, overridden by what the line says but for what varies."""
        return defaults.overridden(self.given)

    @property
    def answers(self) -> int:
        """How many answers it asks for."""
        return number_of(self.varying, self.n, len(self.without))

    @property
    def of_one_cell(self) -> list[str]:
        """What of it belongs to one cell, in words: options, and lists of values."""
        flags = [row.flags[0] for row in OF_ONE_CELL if getattr(self, row.name) != row.default]
        lists = [f"a list of values for {BY_NAME[name].flags[0]}" for name in self.varying]
        return [*flags, *lists]


OF_ONE_CELL = tuple(rows(Arguments))
HELP = OF_ONE_CELL[-1]
CELL_ROWS = (*(row for row in ROWS if row.flags), *OF_ONE_CELL)
"""All options of `%%minimax`."""


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        raise mistakes.bad_option(message, [*self._option_string_actions], f"{self.prog} -h")


class _Once(argparse.Action):
    """Takes an option that a line has once."""

    def __call__(
        self, _parser: object, namespace: object, value: object, flag: str | None = None
    ) -> None:
        if hasattr(namespace, self.dest):
            first = getattr(namespace, self.dest)
            raise UsageError(
                f"{flag} is on the line twice, with {first!r} and {value!r}",
                next_steps=("Keep one of them.",),
            )
        setattr(namespace, self.dest, value)


@cache
def _parser(prog: str, table: tuple[Row, ...]) -> _Parser:
    """It gives those options only that a line names; of those that vary, the words."""
    parser = _Parser(
        prog, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS,
        usage=argparse.SUPPRESS,
    )  # fmt: skip
    for row in table:
        if row.varies:
            parser.add_argument(*row.flags, dest=row.name, action="append")
            continue
        if row.kind is not SWITCH:
            read_word = partial(_value, row)
            parser.add_argument(*row.flags, dest=row.name, type=read_word, action=_Once)
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
    try:
        return row.read(word)
    except UsageError as error:
        if step := mistakes.nearest_value(row, word):
            error.next_steps = (step,)
        raise


def read(
    prog: str, table: Iterable[Row], words: Sequence[str], listed: Collection[str] = ()
) -> dict[str, Any]:
    """The options that are among the words, by name, and as "words" the rest.

    An option that may vary has a tuple of values. Raises UsageError; `prog` is what its help is
    called by, `listed` are the models that the server offers.
    """
    table = tuple(table)
    flags = flags_of(table)
    try:
        for word in words:
            if (slip := mistakes.long_with_one_dash(word, flags, f"{prog} -h")) is not None:
                raise slip
        found = vars(_parser(prog, table).parse_intermixed_args(joined(words, table, listed)))
        for row in table:
            if row.varies and row.name in found:
                found[row.name] = several(row, found[row.name], _value, listed)
    except UsageError as error:
        raise mistakes.key_in_cell() if mistakes.holds_key(error.message) else error from None
    return {**found, "words": tuple(found.get("words", ()))}


def parse(line: str, listed: Collection[str] = ()) -> Arguments:
    """Read a magic line. Raises UsageError with the right line where it can be guessed.

    `listed` are the models that the server offers.
    """
    found = read("%%minimax", CELL_ROWS, words_of(line), listed)
    of_all = {name: found.pop(name) for name in list(found) if name in BY_NAME}
    varying = {
        name: values for name, values in of_all.items() if BY_NAME[name].varies and len(values) > 1
    }
    single = {row.name: of_all[row.name] for row in ROWS if row.name in of_all.keys() - varying}
    given = {name: v[0] if BY_NAME[name].varies else v for name, v in single.items()}
    return Arguments(given=given, varying=varying, **found)


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


def number_in(word: str | None) -> int | None:
    """The number that a word of a line is; None if it is none, or has more than nine digits."""
    return int(word) if word is not None and word.isdecimal() and len(word) <= 9 else None


def help_rows(table: Iterable[Row]) -> list[tuple[str, str]]:
    """Names and meaning of each option, for a help and the docs' table."""
    return [(f"{', '.join(row.flags)} {row.metavar}".rstrip(), row.help) for row in table]


def in_columns(pairs: Sequence[tuple[str, str]]) -> str:
    """Lines of a name and its meaning."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in pairs)


def help_text() -> str:
    """The options as `%%minimax -h` shows them."""
    *firsts, last = (row.flags[0] for row in CELL_ROWS if row.may_be_unset)
    files = ", ".join(row.flags[0] for row in CELL_ROWS if row.kind.may_be_file)
    listed = ", ".join(row.flags[0] for row in CELL_ROWS if row.varies == "listed")
    others = ("repeated", "models")
    repeated = ", ".join(row.flags[0] for row in CELL_ROWS if row.varies in others)
    lines = in_columns(help_rows(CELL_ROWS)).split("\n")
    of_all = len(lines) - len(OF_ONE_CELL)
    asked = of_all + [row.name for row in OF_ONE_CELL].index("literal")
    return _OPTIONS.format(
        of_all="\n".join(lines[:of_all]), of_one="\n".join(lines[of_all:asked]),
        others="\n".join(lines[asked:]),
        unset=f"{', '.join(firsts)} or {last}", word=UNSET, files=files, listed=listed,
        repeated=repeated,
    )  # fmt: skip


_OPTIONS = """\
Options for this cell or, with `%minimax`, for all cells:
{of_all}

Options for this cell only:
{of_one}

More options for this cell only:
{others}

To unset {unset}, give it the value `{word}`.

`{files} @role.md` reads a UTF-8 file next to the notebook; for text that begins with @, write @ \
twice: `{files} @@home`.

For several answers at once, give an option several values:
  separate them with commas (`-t 0.1,0.5`): {listed}
  or repeat the option (`-m A -m B`): all of those, and also {repeated}"""


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
