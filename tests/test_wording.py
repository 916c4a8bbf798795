"""Text for people: shortened, counted, listed, in lines that fit a terminal."""

import re
from functools import partial

import pytest
from support.timing import calls_of

from mm_magic.wording import (
    Wrapping,
    columns,
    counted,
    in_lines,
    listed,
    model_name,
    share,
    shortened,
    turns_listed,
    wrapped,
)


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("", 5, ""),
        ("a b", 3, "a b"),
        ("a\n\t b", 3, "a b"),
        ("abcd", 3, "ab…"),
        (" " * 1_000, 3, "…"),
        ("a" + " " * 1_000, 3, "a…"),
    ],
)
def test_shortened_fits_on_one_line(text: str, limit: int, shown: str) -> None:
    """A text is one line of at most so many characters, with an ellipsis where it is cut."""
    assert shortened(text, limit) == shown


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 turns"), (1, "1 turn"), (3, "3 turns"), (1_234, "1,234 turns")],
)
def test_counted_agrees_with_its_noun(number: int, said: str) -> None:
    """The noun stands in the plural except behind 1, and thousands have a comma."""
    assert counted(number, "turn") == said


@pytest.mark.parametrize(
    ("part", "total", "said"),
    [
        (1, 2, "1 of 2 answers"),
        (2, 2, "both answers"),
        (2, 3, "2 of 3 answers"),
        (3, 3, "all 3 answers"),
        (1_000, 1_001, "1,000 of 1,001 answers"),
    ],
)
def test_share_says_all_in_words(part: int, total: int, said: str) -> None:
    """A share is said as a number of its total, and as a word where it is all of them."""
    assert share(part, total, "answer") == said


@pytest.mark.parametrize(
    ("numbers", "said", "turns"),
    [
        ([], "", "turns "),
        ([3], "3", "turn 3"),
        ([3, 3], "3", "turn 3"),
        ([7, 2, 1, 3, 4], "1 to 4 and 7", "turns 1 to 4 and 7"),
        ([1, 3, 4], "1, 3 and 4", "turns 1, 3 and 4"),
        ([1, 2], "1 and 2", "turns 1 and 2"),
    ],
)
def test_listed_joins_runs(numbers: list[int], said: str, turns: str) -> None:
    """Numbers in any order are listed in order, and three neighbours as a range."""
    assert listed(numbers) == said
    assert turns_listed(numbers) == turns


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("MiniMax-M2.7", "MiniMax-M2.7"),
        ("minimax/minimax-m3", "minimax/minimax-m3"),
        ("/home/ada/models/SmolLM2.gguf", "SmolLM2.gguf"),
        ("C:\\Users\\ada\\SmolLM2.gguf", "SmolLM2.gguf"),
        ("D:/models/qwen/", "qwen"),
        ("", ""),
    ],
)
def test_a_path_is_no_name(name: str, shown: str) -> None:
    """A shared notebook shows the file of a model, and not where it lies on somebody's machine."""
    assert model_name(name) == shown


# -- lines of a terminal


ANSWER = """\
# A heading that is as long as a sentence, which happens

Some words, and more of them: https://example.org/an/address/that/is/longer/than/the/window/is here.
- an item with its words, which are many
  and a second line of it that goes on and on
    1. an item within it, which is longer than the window
> > a quote of a quote, of which there is much to be said
天空之所以呈现蓝色，是因为太阳光中的短波光（蓝光）比长波光（red light）更容易散射，「瑞利散射」。

    indented = code(that, stays, as_it=is, however_long=it_is)

```python
fenced = code(that, stays, as_it=is, however_long=it_is)
~~~
```
| a table | of cells | that stays as it is | however long |
| --- | --- | --- | --- |
and words again, behind all this, as many as it takes to fill a line
"""
WORDS = re.compile(r"[^\s>\u3000-\uffff]+")
STAYS = re.compile(r"    indented|fenced|\||https")


@pytest.mark.parametrize("width", [24, 40, 60, 100])
def test_lines_fit_the_window(width: int) -> None:
    """Words are not broken, and no line is too long but for code, tables and long words."""
    made = wrapped(ANSWER, width)

    assert [
        line for line in made.split("\n") if columns(line) > width and not STAYS.match(line)
    ] == []
    assert re.sub(r"[\s>]", "", made) == re.sub(r"[\s>]", "", ANSWER)
    kept = [line for line in ANSWER.split("\n") if STAYS.match(line)]
    assert [line for line in made.split("\n") if STAYS.match(line)][-len(kept) :] == kept
    assert set(WORDS.findall(made)) == set(WORDS.findall(ANSWER))


