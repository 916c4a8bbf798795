"""Text for people: safe for a terminal, in lines that fit it, shortened, counted, and quoted for a
magic's line."""

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, takewhile

_PICTURES: dict[int, int | str | None] = {c: 0x2400 + c for c in range(32) if chr(c) not in "\t\n"}
_PICTURES[0x7F] = 0x2421
_REPLACED = [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_CODE = re.compile(r"`([^`]*)`")
_TOLD = 200  # characters of a value
_NEWLINES = (0x2028, 0x2029)
_TAG_CHARACTERS = range(0xE0000, 0xE0080)
_PLAIN: dict[int, int | str | None] = (
    _PICTURES
    | dict.fromkeys(_REPLACED, "\ufffd")
    | dict.fromkeys(_NEWLINES, "\n")
    | dict.fromkeys(_TAG_CHARACTERS)
)


def plain(text: str) -> str:
    """`text` without control characters other than TAB and LF.

    A control character is shown as its picture (ESC as "␛"), so that the reader sees that it was
    sent; controls that reorder text become U+FFFD; invisible tag characters go.
    """
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\r\n", "\n").translate(_PLAIN)


def shortened(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, with an ellipsis where it is cut."""
    beginning = text[: limit * 4]  # a long text is not read to its end
    line = " ".join(beginning.split())
    is_whole = len(line) <= limit and len(beginning) == len(text)
    return line if is_whole else f"{line[: limit - 1].rstrip()}…"


def fenced(text: str, language: str = "") -> str:
    """`text` as a block of code in Markdown that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def without_code(text: str) -> str:
    """“name” for `name`: in sentences below an answer, only a magic's line is drawn as code."""
    return _CODE.sub(r"“\1”", text)


def told(value: str) -> str:
    """The value of an option as it is told: a file's text is shown by its beginning."""
    return value if len(value) <= _TOLD else shortened(value, _TOLD)


def closest(word: str, among: Sequence[str], cutoff: float = 0.6) -> str | None:
    """The word that is most like `word`; None if none is at least `cutoff` like it."""
    from difflib import get_close_matches  # 1 ms that only a slip costs

    return next(iter(get_close_matches(word, among, n=1, cutoff=cutoff)), None)


def model_name(name: str) -> str:
    """A model's name; of a server that names a model by its file, such as llama.cpp, the file's."""
    is_path = name.startswith("/") or name[1:3] in (":/", ":\\")
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] if is_path else name


def counted(number: int, noun: str) -> str:
    """A number and its noun, as "1 turn", "3 turns" or "1,234 turns"."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def share(part: int, total: int, noun: str) -> str:
    """So many of at least two, as "2 of 3 answers", "both answers" or "all 3 answers"."""
    if part < total:
        return f"{part:,} of {counted(total, noun)}"
    return f"both {noun}s" if total == 2 else f"all {counted(total, noun)}"


def listed(numbers: Iterable[int]) -> str:
    """Numbers in order, runs of three or more as ranges: "1 to 4 and 7"; "" if none."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    *firsts, last = [part for run in runs for part in _parts(run)] or [""]
    return " and ".join(filter(None, [", ".join(firsts), last]))


def _parts(run: Sequence[int]) -> list[str]:
    return [f"{run[0]} to {run[-1]}"] if len(run) > 2 else list(map(str, run))


def capitalised(text: str) -> str:
    """The text as a sentence begins; all but its first character stays as it is."""
    return f"{text[:1].upper()}{text[1:]}"


def was(number: int) -> str:
    """The verb of so many things: "was" or "were"."""
    return "was" if number == 1 else "were"


def turns_listed(numbers: Iterable[int]) -> str:
    """Turns by their numbers: "turn 3" or "turns 1 to 4 and 7"."""
    found = set(numbers)
    return f"{'turn' if len(found) == 1 else 'turns'} {listed(found)}"


_SAFE_WORD = re.compile(r"[A-Za-z0-9_.,/:@+-]+")


def quoted(text: str) -> str | None:
    """`text` as one word of a magic's line, in quotes where it needs them.

    None if no word is read as `text`: it begins with a hyphen, as an option does, or holds a line
    break or a character that can't be seen.
    """
    return None if text.startswith("-") else _in_quotes(text)


def option(name: str, long: str, text: str) -> str | None:
    """An option with `text` as its value, as `-c "my talk"` or `--conversation=-x`.

    None if no line is read so.
    """
    value = _in_quotes(text)
    if value is None or text == "--":  # argparse of Python 3.11 drops a "--" wherever it stands
        return None
    return f"{long}={value}" if text.startswith("-") else f"{name} {value}"


def not_a_file(text: str) -> str:
    """`text` for an option that takes `@FILE`, too: an `@` at its beginning is written twice."""
    return f"@{text}" if text.startswith("@") else text


def _in_quotes(text: str) -> str | None:
    if "\n" in text or plain(text) != text:
        return None
    if _SAFE_WORD.fullmatch(text):
        return text
    # A magic's line knows no escapes, but quotes may alternate within a word.
    parts = []
    while text:
        part = max(text.partition("'")[0], text.partition('"')[0], key=len)
        parts.append(f"'{part}'" if '"' in part else f'"{part}"')
        text = text[len(part) :]
    return "".join(parts) or '""'


def json_text(value: object) -> str:
    """Exact JSON that is fit for a terminal: what would act there is written as an escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(char if plain(char) == char else json.dumps(char)[1:-1] for char in text)


# -- lines of a terminal ----------------------------------------------------------------------

_OPENING = "（「『【《〈〔［｛“‘([{"
_CLOSING = "、。，．！？：；）」』】》〉〕］｝”’…ー々"
_WIDE = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003fffd"
# What is not broken: a line break, a gap, a word, a character of a script without gaps. A set such
# as _WIDE stands in it once, since each takes 1 ms to compile.
_PIECE = re.compile(
    rf"\n|[^\S\n]+|[{_OPENING}]*(?:[^\s{_WIDE}]+[{_CLOSING}]*(?: ·)?|\S[{_CLOSING}]*)"
)
_BEGINNING = re.compile(r"[ \t]*(?:>[ \t]?)*[ \t]*(?:(?:[-*+→]|\d{1,9}[.)])[ \t]+)?")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})")
_LIST_ITEM = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]")
_NAME = re.compile(r" +\S.*? {2,}(?=\S)")
_LONG_WORD = 400  # characters: it fits no window, so it is shown while it grows
_ROOM = 20  # columns that a line must have behind its indent
_QUOTED = re.compile(r"`[^`\n]+`")
_GLUE = "\0"  # stands for a space between words that stay together
PAGE_WIDTH = 80  # columns of what is printed where there is no window


def columns(text: str) -> int:
    """How many columns of a terminal a text without line breaks takes: two for a wide character."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns of a terminal, with an ellipsis where it is cut."""
    if columns(text) <= width:
        return text
    ends = accumulate(map(_columns_of, text))
    kept = sum(1 for _ in takewhile(lambda end: end < width, ends))
    return f"{text[:kept].rstrip()}…"


class Wrapping:
    """Breaks a Markdown text that grows at its words, so that its lines fit a window.

    Code and tables stay as they are. What a line of a list or a quote continues is indented.
    """

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._held = ""  # a gap and the word behind it, which may go on
        self._line = ""  # what came of the text's own line
        self._column = 0
        self._fence = ""
        self._is_in_list = False

    def push(self, text: str) -> str:
        """Take more of the text; return what can be shown of it."""
        pieces = _PIECE.findall(self._held + text)
        number = len(pieces)
        if number and pieces[-1] != "\n":
            is_gap_before = number > 1 and pieces[-2].isspace() and pieces[-2] != "\n"
            number -= 1 + is_gap_before
        self._held = "".join(pieces[number:])
        shown = self._laid_out(pieces[:number])
        return shown if len(self._held) < _LONG_WORD else shown + self.flush()

    def flush(self) -> str:
        """Return what was held back, should nothing more come for now."""
        held, self._held = self._held, ""
        return self._laid_out(_PIECE.findall(held))

    def _laid_out(self, pieces: Iterable[str]) -> str:
        shown, gap = [], ""
        for piece in pieces:
            if piece == "\n":
                self._end_line()
                shown.append("\n")
                gap = ""
            elif piece.isspace():
                gap = piece
            else:
                shown.append(self._placed(gap, piece))
                gap = ""
        return "".join(shown)

    def _placed(self, gap: str, piece: str) -> str:
        """A word behind its gap, or at the beginning of a new line."""
        line, self._line = self._line, f"{self._line}{gap}{piece}"[:_TOLD]
        self._column += columns(gap.expandtabs(8) + piece)
        if self._column <= self._width() or not line or self._stays(line):
            return gap + piece
        beginning = self._beginning(line)
        self._column = columns(beginning + piece)
        return f"\n{beginning}{piece}"

    def _beginning(self, line: str) -> str:
        """What a further line of this one begins with."""
        if name := _NAME.match(line):
            beginning = " " * columns(name[0])
        else:
            found = _BEGINNING.match(line)
            beginning = re.sub(r"[^>\s]", " ", found[0] if found else "").expandtabs(4)
        return beginning if columns(beginning) + _ROOM <= self._width() else ""

    def _stays(self, line: str) -> bool:
        """Whether the line is code or a row of a table, which is never broken."""
        is_indented = line.startswith(("    ", "\t")) and not self._is_in_list
        return bool(self._fence or is_indented or line.lstrip(" \t>").startswith("|"))

    def _end_line(self) -> None:
        line, self._line, self._column = self._line, "", 0
        if fence := _FENCE.match(line):
            if not self._fence:
                self._fence = fence[1]
            elif fence[1].startswith(self._fence) and line.strip(" \t>") == fence[1]:
                self._fence = ""
        elif _LIST_ITEM.match(line):
            self._is_in_list = True
        elif line[:1].strip():
            self._is_in_list = False


def wrapped(text: str, width: int) -> str:
    """A Markdown text whose lines fit `width` columns of a terminal: see `Wrapping`."""
    wrapping = Wrapping(lambda: width)
    return wrapping.push(text) + wrapping.flush()


def in_window(text: str) -> str:
    """`text`, a model's perhaps, as it is printed: in a terminal its lines fit the window."""
    return wrapped(text, window_width()) if sys.stdout.isatty() else text


def in_lines(text: str) -> str:
    """Our own `text` as it is printed: a notebook's page would break it within words.

    A line to type, which is quoted with backticks, stays on one line where there is room.
    """
    width = window_width() if sys.stdout.isatty() else PAGE_WIDTH

    def joined(quoted: re.Match[str]) -> str:
        return quoted[0].replace(" ", _GLUE) if columns(quoted[0]) + _ROOM <= width else quoted[0]

    return wrapped(_QUOTED.sub(joined, text), width).replace(_GLUE, " ")


def window_width() -> int:
    """The columns of the terminal's window."""
    return shutil.get_terminal_size().columns
