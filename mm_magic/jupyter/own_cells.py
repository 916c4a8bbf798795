"""Take the cells with the magic before any input transformer gets them.

IPython's transformers strip what looks like a prompt (`>>> `, `In [4]: `) or an indentation from a
whole cell, and another extension can add its own, in front of any that we could add. A prompt is
sent as it stands, so none of them may see it: such a cell is taken where all of them are called
from, in the shell's `transform_cell`. All other cells go their usual way.

The call that runs in its place is awaited where that can be, so that the kernel's loop stays free
while the answer streams: where there is a kernel, the cell is the magic alone, autoawait is on, and
no other cell is running. `%%time`, `%%capture`, `%run`, a function or a loop run synchronously. So
does a terminal: it has nothing else to do, and there Ctrl-C breaks into an awaited cell without
cancelling it, which would leave its request open.
"""

import ast
import builtins
import re
from typing import TYPE_CHECKING, NamedTuple

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.errors import GENERATED
from mm_magic.jupyter.running_cell import is_running_cell

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = "minimax"
AWAITED = "minimax_awaited"
"""The twin of the cell magic, which gives a coroutine."""
SLIP = "minimax_slip"
"""The magic that gets a cell with a likely mistake, and says what to write."""

# As IPython reads it: blank lines, then the magic's name and its line. Another line end than "\n"
# comes in cells that other programs wrote.
_HEAD = re.compile(r"\s*^%%(\w+)(?:[^\S\r\n]+([^\r\n]*))?(?:\r\n|\r|\n|\Z)", re.MULTILINE)
_CALL = f"{GENERATED}cell_magic("
# IPython looks for a semicolon at the end of their body, and fails at a prompt with a bracket left
# open: they get Python.
_TAKE_PYTHON = ("capture", "prun", "time", "timeit")


class CellMagic(NamedTuple):
    """A cell magic with its line and what stands below, to the character."""

    name: str
    line: str
    body: str