def test_text_that_grows() -> None:
    """Wherever the text is cut, the lines are those of the whole text."""
    whole = wrapped(ANSWER, 40)
    for size in (1, 2, 3, 7, 50):
        wrapping = Wrapping(lambda: 40)
        parts = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
        assert "".join(map(wrapping.push, parts)) + wrapping.flush() == whole


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three four\n\nfive", ["one two three", "four", "", "five"]),
        ("天空之所以呈现，蓝色。", ["天空之所以呈", "现，蓝色。"]),
        ("天空之所以呈现蓝，色", ["天空之所以呈现", "蓝，色"]),
        ("天空之所以呈「蓝」", ["天空之所以呈", "「蓝」"]),
        ("天空之所以呈“蓝”", ["天空之所以呈", "“蓝”"]),
        ("天空之所以呈现(蓝)", ["天空之所以呈现", "(蓝)"]),
        ("天空之所以 {“蓝”}", ["天空之所以", "{“蓝”}"]),
        ("한국어는 낱말로 나눕니다", ["한국어는 낱말로", "나눕니다"]),
        ("e\u0301" * 15 + " e", ["e\u0301" * 15, "e"]),
        ("🙂🙂🙂 🙂🙂🙂 🙂🙂🙂", ["🙂🙂🙂 🙂🙂🙂", "🙂🙂🙂"]),
        ("one · two · three · four", ["one · two ·", "three · four"]),
    ],
)
def test_where_lines_break(text: str, lines: list[str]) -> None:
    """At gaps, and between characters of scripts without gaps, but not before punctuation."""
    assert wrapped(text, 15).split("\n") == lines


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        ("- ", "  "),
        ("12. ", "    "),
        ("> ", "> "),
        ("> - ", ">   "),
        ("  * ", "    "),
        ("→ ", "  "),
    ],
)
def test_lists_and_quotes(begins: str, goes_on: str) -> None:
    """What goes on is indented as the item or the quote is, but where there is no room."""
    assert wrapped(f"{begins}one two three four five", 24).split("\n") == [
        f"{begins}one two three four",
        f"{goes_on}five",
    ]
    assert wrapped(f"{begins}one two three", 12).split("\n")[-1] == "three"


def test_columns_of_help() -> None:
    """What is said of a name goes on below its beginning, not below the name."""
    made = wrapped("  --top-p P  keep only the most likely words, up to this total", 40)
    assert made.split("\n") == [
        "  --top-p P  keep only the most likely",
        "             words, up to this total",
    ]


def test_long_word_is_quick() -> None:
    """A word without an end is shown while it grows, and is not read anew with each delta."""
    wrapping = Wrapping(lambda: 80)
    shown = sum(len(wrapping.push("x" * 9)) for _ in range(1_000))
    assert 8_500 <= shown <= 9_100


def test_long_line_is_quick() -> None:
    """The work grows as the text does: a line ten times as long takes no hundred times as many
    steps."""
    few, many = (calls_of(partial(wrapped, "word " * number, 80)) for number in (300, 3_000))
    assert many < 12 * few


@pytest.mark.parametrize("before", range(60, 80, 3))
def test_printed_sentences_break_between_words_of_their_own(before: int) -> None:
    """Where there is no window, lines have 80 columns, and no line to type is broken."""
    quoted = ("`%minimax record`", "`%minimax live`")
    text = f"{'x' * before} is recorded; {quoted[0]} alone stops it, and {quoted[1]} does, too."
    lines = in_lines(text).split("\n")

    assert max(map(columns, lines)) <= 80
    assert " ".join(lines) == text
    assert all(any(each in line for line in lines) for each in quoted)


def test_long_lines_to_type_are_broken_all_the_same() -> None:
    """What is quoted and longer than a line is broken between its words."""
    lines = in_lines(f"Now: `{'%minimax words ' * 9}`").split("\n")
    assert len(lines) == 2
    assert max(map(columns, lines)) <= 80
