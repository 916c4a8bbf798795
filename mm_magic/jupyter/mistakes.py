"""Likely mistakes in a cell, each with the right line where it can be guessed."""

import re
from collections.abc import Sequence

from mm_magic.errors import UsageError
from mm_magic.prompt.error_text import KEY
from mm_magic.session.options import COUNT, UNSET, Row
from mm_magic.wording import closest, shortened

_TYPOGRAPHIC = re.compile("[“”„‟‘’‚‐-―−]")
# The first line of a cell, also in other letters and with the wide sign of Asian keyboards.
_MAGIC = re.compile(
    r"\s*(?P<signs>[%％]+\s*)(?P<name>minimax)\b(?!\?)[^\S\n]*(?P<line>[^\n]*)", re.IGNORECASE
)
LINE_MAGIC = re.compile(r"\s*%minimax\b(?!\?)[^\S\n]*(?P<line>[^\n]*)(?P<below>.*)", re.DOTALL)
"""A cell that begins with `%minimax`."""
_BELOW = "The prompt goes on the lines below `%%minimax`."
_MOST_WORDS = 3
"""Of a line with a command and its own words, as `restore 2 --version 1` without its option."""
_NEAR = 0.7
"""How like a command's name a mistyped one is: modle is to models 0.73, hello to help 0.67."""
_COMMAND = "A command has one percent sign and a cell of its own: `%minimax {}`"
# A key by its looks, or by what stands before it. Other scripts than Latin have words as long, a
# commit has a hash, and a program names of many words.
_KEY = re.compile(
    rf"""
    {KEY}
    | (?<!\S)(?!([0-9a-f]{{40}}|[0-9a-f]{{64}})(?!\S))
      (?=[\w-]*[A-Za-z0-9]{{20}} | (?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]*\d)[\w-]{{40,}}(?!\S)
    | \A\s*[0-9a-f]{{40,}}\s*\Z
    | \A\s*\w*key\W?\s*[:=]\W*[\w.-]{{12,}}
    """,
    re.ASCII | re.VERBOSE,
)


def holds_key(text: str) -> bool:
    """Whether something in it looks like a key."""
    return _KEY.search(text) is not None


def check_one_cell(body: str) -> None:
    """A second `%%minimax` inside the prompt: IPython reads only the first line."""
    if re.search(r"^%%minimax\b", body, re.MULTILINE):
        raise UsageError(
            "there is a second %%minimax in this cell",
            next_steps=(
                "One cell is one turn: put the second prompt into a cell of its own.",
                "If the line belongs to the prompt, add --literal to the first line.",
            ),
        )


def slip(text: str, python: str) -> UsageError:
    """The error of a cell that has the magic, and not as it must stand.

    `python` is what Python has against the cell, or against its lines below `%minimax`.
    """
    if holds_key(text):
        return key_in_cell()
    return misspelt(text) or misplaced(text) or _below_one_percent_sign(text, python)


def misspelt(text: str) -> UsageError | None:
    """The error of `%%MiniMax`, `%% minimax` and `％％minimax` in the first line."""
    found = _MAGIC.match(text)
    if found is None or f"{found['signs']}{found['name']}" in ("%minimax", "%%minimax"):
        return None
    signs = "%%" if text[found.end() :].strip() else "%"
    right = f"{signs}minimax {found['line']}".rstrip()
    return UsageError(
        f"the magic must be spelled exactly {signs}minimax",
        next_steps=(f"Write: `{right}`",),
    )


def misplaced(text: str) -> UsageError | None:
    """The error of `%%minimax` below other lines, or behind a space: IPython would not find it."""
    if re.match(r"\s*%%\w", text) and not re.match(r"\s*[ \t]%%minimax\b", text):
        return None
    if not re.search(r"^[ \t]*%%minimax\b", text, re.MULTILINE):
        return None
    return UsageError(
        "%%minimax must begin the cell",
        next_steps=("Move the lines before it into another cell, and delete any space before it.",),
    )


