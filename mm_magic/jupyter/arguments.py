"""The line behind `%%minimax` and `%minimax`: its options, its help, and likely slips."""

import argparse
import keyword
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NoReturn, get_args

from mm_magic.errors import UsageError
from mm_magic.jupyter import mistakes as slips
from mm_magic.protocol.request import Thinking
from mm_magic.session.options import ROWS, Options


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a line says. None: not said, so the defaults hold."""

    words: tuple[str, ...] = ()
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    system: str | None = None
    thinking: Thinking | None = None
    hide_thinking: bool | None = None
    stream: bool | None = None
    conversation: str | None = None
    alone: bool = False
    to: str | None = None
    literal: bool = False
    dry_run: bool = False
    help: bool = False

    def options(self, defaults: Options) -> Options:
        """The defaults, overridden by what the line says."""
        given = {row.name: getattr(self, row.name, None) for row in ROWS}
        return defaults.overridden({n: value for n, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class ReplayArguments:
    """What stands behind `%minimax replay`. `speed` is a factor, math.inf for "max"."""

    file: str | None = None
    speed: float = 1.0
    fill: bool = False
    loose: bool = False
    help: bool = False


@dataclass(frozen=True, slots=True)
class RequestArguments:
    """What stands behind `%minimax request`; without `number` it is about the last request."""

    number: str | None = None
    events: bool = False
    help: bool = False


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        raise slips.bad_option(message, [*self._option_string_actions], f"{self.prog} -h")


_COMMANDS = {
    "panel": ("", "shows the settings as sliders and menus"),
    "models": ("", "lists the models that the server offers"),
    "key": ("", "asks for a key, without showing it, and checks it"),
    "usage": ("", "tells tokens and price so far"),
    "history": ("[NAME]", "lists the turns of a conversation, and what of them is sent"),
    "show": ("[N]", "draws turn N again, or the last one"),
    "request": ("[N] [--events]", "shows what was sent last, or for turn N, and what came"),
    "code": ("[N]", "turns this cell into the Python code of an answer; it is not run"),
    "reset": ("[NAME]", "forgets all turns of a conversation"),
    "forget": ("[N]", "forgets turn N, or the last one"),
    "restore": ("[N or FILE]", "sends turn N again, or the turns of the saved notebook or of FILE"),
    "record": ("[FILE]", "writes each exchange into FILE; without FILE it ends"),
    "replay": ("[FILE]", "lets a recording answer, or this notebook's saved turns"),
    "offline": ("", "lets the demo answer, on purpose"),
    "live": ("", "goes back to the real server"),
}
COMMANDS = tuple(_COMMANDS)
"""The words that `%minimax` knows; `commands` has a method for each."""


@cache
def _parser() -> _Parser:
    parser = _Parser(prog="%%minimax", add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    add = parser.add_argument
    add("-m", "--model", metavar="NAME", help="the model to ask")
    add("-t", "--temperature", metavar="T", type=_number, help="randomness, in (0, 1]")
    add("--max-tokens", metavar="N", type=_count, help="the longest answer, thinking included")
    add(
        "--top-p", metavar="P", type=_number, help="how much of the likely words to keep, in (0, 1]"
    )
    add("-s", "--system", metavar="TEXT", help="the role and the manner of the model")
    add("--thinking", metavar="WORD", type=_thinking, help="auto, adaptive or disabled")
    add("--hide-thinking", action="store_true", default=None, help="do not show the thinking")
    add("--stream", action="store_true", default=None, help="show the answer as it comes (default)")
    add("--no-stream", dest="stream", action="store_false", default=None,
        help="ask for the answer in one piece")  # fmt: skip
    add("-c", "--conversation", metavar="NAME", help="which conversation the turn belongs to")
    add("--alone", action="store_true", help="send no earlier turn, and remember nothing")
    add("-o", "--to", metavar="NAME", help="put the reply into this variable")
    add("--literal", action="store_true", help="send {{name}} as it stands")
    add("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    add("-h", "--help", action="store_true", help="show this help")
    add("words", nargs="*", help=argparse.SUPPRESS)
    return parser


@cache
def _replay_parser() -> _Parser:
    parser = _Parser(
        prog="%minimax replay", add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS
    )
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?",
        help="a recording or a notebook; without it this notebook's saved turns")  # fmt: skip
    add("--speed", metavar="N", type=_speed, default=1.0, help="N times as fast, or max")
    add("--fill", action="store_true", help="ask a model for what is missing, and record it")
    add("--loose", action="store_true",
        help="take the answer to the same prompt and options, whatever came before")  # fmt: skip
    add("-h", "--help", action="store_true", help="show this help")
    return parser


@cache
def _request_parser() -> _Parser:
    parser = _Parser(
        prog="%minimax request", add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS
    )
    add = parser.add_argument
    add("number", metavar="N", nargs="?", help="of a turn; without it the last request")
    add("--events", action="store_true", help="with what came back, event by event")
    add("-h", "--help", action="store_true", help="show this help")
    return parser


def has_own_options(line: str) -> bool:
    """Whether the line begins with a command that reads its options itself."""
    return line.split(maxsplit=1)[:1] in (["replay"], ["request"])


def words_of(line: str) -> Sequence[str]:
    """The words of a command's line, its options among them."""
    return [_with_hyphens(token) for token in _split(line)]


