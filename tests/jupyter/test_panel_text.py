"""The words of the settings panel: above all that its line says exactly what its widgets do."""

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shells import Shell, fresh_shell

from mm_magic.jupyter.arguments import parse, words_of
from mm_magic.jupyter.panel.text import Reach, reach, reproducing, still, still_text
from mm_magic.session.api import session
from mm_magic.session.options import Options
from mm_magic.wording import not_a_file, option, plain, quoted

ROOT = Path(__file__).parents[2]
CONFIG = "%config MiniMax."
WORDS = st.text() | st.text(alphabet="ab -\"'\\{}$%=#\n\t\u2028\x1b") | st.sampled_from(
    ["--", "-x", "@", "@@x", "@role.md", "--to=x", "a_b --max_tokens", "C:\\new", "\ud800", "\r",
     '"', "it's \"so\""]
)  # fmt: skip
NAMES = WORDS.filter(lambda text: bool(text.strip()))
FRACTIONS = st.floats(0, 1, exclude_min=True)
OPTIONS = st.builds(
    Options,
    model=NAMES,
    temperature=st.none() | FRACTIONS,
    max_tokens=st.none() | st.integers(1, 10**9),
    top_p=st.none() | FRACTIONS,
    system=WORDS,
    thinking=st.sampled_from(["auto", "adaptive", "disabled"]),
    hide_thinking=st.booleans(),
    stream=st.booleans(),
    conversation=NAMES,
)


def test_the_line_that_sets_all_back() -> None:
    """It unsets each option that the panel's boxes set."""
    text = (ROOT / "docs" / "panel.md").read_text("utf-8")
    (line,) = set(re.findall("`(%minimax -t default [^`]*)`", text))
    with fresh_shell() as shell:
        before = session().options.in_words()
        shell.run(
            "%minimax -t 0.1 --top-p 0.2 --max-tokens 3 --thinking disabled --effort low -s x"
        )
        assert session().options.in_words() != before
        shell.run(line)
        assert session().options.in_words() == before


def read_back(lines: Sequence[str], defaults: Options) -> Options:
    """The options of a cell that begins with the last line, after the ones before it."""
    for line in lines[:-1]:
        name, _, value = line.removeprefix(CONFIG).partition(" = ")
        defaults = replace(defaults, **{name: ast.literal_eval(value)})
    return parse(lines[-1].removeprefix("%%minimax ")).options(defaults)


@given(options=OPTIONS, defaults=OPTIONS)
def test_line_says_it_all(options: Options, defaults: Options) -> None:
    """The line asks with exactly these settings, whatever the settings are by then."""
    defaults = replace(defaults, hide_thinking=False, stream=True)
    assert replace(read_back(reproducing(options), defaults), said=frozenset()) == options


@given(
    options=OPTIONS,
    varying=st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.lists(st.none() | FRACTIONS, min_size=2, max_size=4, unique=True),
            "top_p": st.lists(st.none() | FRACTIONS, min_size=2, max_size=4, unique=True),
            "max_tokens": st.lists(st.integers(1, 10**9), min_size=2, max_size=4, unique=True),
        },
    ),
)
def test_line_says_what_varies(options: Options, varying: dict[str, list[object]]) -> None:
    """Lists of values stand in the line in place of what is set, and all else as it is set."""
    *_, line = reproducing(options, varying)
    arguments = parse(line.removeprefix("%%minimax "))
    assert arguments.varying == {name: tuple(values) for name, values in varying.items()}
    read = arguments.options(options)
    assert replace(read, said=frozenset()) == options


@given(OPTIONS)
def test_lines_are_lines(options: Options) -> None:
    """Each line is one line for IPython, and can be seen in full."""
    lines = reproducing(options)
    assert [line.splitlines() for line in lines] == [[line] for line in lines]
    assert [plain(line) for line in lines] == lines


@given(WORDS)
def test_word_reads_back(text: str) -> None:
    """A name that is offered as a word, or as an option's value, is read as that name."""
    word, line = quoted(text), option("-s", "--system", not_a_file(text))
    assert word is None or words_of(f"replay {word} --fill") == ["replay", text, "--fill"]
    assert word is None or parse(f"history {word}").words == ("history", text)
    assert line is None or parse(f"{line} --alone").given == {"system": text}
    if "\n" not in text and plain(text) == text and text != "--":
        assert line is not None
        assert (word is None) == text.startswith("-")


def test_quotes_are_few() -> None:
    """Text with both kinds of quotes changes them no more often than it must."""
    (line,) = reproducing(Options(system='Say "no", it\'s easy'))
    assert """-s 'Say "no", it'"'s easy\"""" in line


@pytest.fixture
def shell() -> object:
    with fresh_shell() as shell:
        yield shell


SYSTEMS = [
    "",
    "Be brief",
    "@role.md",
    "@@ at",
    'Say "no"',
    'Say "it\'s"',
    "a\nb",
    "{1 + 1} $HOME {{x}}\n%time",
    "\\n?",
]


@pytest.mark.parametrize("system", SYSTEMS)
def test_lines_work_in_a_notebook(
    shell: Shell, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pasted into cells, the lines send exactly these settings."""
    options = Options(model="M 1", temperature=0.3, top_p=0.25, system=system, max_tokens=99)
    *before, line = reproducing(options)
    for each in before:
        shell.run(each)
    capsys.readouterr()
    shell.run(f"{line} --dry-run\nWhy?")
    sent = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (sent["model"], sent["temperature"], sent["top_p"]) == ("M 1", 0.3, 0.25)
    assert (sent["max_tokens"], sent.get("system", "")) == (99, system)


@pytest.mark.parametrize(
    ("version", "has_subshells", "reached"),
    [
        ("6.31.0", False, "none"),
        ("7.0.1", False, "none"),
        ("7.0.1", True, "all"),
        ("7.3.0", True, "all"),
        ("7.4.0", True, "awaited"),
        ("7.4.0", False, "awaited"),
        ("7.4.0a1", True, "awaited"),
        ("8.0.0", True, "awaited"),
        ("unknown", True, "none"),
    ],
)
def test_reach(version: str, has_subshells: bool, reached: Reach) -> None:
    """Which cells a click reaches depends on the kernel's version and the front end's subshells."""
    assert reach(version, has_subshells=has_subshells) == reached


def test_summary_tells_all() -> None:
    """The summary holds each setting, the line, and why there are no sliders, in each form."""
    options = Options(temperature=0.3, system="Be brief", hide_thinking=True, stream=False)
    for text in still(options).values():
        assert isinstance(text, str)
        for word in (
            "0.3",
            "default",
            "hide_thinking",
            "Be brief",
            "main",
            "--no-stream",
            "To see the sliders",
        ):
            assert word in text


def test_summary_is_safe() -> None:
    """Text in the settings is text in the summary: no tag, no fence, no control of it acts."""
    options = Options(model="<img src=x>", system="```\n<script>alert(1)</script>\x1b[2J")
    bundle = still(options)
    html, markdown = str(bundle["text/html"]), str(bundle["text/markdown"])
    assert "<img" not in html
    assert "<script" not in html
    assert html.count("<style>") == 1
    assert markdown.count("\n````\n") == 2  # longer than the one in the text: it encloses it
    assert "\x1b" not in html + markdown + still_text(options)