def _below_one_percent_sign(text: str, python: str) -> UsageError:
    """The error of a prompt on the lines below `%minimax`."""
    found = LINE_MAGIC.match(text)
    line, below = (found["line"], found["below"]) if found else ("", "")
    options, prompt = (line, below) if line.startswith("-") else ("", f"{line} {below}")
    return UsageError(
        "the lines below `%minimax` can't be run as Python",
        next_steps=(
            "To ask, use two percent signs:\n"
            f"  {f'%%minimax {options}'.rstrip()}\n  {shortened(prompt, 60)}",
            f"If the lines are Python, fix this: {python}.",
        ),
    )


def stray_words(
    words: Sequence[str], line: str, commands: Sequence[str], right: str | None = None
) -> UsageError:
    """The error of words behind `%%minimax` that belong to no option.

    `right` are the options that they mean, if they mean some.
    """
    if holds_key(line):
        return key_in_cell()
    first = words[0]
    if first.startswith("#"):
        # Not the "#" of -s "C# expert": the one that begins a word.
        options = re.split(rf"(?:^|\s){re.escape(first)}", line, maxsplit=1)[0]
        right = f"%%minimax {options}".rstrip()
        return UsageError("a comment can't follow %%minimax", next_steps=(f"Write: `{right}`",))
    if right is not None:
        return option_without_hyphen(" ".join(words), f"{_before(first, line)} {right}".strip())
    return UsageError(
        f"{' '.join(words)!r} is not an option", next_steps=_meant(line, first, commands)
    )


def _meant(line: str, first: str, commands: Sequence[str]) -> tuple[str, ...]:
    if _TYPOGRAPHIC.search(line):  # copied from a slide or a text
        return ('Type the quotes and hyphens again: use " and -, not “ ” and –.', _BELOW)
    if first in commands:
        return (_COMMAND.format(first),)
    if system := re.search(r"(-s|--system)[ =]+([^\s\"'-][^\"']*?)(?=\s+--?[a-z]|$)", line):
        return (
            f'Put text with spaces in double quotes: `{system[1]} "{system[2].strip()}"`',
            _BELOW,
        )
    return (_BELOW,)


def option_without_hyphen(words: str, right: str) -> UsageError:
    """The error of `%%minimax temperature 0.3`."""
    return UsageError(
        f"{words!r} is not an option", next_steps=(f"Write: `%%minimax {right}`", _BELOW)
    )


def options_behind(options: str, prompt: str) -> UsageError:
    """The error of `%%minimax Why? -t 0.3`."""
    return UsageError(
        "options go before the prompt",
        next_steps=(
            f"Write: `%%minimax {options} {prompt}`",
            "If they belong to the prompt, put it on the lines below `%%minimax`.",
        ),
    )


def command_in_cell(words: str, right: str) -> UsageError:
    """The error of `%%minimax history`: a command, though the cell has no other line."""
    return UsageError(
        f"{words!r} looks like a command",
        next_steps=(
            _COMMAND.format(right),
            "If it is a prompt, put it on the lines below `%%minimax`.",
        ),
    )


def no_command(
    words: Sequence[str], line: str, commands: Sequence[str], right: str | None = None
) -> UsageError:
    """The error of `%minimax …` with something that is no command: mostly a question.

    `right` are the options that the words mean, if they mean some.
    """
    if holds_key(line):
        return key_in_cell()
    options = _before(words[0], line)
    close = closest(words[0].lower(), commands)
    guesses = [f"Did you mean `%minimax {close}`?"] if close else []
    to_ask = [
        "To ask, use two percent signs, and put the prompt on the lines below:\n"
        f"  {f'%%minimax {options}'.rstrip()}\n  {' '.join(words)}"
    ]
    steps = guesses + to_ask if _is_slip(words, close) else to_ask + guesses
    if right is not None:
        steps = [f"To set it for all cells: `%minimax {f'{options} {right}'.strip()}`", *to_ask]
    return UsageError(
        f"{' '.join(words)!r} is not a command of %minimax",
        next_steps=(*steps, f"Commands: {', '.join(commands)}."),
    )


