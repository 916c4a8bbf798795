"""`{{last_error}}`: the last error of the user's own code in this kernel.

A card of ours is none: it says itself what to do. Only its text is kept, and not the error, which
would keep every variable of its frames in memory.
"""

import sys
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeGuard

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.errors import MiniMaxError, Stopped, UsageError

if TYPE_CHECKING:  # values as text come with the first prompt or error: %load_ext is quick
    from mm_magic.prompt.values import Text

NAME = "last_error"
_OWN_NAMES = ("<timed exec>", "<timed eval>", "<magic-timeit>", "<string>")
_THIS_PACKAGE = Path(__file__).parents[1]


@cache
def _libraries() -> tuple[Path, ...]:
    import sysconfig  # 1 ms that only an error costs

    return tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


def _is_own(error: object) -> TypeGuard[Exception]:
    """Whether it is an error of the user's code: no card of ours, no interrupt, no exit."""
    return isinstance(error, Exception) and not isinstance(error, (MiniMaxError, Stopped))


class LastError:
    """The last error of one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._text: Text | None = None
        self._seen = 0  # the id of the error that was shown last

    def take(self) -> None:
        """Keep the text of the error that was shown last, if it is a new one of the user's code.

        A cell need not fail for it: `%run` shows the error of a script.
        """
        error = getattr(sys, "last_value", None)
        if id(error) == self._seen:
            return
        self._seen = id(error)
        if _is_own(error):
            from mm_magic.prompt.error_text import error_text

            self._text = error_text(error, self._name)

    def variables(self, prompt: str) -> Mapping[str, object]:
        """The notebook's variables, and the last error where `prompt` has it.

        A variable of this name goes before it. Raises UsageError where there is no error.
        """
        from mm_magic.prompt.template import names_in

        variables: dict[str, object] = self._shell.user_ns
        if NAME in variables or NAME not in names_in(prompt):
            return variables
        return ChainMap({NAME: self._latest()}, variables)

    def _latest(self) -> "Text":
        self.take()  # it may be from before %load_ext
        if self._text is None:
            raise UsageError(
                f"{{{{{NAME}}}}} can't be filled in: no cell has failed yet",
                next_steps=(
                    "Run the cell that fails, then run this one again.",
                    "Add --literal to send double braces as written.",
                ),
            )
        return self._text

    def _name(self, file: str) -> str | None:
        """What a file of code is called; None for a library's, and for this package's."""
        if (cell := self._shell.compile.format_code_name(file)) is not None:
            return " ".join(cell)
        if file.startswith("<"):
            return "Cell" if file in _OWN_NAMES else None
        path = Path(file)
        is_library = {"site-packages", "dist-packages"} & {*path.parts} or any(
            path.is_relative_to(folder) for folder in (*_libraries(), _THIS_PACKAGE)
        )
        if is_library:
            return None
        return f"File {name_of(path, Path.cwd())}"


def name_of(path: PurePath, here: PurePath) -> str:
    """What a file is called from a folder: the same on every system, so that a recording answers on
    another one. Outside of the folder it has no path."""
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name
