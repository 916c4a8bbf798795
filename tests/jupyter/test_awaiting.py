"""Which cells become one awaited call, and which are left as IPython made them."""

from collections.abc import Iterator

import pytest
from support.shells import Shell, fresh_shell

from mm_magic.errors import UsageError
from mm_magic.jupyter.await_cells import keep_question_mark, rewritten


@pytest.fixture(scope="module")
def plain_shell() -> Iterator[Shell]:
    """IPython without the extension."""
    with fresh_shell(loaded=False) as shell:
        yield shell


@pytest.mark.parametrize(
    ("cell", "arguments"),
    [
        ("%%minimax\nWhy?", "'', 'Why?\\n'"),
        ("%%minimax -t 1\nWhy?\n\n", "'-t 1', 'Why?\\n\\n'"),
        ("\n%%minimax\nWhy?", "'', 'Why?\\n'"),
        ("%%minimax", "'', '\\n'"),
        ("%%minimax -h", "'-h', '\\n'"),
        ("%%minimax\nawait x\n%time\n!ls\n'''", "'', \"await x\\n%time\\n!ls\\n'''\\n\""),
    ],
)
def test_cell_that_is_the_magic_alone(plain_shell: Shell, cell: str, arguments: str) -> None:
    """A cell of the magic alone becomes one call: awaited, or not where that can't be."""
    source = plain_shell.ip.transform_cell(cell)

    assert (
        rewritten(source, awaits=True)
        == f"await get_ipython().run_cell_magic('minimax_awaited', {arguments})\n"
    )
    assert (
        rewritten(source, awaits=False) == f"get_ipython().run_cell_magic('minimax', {arguments})\n"
    )


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\n%%minimax\nWhy?",
        "%%capture out\n%%minimax\nWhy?",
        "%%minimax_awaited\nWhy?",
        "%minimax -t 1",
        "x = get_ipython().run_cell_magic('minimax', '', 'Why?')",
        "get_ipython().run_cell_magic('minimax', '', 'Why?'); 1",
        "get_ipython().run_cell_magic('minimax', '', prompt)",
        "get_ipython().run_cell_magic('minimax', '', 'Why?').text",
        "for i in range(3):\n    get_ipython().run_cell_magic('minimax', '', 'Why?')",
        "other().run_cell_magic('minimax', '', 'Why?')",
        "minimax = (",
        "print('minimax')",
        "1 + 1",
        "",
    ],
)
def test_all_other_cells(plain_shell: Shell, cell: str) -> None:
    """Any other cell is left alone: another magic above, a part of code, or not the magic."""
    assert rewritten(plain_shell.ip.transform_cell(cell), awaits=True) is None


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%minimax Why?", "'Why?'"),
        ("  %minimax Why is it?\n", "'Why is it?'"),
        ("%minimax what's \\ it?", '"what\'s \\\\ it?"'),
    ],
)
def test_question_mark_stays_with_the_magic(cell: str, line: str) -> None:
    """A question on the line magic reaches the magic, in place of IPython's help."""
    assert keep_question_mark(cell.splitlines(keepends=True)) == [
        f"get_ipython().run_line_magic('minimax', {line})\n"
    ]


@pytest.mark.parametrize(
    "cell", ["# note\n%%minimax\nhi", "x = 1\n%%minimax\nhi", " %%minimax\nhi"]
)
def test_card_of_a_magic_below_a_line(cell: str) -> None:
    """The card of `%%minimax` in a wrong place is two sentences, and shows no code of ours."""
    with fresh_shell() as shell:
        error = shell.error(cell)

    assert isinstance(error, UsageError)
    assert error._render_traceback_() == [
        "\x1b[1mMiniMax (usage):\x1b[0m %%minimax must begin the cell\n"
        "→ Move everything before it, even a space, into another cell."
    ]


def test_card_names_a_raised_line_of_the_user() -> None:
    """An error that the user's own line raises again is shown with that line."""
    cell = (
        "import mm_magic\ntry:\n    mm_magic.ask('')\nexcept mm_magic.UsageError as e:\n    raise e"
    )
    with fresh_shell() as shell:
        error = shell.error(cell)

    assert isinstance(error, UsageError)
    assert "  line 5 in <module>: raise e\n" in error._render_traceback_()[0]
    assert "  line 3 in <module>: mm_magic.ask('')" in error._render_traceback_()[0]


@pytest.mark.parametrize(
    "cell", ["%minimax?", "%%minimax?", "%minimax??", "?%minimax", "%minimax key", "x?", "a\nb?"]
)
def test_calls_for_help_stay(cell: str) -> None:
    """What asks IPython for help on the magic, and all other cells, stay as they are."""
    lines = cell.splitlines(keepends=True)

    assert keep_question_mark(lines) == lines