def _is_slip(words: Sequence[str], command: str | None) -> bool:
    """Whether `words` are more like a mistyped command than like a prompt.

    "Hello" is a little like help, and "How are you?" like show.
    """
    if command is None or len(words) > _MOST_WORDS or words[-1].endswith("?"):
        return False
    word = words[0].lower()
    return command.startswith(word) or closest(word, [command], cutoff=_NEAR) is not None


def _before(word: str, line: str) -> str:
    """The options that stand before the first word which is none."""
    return line[: line.index(word)].strip() if word in line else ""


def key_in_cell() -> UsageError:
    """The error of a key that was typed into a cell; it is not repeated."""
    return UsageError(
        "a key does not belong in a cell: it would be saved with the notebook",
        next_steps=(
            "Run `%minimax key` by itself and paste the key into the masked field.",
            "Then delete it from this cell, and save the notebook.",
        ),
    )


def unclosed_quote(line: str) -> UsageError:
    """The error of a quote without its end: `-s You're brief`, `-s 'Be brief`."""
    if holds_key(line):
        return key_in_cell()
    found = re.search(r"(?:-s|--system)[ =]+([^\"]*'[^\"]*?)(\s+--?[a-z].*)?$", line)
    step = "Put text with an apostrophe in double quotes."
    if line.count('"') % 2:
        step = 'Put the closing " where the text ends.'
    if found is not None:
        text = found[1].removeprefix("'")
        before, after = line[: found.start(1)], found[2] or ""
        step = f'Write: `%%minimax {before}"{text}"{after}`'
    return UsageError("a quote is opened but not closed", next_steps=(step,))


def bad_option(message: str, options: Sequence[str], help_line: str) -> UsageError:
    """argparse's complaint in our words."""
    help_step = f"`{help_line}` lists the options."
    if unknown := re.match(r"unrecognized arguments: (-\S*)", message):
        name = unknown[1].split("=")[0]
        close = _begun(name.lower(), options) or closest(name.lower(), options, cutoff=0.5)
        guess = (f"Did you mean {close}?",) if close else ()
        return UsageError(f"there is no option {name}", next_steps=(*guess, help_step))
    words = re.sub(r"^argument (?:\S*/)?(\S+): ", r"\1 ", message)
    words = words.replace("expected one argument", "needs a value")
    words = words.replace("ignored explicit argument", "takes no value, got")
    return UsageError(words, next_steps=(help_step,))


def nearest_value(row: Row, word: str) -> str:
    """The line for what may be meant by a value that an option can't have; "" if none is near."""
    if row.words:
        near = closest(word.lower(), [*row.words, *[UNSET] * row.may_be_unset])
        return f"Did you mean `{row.on_line(near)}`?" if near else ""
    if row.scale is None:
        return ""
    try:
        value = row.kind.read(word)
    except ValueError:  # no number at all
        return ""
    if value > row.scale.high:
        return f"The highest value: `{row.on_line(row.scale.high)}`"
    if value >= row.scale.low:  # so is no nan
        return ""
    least = "smallest value" if row.kind is COUNT else "smallest useful value"
    return f"The {least}: `{row.on_line(row.scale.low)}`"


def long_with_one_dash(word: str, options: Sequence[str], help_line: str) -> UsageError | None:
    """The error of `-model`, which would be read as `-m odel`; None for any other word.

    A value may follow its option at once, as in `-t0.5` and `-oname`.
    """
    name = word.partition("=")[0]
    if not re.fullmatch(r"-[a-z][a-z_-]{3,}", name):
        return None
    meant = f"-{name.replace('_', '-')}"
    close = _begun(meant, options) or closest(meant, options, cutoff=0.85)
    if close is None:
        return None
    steps = (f"Did you mean {close}?", f"`{help_line}` lists the options.")
    return UsageError(f"there is no option {name}", next_steps=steps)


def _begun(name: str, options: Sequence[str]) -> str | None:
    """The only option that begins so."""
    begun = [each for each in options if each.startswith(name)]
    return begun[0] if len(begun) == 1 and len(name) > 3 else None
