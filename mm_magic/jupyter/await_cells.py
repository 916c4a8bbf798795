"""Let a `%%minimax` cell be awaited, so that the kernel's loop stays free while it streams.

IPython does not await a magic. A transformer puts `await` before the generated call, but only
where there is a kernel, the whole cell is that one call, autoawait is on, and no other cell is
running: `%%time`, `%%capture`, `%run`, a function or a loop stay as they are, and run
synchronously. So does a terminal: it has nothing else to do, and there Ctrl-C breaks into an
awaited cell without cancelling it, which would leave its request open.
"""

import ast
from collections.abc import Callable

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.errors import UsageError
from mm_magic.jupyter.mistakes import check_first_line

MAGIC = "minimax"
AWAITED = "minimax_awaited"
"""The twin of the cell magic, which gives a coroutine."""
MISPLACED = "minimax_misplaced"
"""The magic that gets a cell in which `%%minimax` does not come first, and says so."""

Transformer = Callable[[list[str]], list[str]]


def transformer(shell: InteractiveShell) -> Transformer:
    """For `input_transformers_post`."""

    def transform(lines: list[str]) -> list[str]:
        call = rewritten("".join(lines), awaits=_may_await(shell))
        return lines if call is None else [call]

    return transform


def rewritten(source: str, *, awaits: bool) -> str | None:
    """The call to run in place of `source`; None if that is not one call of the magic alone."""
    call = _whole_call(source)
    if call is None:
        return None
    line, body = call
    # IPython refuses a cell magic with no body before we could show help or say what is due.
    arguments = f"{line!r}, {body or chr(10)!r}"
    if awaits:
        return f"await get_ipython().run_cell_magic({AWAITED!r}, {arguments})\n"
    return f"get_ipython().run_cell_magic({MAGIC!r}, {arguments})\n"


def misplaced(lines: list[str]) -> list[str]:
    """For `input_transformers_cleanup`: say it where `%%minimax` does not begin the cell.

    Valid Python is left alone: the words may stand in a string.
    """
    text = "".join(lines)
    if f"%%{MAGIC}" not in text or _is_python(text):
        return lines
    try:
        check_first_line(text)
    except UsageError:
        return [f"get_ipython().run_cell_magic({MISPLACED!r}, '', {text!r})\n"]
    return lines


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _may_await(shell: InteractiveShell) -> bool:
    has_kernel = getattr(shell, "kernel", None) is not None
    return has_kernel and shell.autoawait and not shell.display_trap.is_active


def keep_question_mark(lines: list[str]) -> list[str]:
    """For `input_transformers_cleanup`: `%minimax Why?` is a slip, and no call for help.

    IPython would show help on `Why`. The line reaches the magic, which says what to write.
    """
    text = "".join(lines).strip()
    if "\n" in text or not text.startswith(f"%{MAGIC} ") or not text.endswith("?"):
        return lines
    return [f"get_ipython().run_line_magic({MAGIC!r}, {text[len(MAGIC) + 2 :]!r})\n"]


def _whole_call(source: str) -> tuple[str, str] | None:
    """Line and body, if `source` is one generated call of the magic and nothing else."""
    if MAGIC not in source:
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    match tree.body:
        case [
            ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(
                        value=ast.Call(func=ast.Name(id="get_ipython"), args=[], keywords=[]),
                        attr="run_cell_magic",
                    ),
                    args=[
                        ast.Constant(value="minimax"),
                        ast.Constant(value=str(line)),
                        ast.Constant(value=str(body)),
                    ],
                    keywords=[],
                )
            )
        ]:
            return line, body
        case _:
            return None