class OwnCells:
    """Stands before the transformers of one shell, and before its test whether a cell is whole."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._usual: Callable[[str], str] = shell.transform_cell
        self._usual_check: Callable[[str], tuple[str, int | None]] = (
            shell.input_transformer_manager.check_complete
        )
        self._places = (
            (shell, "transform_cell", self._transform, self._usual),
            (shell.input_transformer_manager, "check_complete", self._check, self._usual_check),
        )

    def register(self) -> None:
        for owner, name, ours, _ in self._places:
            setattr(owner, name, ours)

    def unregister(self) -> None:
        """Once the magic is gone, ours does as the usual: it stays where another stands on it."""
        for owner, name, ours, usual in self._places:
            if getattr(owner, name) == ours:
                setattr(owner, name, usual)

    def _transform(self, cell: str) -> str:
        """The Python code that runs in place of a cell."""
        if not self._is_own(MAGIC):  # it was taken out
            return self._usual(cell)
        if (call := self._call(cell)) is not None:
            return self._code_of(call, awaits=self._may_await())
        if (words := _question(cell)) is not None:
            return f"{GENERATED}line_magic({MAGIC!r}, {words!r})\n"
        if (python := self._slip(cell)) is not None:
            return f"{_CALL}{SLIP!r}, {python!r}, {cell!r})\n"
        return self._usual(cell)

    def _check(self, cell: str) -> tuple[str, int | None]:
        """Whether a cell that is being typed is whole, as IPython tells it of a cell magic."""
        if self._call(cell) is None:
            return self._usual_check(cell)
        lines = cell.splitlines(keepends=True)
        is_whole = not lines[-1].strip()
        return ("complete", None) if is_whole else ("incomplete", _indent(lines[-1]))

    def _call(self, cell: str) -> CellMagic | None:
        """The call that a cell is, if `%%minimax` begins it or stands right below other magics."""
        if (call := _written_out(cell)) is not None:
            is_own = self._is_own(call.name) or self._call(call.body) is not None
            return call if is_own else None
        first = head = _HEAD.match(cell)
        while head is not None and not self._is_own(head[1]):
            head = _HEAD.match(cell, head.end())
        if first is None or head is None:
            return None
        body = cell[first.end() :]
        if not body.endswith("\n"):
            body += "\n"  # as IPython does; it refuses no body before we can say what is due
        return CellMagic(first[1], (first[2] or "").rstrip(), body)

    def _is_own(self, name: str) -> bool:
        """Whether it is the cell magic, or an alias of it."""
        magic = self._shell.magics_manager.magics["cell"].get(name)
        return magic is not None and MAGIC in (name, getattr(magic, "magic_name", ""))

    def _code_of(self, call: CellMagic, *, awaits: bool) -> str:
        name, line, body = call
        if awaits and name == MAGIC:
            return f"await {_CALL}{AWAITED!r}, {line!r}, {body!r})\n"
        if name in _TAKE_PYTHON and (below := self._call(body)) is not None:
            body = self._code_of(below, awaits=False)
        return f"{_CALL}{name!r}, {line!r}, {body!r})\n"

    def _may_await(self) -> bool:
        shell = self._shell
        has_kernel = getattr(shell, "kernel", None) is not None
        return has_kernel and shell.autoawait and not is_running_cell(shell)

    def _slip(self, cell: str) -> str | None:
        """What Python has against a cell with a likely mistake; None where there is no mistake.

        Valid Python is left alone: the words may stand in a string.
        """
        if MAGIC not in cell.lower():
            return None
        from mm_magic.jupyter import mistakes  # only where there may be one
        from mm_magic.jupyter.commands.table import COMMANDS

        if mistakes.misspelt(cell) or mistakes.misplaced(cell):
            return _why_no_python(cell)
        found = mistakes.LINE_MAGIC.match(cell)
        if found is None or found["line"].partition(" ")[0].strip() in COMMANDS:
            return None
        return self._why_no_code(found["below"])

    def _why_no_code(self, text: str) -> str | None:
        """Why Python can't run some lines; None if it can try. Their magics are run by IPython.

        Prose may be Python by chance: `Hello, world` is two names.
        """
        if not text.strip():
            return None
        # IPython would show help on the last word of a question.
        code = self._usual(re.sub(r"\?+[^\S\n]*$", "", text, flags=re.MULTILINE))
        if (why := _why_no_python(code)) is not None:
            return why
        known = {*self._shell.user_ns, *vars(builtins)}
        unknown = next((name for name in _bare_names(code) if name not in known), None)
        return unknown and f"name {unknown!r} is not defined"


def _written_out(cell: str) -> CellMagic | None:
    """The call, where a cell is Python code that calls one magic, as below `%%time`."""
    if not cell.startswith(_CALL):
        return None
    try:
        match ast.literal_eval(f"({cell.removeprefix(_CALL)}"):
            case (str(name), str(line), str(body)):
                return CellMagic(name, line, body)
    except (ValueError, SyntaxError, RecursionError):
        pass
    return None


def _indent(line: str) -> int:
    """By how many columns a line is indented, as IPython counts them."""
    return len(line[: len(line) - len(line.lstrip())].replace("\t", " " * 4))


def _why_no_python(text: str) -> str | None:
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.msg
    except (ValueError, RecursionError) as error:
        return str(error)
    return None


def _bare_names(code: str) -> list[str]:
    """The names in code that sets nothing and calls nothing; none in any other code."""
    nodes = [*ast.walk(ast.parse(code))]
    statements = [node for node in nodes if isinstance(node, ast.stmt)]
    if any(isinstance(node, ast.Call) for node in nodes) or not all(
        isinstance(each, ast.Expr) or (isinstance(each, ast.AnnAssign) and each.value is None)
        for each in statements
    ):
        return []
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def _question(cell: str) -> str | None:
    """The words of `%minimax Why?`: a slip, and no call for help. The magic says what to write.

    IPython would show help on `Why`.
    """
    text = cell.strip()
    if "\n" in text or not text.startswith(f"%{MAGIC} ") or not text.endswith("?"):
        return None
    return text[len(MAGIC) + 2 :]
