"""Which cells are taken before the input transformers, what runs in their place, and how whole."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import hostile
from support.kernels import Kernel
from support.loopback import Loopback, streamed
from support.shells import Shell, file_with_cell, fresh_shell

import mm_magic
from mm_magic.errors import UsageError

STRIPPED = (
    ">>> [1, 2] * 2\n[1, 2, 1, 2]\nWhy?",
    "What is this?\n>>> for i in x:\n...     print(i)",
    ">>>\n... \n>>> x",
    "In [4]: 1 + 1\nOut[4]: 2\nWhy?",
    "Out[4]: 2\nIn [4]: 1 + 1\n   ...: 2",
    "[ins] In [12]: x",
    "    four spaces\n    below each other",
    "\tdef f():\n\t    return 1",
    "$ ls\n! ls\n? x\n% x\nx?",
    "%time x\n%%time\nx?",
    "Go on: \\",
    "I don't know (why\n'''",
    "a\r\nb\r\n\r\nc",
    "\x0ca\x0bb\x0cc\x1cd\x1ee\x85f\u2028g\u2029h",
    "\x0c\n\t\nWhy?",
    "a \t\nb  \n \nc\t",
    "\ufeffWhy?",
)
"""Prompts that IPython's own transformers change where they are Python, or that look like it."""


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback(streamed()) as server:
        yield server


