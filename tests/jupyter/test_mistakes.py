"""Likely mistakes in a real IPython shell: each gets a message with the right line."""

import json
import re
from collections.abc import Iterator

import pytest
from support.shells import Shell, fresh_shell

import mm_magic as mm
from mm_magic import UsageError
from mm_magic.jupyter.commands.table import COMMANDS
from mm_magic.wording import PAGE_WIDTH


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """The offline demo would answer: no slip gets that far."""
    with fresh_shell() as shell:
        yield shell


@pytest.mark.parametrize(
    ("cell", "what", "hint"),
    [
        ("%%minimax # cold\nWhy?", "a comment can't follow", "Write: `%%minimax`"),
        ("%%minimax -t 1 # x\nWhy?", "a comment", "Write: `%%minimax -t 1`"),
        ('%%minimax -s "C# fan" # x\nWhy?', "a comment", 'Write: `%%minimax -s "C# fan"`'),
        ("%minimax Why is it?", "'Why is it?' is not a command", "%%minimax\n  Why is it?"),
        ("%minimax Why", "'Why' is not a command", "Commands: panel, models, key"),
        ("%%minimax -s You're\nWhy?", "not closed", '`%%minimax -s "You\'re"`'),
        ("%%minimax\nOne\n%%minimax\nTwo", "a second %%minimax", "a cell of its own"),
        ("%%minimax -s 'Be brief\nWhy?", "not closed", '`%%minimax -s "Be brief"`'),
        ("%%minimax -s Be brief -t 1\nWhy?", "'brief' is not an option", '`-s "Be brief"`'),
        ("%%minimax models\nWhy?", "'models' is not an option", "`%minimax models`"),
        ("%%minimax temperature=0.3\nWhy?", "is not an option", "`%%minimax -t 0.3`"),
        ("%%minimax -t 0,3\nWhy?", "write 0.3 with a decimal point", ""),
        ("%minimax -t", "--temperature needs a value", "`%%minimax -h`"),
        ("%minimax reqeust -h", "is not a command", "`%minimax request`"),
        ("%%minimax --temprature 0.3\nWhy?", "no option --temprature", "mean --temperature?"),
        ("%minimax -t 0.3 Why now?", "not a command", "%%minimax -t 0.3\n  Why now?"),
        ("%minimax reqest", "'reqest' is not a command", "`%minimax request`"),
        ("%minimax sk-123-456-789-0", "a key does not belong in a cell", "masked"),
        ("%minimax request 9", "conversation main has no turns", ""),
        ("# a note\n%%minimax\nWhy?", "%%minimax must begin the cell", "another cell"),
        ("x = 1\n%%minimax -t 1\nWhy?", "%%minimax must begin the cell", ""),
        (" %%minimax\nWhy?", "%%minimax must begin the cell", "any space before it"),
        ("%%minimax", "the prompt is empty", "lines below"),
        ("%%minimax\n \n", "the prompt is empty", "lines below"),
        ("%%minimax -t 0.3", "the prompt is empty", "lines below"),
        ("%%minimax -t 0\nWhy?", "temperature must be above 0 and at most 1, got 0.0", "`-t 0.01`"),
        ("%%minimax -t 1.5\nWhy?", "temperature must be above 0 and at most 1, got 1.5", "`-t 1`"),
        ("%%minimax -t nan\nWhy?", "temperature must be above 0 and at most 1, got nan", ""),
        (
            "%%minimax --top-p 0\nWhy?",
            "top_p must be above 0 and at most 1, got 0.0",
            "`--top-p 0.01`",
        ),
        (
            "%%minimax --max-tokens 0\nWhy?",
            "max_tokens must be a whole number of 1",
            "`--max-tokens 1`",
        ),
        ("%%minimax --effort hihg\nWhy?", "effort must be one of low, medium", "`--effort high`"),
        ("%%minimax --effort defualt\nWhy?", "effort must be one of", "`--effort default`"),
        ("%%minimax --thinking Auto\nWhy?", "thinking must be auto, adaptive", "`--thinking auto`"),
        ("%%minimax -t 0.1,3\nWhy?", "at most 1, got 3.0", "The highest value: `-t 1`"),
        ("%%minimax Why is it so?\nplease", "'Why is it so?' is not an option", "lines below"),
        ("%%minimax -s “Be brief”\nWhy?", "'brief”' is not an option", "Type the quotes"),
        ("%%minimax –t 1\nWhy?", "'–t 1' is not an option", "and hyphens again"),
        ("%%minimax --tempreature 1\nWhy?", "--tempreature", "`%%minimax -h`"),
        ("%%minimax -m ''\nWhy?", "model must be a name, got ''", ""),
        ("%minimax -t 7", "temperature must be above 0 and at most 1, got 7.0", "`-t 1`"),
        ("%minimax --alone", "--alone applies to a single cell", "%%minimax --alone"),
        ("%minimax -n 3", "-n applies to a single cell", "`%%minimax -n 3`"),
        (
            "%minimax -t 0.1, 0.5",
            "a list of values for -t applies to a single cell",
            "`%%minimax -t 0.1, 0.5`",
        ),
        ("%minimax models -t 0.3", "models takes no options", "%minimax models"),
        ("%minimax history 'a b' -t 1", "history takes no options", '`%minimax history "a b"`'),
        ("%minimax request", "nothing has been sent yet", ""),
        ("%minimax code", "there is no answer yet", ""),
        ("%minimax temperature 0.3", "is not a command", "for all cells: `%minimax -t 0.3`"),
        ("%minimax temperature 0.1,0.5", "is not an option", "Write: `%%minimax -t 0.1,0.5`"),
        ("%minimax temperature=0.1, 0.5", "is not an option", "Write: `%%minimax -t 0.1,0.5`"),
        ("%%minimax temperature 0.1, 0.5\nWhy?", "is not an option", "`%%minimax -t 0.1,0.5`"),
        ("%%minimax temperature 0.1,0.5", "is not an option", "`%%minimax -t 0.1,0.5`"),
        ("%%minimax n=3\nWhy?", "is not an option", "`%%minimax -n 3`"),
        ("%minimax t 0.3", "is not a command", "`%minimax -t 0.3`"),
        ("%minimax temperature=0.3", "is not a command", "`%minimax -t 0.3`"),
        ("%minimax Temperature: 0.3", "is not a command", "`%minimax -t 0.3`"),
        ("%minimax temp to 0.3", "is not a command", "`%minimax -t 0.3`"),
        ("%minimax tempreature 0.3", "is not a command", "`%minimax -t 0.3`"),
        ("%minimax max_tokens 500", "is not a command", "`%minimax --max-tokens 500`"),
        ("%minimax max tokens 500", "is not a command", "`%minimax --max-tokens 500`"),
        ("%minimax model MiniMax-M3 t=1", "is not a command", "`%minimax -m MiniMax-M3 -t 1`"),
        ("%minimax -t 1 top_p 0.5", "is not a command", "`%minimax -t 1 --top-p 0.5`"),
        ("%minimax system You are kind.", "is not a command", '`%minimax -s "You are kind."`'),
        ("%minimax hide thinking", "is not a command", "`%minimax --hide-thinking`"),
        ("%minimax no-stream", "is not a command", "`%minimax --no-stream`"),
        ("%minimax alone", "is not an option", "Write: `%%minimax --alone`"),
        ("%minimax to x", "is not an option", "Write: `%%minimax -o x`"),
        ("%minimax help tokns", "no command or option 'tokns'", "`%minimax help`"),
        ("%minimax Help", "is not a command", "`%minimax help`"),
        ("%%minimax temperature 0.3\nWhy?", "is not an option", "`%%minimax -t 0.3`"),
        ("%%minimax -t 1 model foo\nWhy?", "is not an option", "`%%minimax -t 1 -m foo`"),
        ("%%minimax history", "looks like a command", "`%minimax history`"),
        ("%%minimax help temperature", "looks like a command", "`%minimax help temperature`"),
        ("%%minimax help record", "looks like a command", "`%minimax help record`"),
        ("%%minimax record a.jsonl", "looks like a command", "`%minimax record a.jsonl`"),
        ("%%minimax restore --version 1", "looks like a command", "`%minimax restore --version"),
        ("%%minimax fork idea 2", "looks like a command", "`%minimax fork idea 2`"),
        ("%%minimax Show 3", "looks like a command", "`%minimax show 3`"),
        ("%%minimax forget 2", "looks like a command", "`%minimax forget 2`"),
        ("%%minimax replay a.jsonl --speed 0", "looks like a command", "`%minimax replay a.jsonl"),
        ("%%minimax temperature 0.3", "is not an option", "`%%minimax -t 0.3`"),
        ("%%minimax dry-run", "is not an option", "`%%minimax --dry-run`"),
        ("%%minimax model MiniMax-M3", "is not an option", "`%%minimax -m MiniMax-M3`"),
        ("%%minimax system=kind", "is not an option", "`%%minimax -s kind`"),
        ("%%minimax --temp 0.3 Why?", "no option --temp", "mean --temperature?"),
        ("%%minimax --max 9\nWhy?", "no option --max", "mean --max-tokens?"),
        ("%%minimax -temp 0.3\nWhy?", "no option -temp", "mean --temperature?"),
        ("%%minimax -temprature 0.3\nWhy?", "no option -temprature", "mean --temperature?"),
        ("%%minimax -model MiniMax-M3\nWhy?", "no option -model", "mean --model?"),
        ("%minimax -max_tokens=9", "no option -max_tokens", "mean --max-tokens?"),
        ("%%minimax --temprature 0.3 Why?", "no option --temprature", "mean --temperature?"),
        ("%%minimax Why now? -t 0.3", "before the prompt", "`%%minimax -t 0.3 Why now?`"),
        ("%%minimax -s Be brief", "'brief' is not an option", '`-s "Be brief"`'),
        ("%%minimax –t 1 Why?", "is not an option", "and hyphens again"),
        ("%%minimax # cold", "a comment can't follow", "Write: `%%minimax`"),
        ("%%minimax -t 5 Why?", "temperature must be above 0 and at most 1, got 5.0", "`-t 1`"),
        ("%minimax key sk-123", "a key does not belong in a cell", "masked"),
    ],
)
def test_slip(shell: Shell, cell: str, what: str, hint: str) -> None:
    """A slip is told in words, with what to write instead, before anything is sent."""
    error = shell.error(cell)

    assert isinstance(error, UsageError)
    assert what in error.message
    assert hint in error.card()
    assert "sk-123" not in error.card()