def parse_replay(words: Sequence[str]) -> ReplayArguments:
    """Read what stands behind `%minimax replay`. Raises UsageError."""
    return ReplayArguments(**vars(_replay_parser().parse_intermixed_args(list(words))))


def parse_request(words: Sequence[str]) -> RequestArguments:
    """Read what stands behind `%minimax request`. Raises UsageError."""
    return RequestArguments(**vars(_request_parser().parse_intermixed_args(list(words))))


def parse(line: str) -> Arguments:
    """Read a magic line. Raises UsageError with the right line where it can be guessed."""
    given = _parser().parse_intermixed_args(list(words_of(line)))
    arguments = Arguments(**{**vars(given), "words": tuple(given.words)})
    if arguments.to is not None and not _is_name(arguments.to):
        raise UsageError(f"-o needs a variable's name, got {arguments.to!r}")
    return arguments


def check_no_words(arguments: Arguments, line: str) -> None:
    """For `%%minimax`: all that is left on the line is a slip."""
    if arguments.words:
        raise slips.stray_words(arguments.words, line, COMMANDS)


def replay_help() -> str:
    """What `%minimax replay -h` shows."""
    return f"%minimax replay [FILE] [options]\n{_table(_rows(_replay_parser()))}"


def request_help() -> str:
    """What `%minimax request -h` shows."""
    return f"%minimax request [N] [options]\n{_table(_rows(_request_parser()))}"


def command_help(name: str) -> str:
    """What `%minimax NAME -h` shows of a command."""
    operands, meaning = _COMMANDS[name]
    return f"%minimax {f'{name} {operands}'.rstrip()}\n  {meaning}"


def commands_help() -> str:
    """All commands, with a line for each."""
    return _table([(f"{name} {what}".rstrip(), text) for name, (what, text) in _COMMANDS.items()])


def help_text() -> str:
    """The options as `%%minimax -h` shows them."""
    return _table(option_rows())


def _table(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(names) for names, _ in rows)
    return "\n".join(f"  {names:<{width}}  {text}" for names, text in rows)


def options() -> list[str]:
    """All long options of `%%minimax`, for completion."""
    return _long(_parser())


def replay_options() -> list[str]:
    """The same for `%minimax replay`."""
    return _long(_replay_parser())


def _long(parser: argparse.ArgumentParser) -> list[str]:
    return [name for each in parser._actions for name in each.option_strings if len(name) > 2]


def option_rows() -> list[tuple[str, str]]:
    """Names and meaning of each option, for the help and the README's table."""
    return _rows(_parser())


def _rows(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    return [
        (" ".join(filter(None, (", ".join(a.option_strings), a.metavar))), a.help or "")  # type: ignore[arg-type]
        for a in parser._actions
        if a.help != argparse.SUPPRESS
    ]


def _split(line: str) -> Sequence[str]:
    """The words of a line. A backslash is a letter: Windows paths survive."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise slips.unclosed_quote(line) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number such as 0.3, got {text!r}") from None


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:  # also what is no number at all
        raise argparse.ArgumentTypeError(f"must be a number above 0, or max, got {text!r}")
    return speed


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def _thinking(text: str) -> str:
    if text not in get_args(Thinking):
        raise argparse.ArgumentTypeError(f"must be auto, adaptive or disabled, got {text!r}")
    return text


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _with_hyphens(token: str) -> str:
    """`--max_tokens=5` to `--max-tokens=5`."""
    if not token.startswith("--"):
        return token
    name, equals, value = token.partition("=")
    return name.replace("_", "-") + equals + value