@pytest.fixture
def shell(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
    with fresh_shell() as shell:
        yield shell


def prompt_of(server: Loopback) -> str:
    """The last prompt that the server received."""
    return str(server.requests[-1].json["messages"][-1]["content"])


# To the character


@pytest.mark.parametrize("prompt", STRIPPED)
@pytest.mark.parametrize("above", ["", "\n \n", "%%time\n", "%%capture out\n\n%%time\n"])
def test_nothing_is_stripped(shell: Shell, server: Loopback, above: str, prompt: str) -> None:
    """What IPython strips from Python stays in a prompt, also below other magics."""
    shell.run(f"{above}%%minimax --alone\n{prompt}")

    assert prompt_of(server) == prompt


def test_lines_ends_of_windows(shell: Shell, server: Loopback) -> None:
    """A cell that another program wrote with CR and LF is the same cell."""
    shell.run("\r\n%%minimax --alone\r\n>>> a\r\nb\r\n")

    assert prompt_of(server) == ">>> a\r\nb"


@pytest.mark.parametrize("kind", ["ipynb", "ipy"])
def test_file_that_is_run(shell: Shell, server: Loopback, tmp_path: Path, kind: str) -> None:
    """`%run` of a notebook and of an .ipy file strips nothing."""
    for prompt in STRIPPED[:8]:
        path = file_with_cell(tmp_path, kind, f"%%minimax --alone\n{prompt}")
        shell.run(f"%run {path}")
        assert prompt_of(server) == prompt


@pytest.mark.parametrize(
    "code",
    [
        "ip.run_cell('%%minimax --alone\\n' + prompt)",
        "ip.run_cell_magic('minimax', '--alone', prompt)",
    ],
)
def test_calls_from_python(shell: Shell, server: Loopback, code: str) -> None:
    """A cell that Python code runs is the same cell."""
    shell.run("ip = get_ipython()")
    for prompt in STRIPPED[:8]:
        shell["prompt"] = prompt
        shell.run(code)
        assert prompt_of(server) == prompt


def test_a_call_that_is_awaited(tmp_path: Path, server: Loopback) -> None:
    """So is one that Python code awaits."""
    code = (
        "cell = '%%minimax --alone\\n' + prompt\n"
        "await ip.run_cell_async(cell, transformed_cell=ip.transform_cell(cell))"
    )
    with Kernel(tmp_path) as kernel:
        kernel.fresh(server.url)
        for prompt in STRIPPED[:8]:
            kernel.run(f"ip, prompt = get_ipython(), {prompt!r}\n{code}")
            assert prompt_of(server) == prompt


def test_alias(shell: Shell, server: Loopback) -> None:
    """An alias of the magic takes its prompt as it stands, too."""
    shell.run("%alias_magic --cell ask minimax")

    shell.run("%%ask --alone\n>>> x")

    assert prompt_of(server) == ">>> x"


def test_real_cells(shell: Shell, server: Loopback) -> None:
    """Cells as people write them: the prompt that is due arrives, or the card says what is due."""
    for case in hostile.load("real-world/cells.json"):
        if "sent" in case:
            shell.run(case["cell"])
            assert prompt_of(server) == case["sent"]
        else:
            assert re.search(case["says"], str(getattr(shell.error(case["cell"]), "card", str)()))


# Other extensions


def upper(lines: list[str]) -> list[str]:
    """A transformer as another extension may have one, for all cells."""
    return [line.upper() for line in lines]


def cleanup_first(ip: Any) -> None:
    ip.input_transformers_cleanup.insert(0, upper)


def cleanup_last(ip: Any) -> None:
    ip.input_transformers_cleanup.append(upper)


def line_first(ip: Any) -> None:
    ip.input_transformer_manager.line_transforms.insert(0, upper)


def post_first(ip: Any) -> None:
    ip.input_transformers_post.insert(0, upper)


def post_last(ip: Any) -> None:
    ip.input_transformers_post.append(upper)


PLACES = [cleanup_first, cleanup_last, line_first, post_first, post_last]


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("put_in", PLACES)
def test_transformers_of_others(
    server: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    put_in: Callable[[Any], None],
    is_before: bool,
) -> None:
    """No transformer of another extension reaches a prompt, whenever it came and wherever."""
    monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
    with fresh_shell(loaded=False) as shell:
        if is_before:
            put_in(shell.ip)
        mm_magic.load_ipython_extension(shell.ip)
        if not is_before:
            put_in(shell.ip)
        shell.run("%%minimax --alone\n>>> as it stands")
        assert prompt_of(server) == ">>> as it stands"
        shell.run("%%capture out\n%%time\n%%minimax --alone\n>>> below others")
        assert prompt_of(server) == ">>> below others"
        shell.run("x = 1")
        assert shell["X"] == 1


def test_transformer_that_makes_the_magic(shell: Shell, server: Loopback) -> None:
    """A cell that becomes a `%%minimax` cell only by another's transformer runs as that."""

    def ask(lines: list[str]) -> list[str]:
        return ["%%minimax --alone\n", *lines[1:]] if lines[:1] == ["#ask\n"] else lines

    shell.ip.input_transformers_cleanup.append(ask)

    shell.run("#ask\nWhy?")

    assert prompt_of(server) == "Why?"


# In and out


def test_other_cells_go_their_way(shell: Shell, server: Loopback) -> None:
    """IPython strips prompts from Python as ever, with the extension and after it."""
    assert shell.run(">>> 1 + 1\n2") == 2
    assert shell.run("In [4]: 1 + 2") == 3
    shell.run("%reload_ext mm_magic")
    shell.run("%%minimax --alone\n>>> x")
    assert prompt_of(server) == ">>> x"

    shell.run("%unload_ext mm_magic")

    assert shell.run(">>> 1 + 3") == 4
    assert shell.ip.find_cell_magic("minimax") is None


def test_another_that_stands_before_ours(shell: Shell) -> None:
    """Who took the same place later keeps it when the extension goes, and nothing breaks."""
    ours = shell.ip.transform_cell
    seen = []

    def theirs(cell: str) -> str:
        seen.append(cell)
        return str(ours(cell))

    shell.ip.transform_cell = theirs
    shell.run("%unload_ext mm_magic")

    assert shell.run(">>> 1 + 1") == 2
    assert seen == ["%unload_ext mm_magic", ">>> 1 + 1"]
    shell.run("%load_ext mm_magic")
    assert shell.run("%%minimax --dry-run\n>>> x") is None


@pytest.mark.parametrize(
    ("cell", "is_whole"),
    [
        ("%%minimax", False),
        ("%%minimax\nWhy?", False),
        ("%%minimax\nWhy?\n", False),
        ("%%minimax\nWhy?\n\n", True),
        ("%%minimax\nGo on: \\\n", False),
        ("%%minimax\nGo on: \\\n\n", True),
        ("%%time\n%%minimax\n>>> (\n\n", True),
        ("%%minimax\n>>> def f():\n  \n", True),
    ],
)
def test_whether_a_cell_is_whole(shell: Shell, cell: str, is_whole: bool) -> None:
    """A blank line ends the cell in a terminal, whatever its last line ends with."""

    def refuse(lines: list[str]) -> list[str]:
        raise SyntaxError(lines)

    shell.ip.input_transformers_cleanup.insert(0, refuse)
    due = "complete" if is_whole else "incomplete"
    assert shell.ip.check_complete(cell)[0] == due
    assert shell.ip.check_complete("(1")[0] == "invalid"  # another's transformer refused it


# What runs in place of a cell


@pytest.mark.parametrize(
    ("cell", "arguments"),
    [
        ("%%minimax\nWhy?", "'', 'Why?\\n'"),
        ("%%minimax -t 1 \nWhy?\n\n", "'-t 1', 'Why?\\n\\n'"),
        ("\n%%minimax\nWhy?", "'', 'Why?\\n'"),
        ("%%minimax", "'', '\\n'"),
        ("%%minimax -h", "'-h', '\\n'"),
        ("%%minimax\nawait x\n%time\n!ls\n'''", "'', \"await x\\n%time\\n!ls\\n'''\\n\""),
    ],
)
def test_cell_that_is_the_magic_alone(shell: Shell, cell: str, arguments: str) -> None:
    """A cell of the magic alone becomes one readable call: `%save` and `%history -t` show it."""
    source = shell.ip.transform_cell(cell)

    assert source == f"get_ipython().run_cell_magic('minimax', {arguments})\n"


@pytest.mark.parametrize(
    "cell",
    [
        "%%minimax_awaited\nWhy?",
        "%%minimax?",
        "%minimax -t 1",
        "%minimax?",
        "%minimax??",
        "?%minimax",
        "%minimax key",
        "x?",
        "a\nb?",
        "minimax = (",
        "print('minimax')",
        "%minimax -t 1\n%matplotlib inline\nx = !ls\nprint('Why?')",
        "%minimax panel\nx = = 1",
        "%minimax -t 1\n\n",
        "%minimax -t 1\nint",
        "%minimax -t 1\nint?",
        "%minimax -t 1\n'''\nWhy is it?\n'''",
        "%%time\nprint(1)",
        "1 + 1",
        "",
    ],
)
def test_all_other_cells(shell: Shell, cell: str) -> None:
    """Any other cell is left to IPython."""
    ours = shell.ip.transform_cell(cell)
    shell.run("%unload_ext mm_magic")

    assert shell.ip.transform_cell(cell) == ours


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%minimax Why?", "'Why?'"),
        ("  %minimax Why is it?\n", "'Why is it?'"),
        ("%minimax what's \\ it?", '"what\'s \\\\ it?"'),
    ],
)
def test_question_mark_stays_with_the_magic(shell: Shell, cell: str, line: str) -> None:
    """A question on the line magic reaches the magic, in place of IPython's help."""
    call = f"get_ipython().run_line_magic('minimax', {line})\n"
    assert shell.ip.transform_cell(cell) == call


@pytest.mark.parametrize(
    "cell", ["# note\n%%minimax\nhi", "x = 1\n%%minimax\nhi", " %%minimax\nhi"]
)
def test_card_of_a_magic_below_a_line(shell: Shell, cell: str) -> None:
    """The card of `%%minimax` in a wrong place is two sentences, and shows no code of ours."""
    error = shell.error(cell)

    assert isinstance(error, UsageError)
    assert error._render_traceback_() == [
        "\x1b[1mmm_magic:\x1b[0m %%minimax must begin the cell\n"
        "→ Move the lines before it into another cell, and delete any space before it."
    ]


def test_card_names_a_raised_line_of_the_user(shell: Shell) -> None:
    """An error that the user's own line raises again is shown with that line."""
    error = shell.error(
        "import mm_magic\ntry:\n    mm_magic.ask('')\nexcept mm_magic.UsageError as e:\n    raise e"
    )

    assert isinstance(error, UsageError)
    assert "  line 5 in <module>: raise e\n" in error._render_traceback_()[0]
    assert "  line 3 in <module>: mm_magic.ask('')" in error._render_traceback_()[0]