@pytest.mark.parametrize(
    ("cell", "right"),
    [
        ("%minimax\nExplain recursion", "  %%minimax\n  Explain recursion"),
        ("%minimax -t 0.3\nExplain recursion", "  %%minimax -t 0.3\n  Explain recursion"),
        ("\n%minimax\n\nWhy is the sky blue?\n", "  %%minimax\n  Why is the sky blue?"),
        ("%minimax\nWhy?", "  %%minimax\n  Why?"),
        ("%minimax\nRecursion", "  %%minimax\n  Recursion"),
        ("%minimax\nHello, world", "  %%minimax\n  Hello, world"),
        ("%minimax\nQuestion: recursion", "  %%minimax\n  Question: recursion"),
        ("%minimax\n解释递归。", "  %%minimax\n  解释递归。"),
        ("%minimax\n>>> x = 1\nWhat does it do?", "  %%minimax\n  >>> x = 1 What does it do?"),
        ("%minimax Explain\nrecursion to me", "  %%minimax\n  Explain recursion to me"),
        ("%minimax\r\nExplain recursion", "  %%minimax\n  Explain recursion"),
        ("%%time\n%minimax\nExplain recursion", "  %%minimax\n  Explain recursion"),
        (
            "%minimax -t 1\nprint('a'",
            "If the lines are Python, fix this: '(' was never closed.",
        ),
        ("%%MiniMax\nWhy?", "Write: `%%minimax`"),
        ("%%MINIMAX -t 1\nWhy?", "Write: `%%minimax -t 1`"),
        ("%% minimax\nWhy?", "Write: `%%minimax`"),
        ("%%%minimax\nWhy?", "Write: `%%minimax`"),
        ("％％minimax\nWhy?", "Write: `%%minimax`"),
        ("%MiniMax\nWhy?", "Write: `%%minimax`"),
        ("%MiniMax panel", "Write: `%minimax panel`"),
    ],
)
def test_slip_that_python_would_tell(shell: Shell, cell: str, right: str) -> None:
    """A prompt below `%minimax`, and the magic in other letters, get the right line: IPython would
    speak of Python's grammar, of an unknown name, or of a magic that it does not know."""
    error = shell.error(cell)

    assert isinstance(error, UsageError)
    assert right in error.card()


def test_python_below_the_line_magic(shell: Shell) -> None:
    """Python and magics below `%minimax` run, and a command's Python errors stay Python's."""
    shell.run("%minimax -t 0.5\n%time x = 41\ny = x + 1")
    assert shell["y"] == 42
    assert isinstance(shell.error("%minimax usage\nx = = 1"), SyntaxError)
    assert isinstance(shell.error("%minimax -t 0.5\nnothing()"), NameError)
    shell.run("%minimax -t default")


LIKE_SLIPS = [
    "Code review", "Show me", "Help me", "Record players", "Request denied", "Reset password",
    "History?", "History", "history 3", "Codes", "Models", "Forget it", "Pick one", "Fork truck",
    "restore peace", "replay value", "history lines", "Key?", "Diff Python 2", "Code 3 sorts",
    "yes", "Alone", "stream", "dry run", "Top 1", "maximum 5", "temper 1", "Key: what is it?",
    "key = value", "API key: why?",
    "What does commit 3f786850e387550fdab836ed7e6dc881de23001b change",
    f"Which file has the SHA-256 {'0123456789abcdef' * 4} here",
    "Why does test_what_is_not_visible_is_found_in_linear_time fail",
]  # fmt: skip
"""Prompts with the name of a command or an option, or a long word, in them."""


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("Why is the sky blue?", "Why is the sky blue?"),
        ("hello", "hello"),
        ('-t 0.3 What\'s up, "doc"?', 'What\'s up, "doc"?'),
        ("--max_tokens=50 --literal   Why {{x}}?", "Why {{x}}?"),
        ('-s "Be brief" Why  now?  ', "Why  now?"),
        ("-t0.3 Why?", "Why?"),
        ("show me the sky", "show me the sky"),
        ("key facts about Rome", "key facts about Rome"),
        ("What does ls -t do?", "What does ls -t do?"),
        ("What does ls -t", "What does ls -t"),
        ("system design of a lift", "system design of a lift"),
        ("model trains", "model trains"),
        ("Is a - b = b - a?", "Is a - b = b - a?"),
        ("“Why?” she asked", "“Why?” she asked"),
        ("天空为什么是蓝色的？", "天空为什么是蓝色的？"),
        *((words, words) for words in LIKE_SLIPS),
        ("Explain: {{topic}}", "Explain: rain"),
    ],
)
def test_prompt_of_one_line(
    shell: Shell, line: str, prompt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands behind the options is the prompt of a cell that has no other line."""
    shell["topic"] = "rain"
    for below in ("", "\n", "\n  \n"):
        capsys.readouterr()
        shell.run(f"%%minimax --dry-run {line}{below}")
        body = json.loads(capsys.readouterr().out.partition("\n")[2])
        assert body["messages"][-1]["content"] == prompt


def test_prompt_of_one_line_is_a_turn_like_any_other(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its options hold, `%%time` and an alias find it, and `history` shows its prompt alone."""
    shell.run("%%time\n%%minimax -c line -t 0.3 -o first Why is the sky blue?")
    shell.run("%%minimax -c line And the sea?")
    capsys.readouterr()

    shell.run("%minimax history line")

    shown = capsys.readouterr().out
    assert re.findall(r"(?m)^\d +\S+ +\S+ +(.*?)  ", shown) == [
        "Why is the sky blue?",
        "And the sea?",
    ]
    assert shell["first"].text
    assert "looks like a command" in str(shell.error("%%minimax history line"))
    assert "looks like a command" in str(shell.error("%%minimax reset line"))
    shell.run("%minimax reset line")


TYPED = "sk-cp-abcdefgh12345678"


@pytest.mark.parametrize(
    "cell",
    [
        f"%minimax {TYPED}",
        f"%minimax key={TYPED}",
        f"%minimax key: {TYPED}",
        f"%minimax '{TYPED}",
        f"%minimax -t {TYPED}",
        f"%minimax replay --speed {TYPED}",
        f"%minimax my key is {TYPED}",
        f"%minimax {'0123456789abcdef' * 3}",
        f"%%minimax {'0123456789abcdef' * 4}",
        f"%%minimax My key is {'0123456789abcdef' * 3}",
        f"%%minimax Is {'abcdef_3B-' * 4} a key",
        f"%%minimax Is {'abcdef3-' * 3}{'cd4ef' * 4} a key",
        "%minimax api_key = 0123456789abcdef",
        f"%%minimax {TYPED}\nWhy?",
        f"%%minimax key={TYPED}\nWhy?",
        f"%%minimax -t 1 # {TYPED}\nWhy?",
        f"%%minimax --{TYPED}\nWhy?",
        f"%minimax\n{TYPED}",
        f"%MiniMax {TYPED}",
        f"%%minimax {TYPED}",
        f"%%minimax -t 0.3 my key is {TYPED}",
    ],
)
def test_typed_key_is_not_repeated(shell: Shell, cell: str) -> None:
    """A key in a line that is refused is not shown, and the card says where it belongs."""
    card = str(getattr(shell.error(cell), "card", str)())
    assert "a key does not belong in a cell" in card
    assert "abcdef" not in card


@pytest.mark.parametrize(
    "words", ["天空为什么是蓝色的" * 9, "What is a risk-adjusted return?", "a key: what is it?"]
)
def test_question_is_not_taken_for_a_key(shell: Shell, words: str) -> None:
    """Words that only look a little like a key are told as the slip that they are."""
    assert "is not a command" in str(shell.error(f"%minimax {words}"))


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("Hello", "To ask"),
        ("How are you?", "To ask"),
        ("Show me a tree, please", "To ask"),
        ("reqest", "Did you mean `%minimax request`?"),
        ("modle", "Did you mean `%minimax models`?"),
        ("hist", "Did you mean `%minimax history`?"),
        ("repaly lesson.jsonl", "Did you mean `%minimax replay`?"),
        ("Help", "Did you mean `%minimax help`?"),
    ],
)
def test_likelier_meaning_comes_first(shell: Shell, words: str, first: str) -> None:
    """A prompt behind one percent sign is told so first, a mistyped command by its name."""
    error = shell.error(f"%minimax {words}")
    assert isinstance(error, UsageError)
    assert error.next_steps[0].startswith(first)


def test_magic_in_a_string_is_no_slip(shell: Shell) -> None:
    """Python that holds the words in a string is left alone, and so are blank lines above."""
    assert shell.run("text = '''\n%%minimax\nWhy?\n'''\nlen(text)") == 16
    assert shell.run("\n\n%%minimax --dry-run\nWhy?") is None


@pytest.mark.parametrize("mode", ["Plain", "Context", "Verbose", "Minimal", "Docs"])
def test_error_is_a_card_without_frames(
    shell: Shell, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every %xmode an error is the card alone."""
    shell.run(f"%xmode {mode}")
    capsys.readouterr()

    shell.error("%%minimax -t 0\nWhy?")

    shown = capsys.readouterr().out
    assert "temperature must be above 0 and at most 1, got 0.0" in shown
    assert shown.count("\n") == 2
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    "cell", ["%%minimax -h", "%%minimax -h\nWhy?", "%minimax --help", "%minimax help"]
)
def test_help(shell: Shell, cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-h shows the whole help, with and without a prompt, and asks nothing."""
    assert shell.run(cell) is None

    shown = capsys.readouterr().out
    for option in ("--model", "--max-tokens", "--hide-thinking", "--dry-run", "{{row.title}}"):
        assert option in shown


@pytest.mark.parametrize(
    "command",
    ["show", "diff", "forget", "restore", "pick", "fork idea", "request", "code",
     "restore --version 1"],
)  # fmt: skip
def test_number_of_any_length(shell: Shell, command: str) -> None:
    """A number that Python would refuse to read is one that no turn has."""
    shell.run("%%minimax\nWhy?")

    error = shell.error(f"%minimax {command} {'9' * 5_000}")

    assert isinstance(error, UsageError)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(shell: Shell, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-h behind a command, and `help` before it, explain that command alone; the whole help has a
    line for each."""
    shell.run(f"%minimax {command} -h")
    own = capsys.readouterr().out
    shell.run(f"%minimax help {command}")
    assert capsys.readouterr().out == own
    shell.run("%minimax -h")

    assert own.startswith(f"%minimax {command}")
    assert 2 <= own.count("\n") <= 8
    assert re.search(rf"^  {command}\b.*  [a-z]+ ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("word", ["temperature", "Temperature", "t", "-t", "--temperature"])
def test_help_of_an_option(shell: Shell, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax help` before an option's name explains that option."""
    shell.run(f"%minimax help {word}")
    assert capsys.readouterr().out == "  -t, --temperature T  randomness, above 0 and at most 1\n"


def test_help_has_blank_lines(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Each group of options and of commands stands by itself, and none is long."""
    shell.run("%minimax help")

    groups = [group.splitlines() for group in capsys.readouterr().out.strip().split("\n\n")]
    assert max(map(len, groups)) <= 20
    titles = {group[0] for group in groups}
    assert titles >= {f"{command.group}:" for command in COMMANDS.values()}
    assert "Options for this cell only:" in titles


def test_help_names_what_a_reply_has(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """A value of `--type` is among it."""
    shell.run("%minimax help")
    (told,) = re.findall(r"^It has (.*)$", capsys.readouterr().out, re.MULTILINE)
    names = re.findall(r"\.(\w+)", told)
    assert set(names) == {"text", "thinking", "usage", "stop_reason", "value"}
    assert all(hasattr(mm.Reply, name) for name in names)


def test_question_mark_shows_the_help(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """`%%minimax?` shows every option and every command, in lines that no pager has to break."""
    shell.run("%%minimax?")

    shown = capsys.readouterr().out
    assert max(map(len, shown.split("\n"))) <= PAGE_WIDTH
    groups = shown.split("\n\n")
    assert not [group for group in groups if group.startswith("  -")]  # each has a heading
    for word in ("--temperature T", "--literal", "%minimax COMMAND", "request", "offline"):
        assert word in shown


def test_defaults_are_told(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """`%minimax` with options says what it has set, and alone what holds, with five examples."""
    shell.run('%minimax -t 0.3 -s "Be brief"')
    assert "From now on: temperature 0.3, system 'Be brief'" in capsys.readouterr().out

    shell.run("%minimax")

    shown = capsys.readouterr().out
    assert "offline demo, not a language model" in shown
    assert "temperature 0.3" in shown
    assert "system Be brief" in shown
    assert "demo stall" in shown
    assert shown.count("\n  %") == 5


def test_variables_of_other_tools_are_told_and_not_used(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ANTHROPIC_BASE_URL and its key at MiniMax are mentioned; the demo still answers."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://api.minimax.io/anthropic")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-yours")

    shell.run("%minimax")

    shown = capsys.readouterr().out
    assert "ANTHROPIC_BASE_URL points to api.minimax.io" in shown
    assert "offline demo, not a language model" in shown
    assert "sk-not-yours" not in shown


def test_unload_restores_the_shell() -> None:
    """After %unload_ext the shell is as it was; %reload_ext and a second load work."""
    with fresh_shell(loaded=False) as shell:
        shell.run("%unload_ext mm_magic")  # IPython makes the magics behind this at first use
        before = parts_of(shell)
        shell.run("%load_ext mm_magic")
        loaded = parts_of(shell)
        assert before != loaded

        shell.run("%load_ext mm_magic")
        mm.load_ipython_extension(shell.ip)
        assert parts_of(shell) == loaded
        shell.run("%reload_ext mm_magic")
        assert [len(part) for part in parts_of(shell)] == [len(part) for part in loaded]
        shell.run("%unload_ext mm_magic")

        assert parts_of(shell) == before
        shell.run("%unload_ext mm_magic")
        assert "not found" in str(shell.ip.find_cell_magic("minimax") or "not found")


def parts_of(shell: Shell) -> list[list[object]]:
    """All that an extension can change in a shell."""
    ip = shell.ip
    assert ip.display_formatter is not None
    formatter = ip.display_formatter.ipython_display_formatter
    return [
        list(ip.input_transformers_cleanup),
        list(ip.input_transformers_post),
        [ip.transform_cell, ip.input_transformer_manager.check_complete],
        *(list(callbacks) for callbacks in ip.events.callbacks.values()),
        *(sorted(names) for names in ip.magics_manager.magics.values()),
        sorted(vars(ip.magics_manager.user_magics)),
        list(ip.configurables),
        list(ip.Completer.custom_matchers),
        list(formatter.type_printers),
        [ip.display_trap.hook],
    ]
