"""A real IPython shell in this process for tests, with the extension loaded."""

import atexit
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

import mm_magic.session.api


class Shell:
    """An IPython shell. Its cells' output goes to sys.stdout."""

    def __init__(self, ip: InteractiveShell) -> None:
        self.ip: Any = ip  # many of IPython's methods have no annotations

    def run(self, cell: str) -> Any:
        """The value of a cell. Fails with the cell's error."""
        result: Any = self.execute(cell)
        result.raise_error()
        return result.result

    def error(self, cell: str) -> BaseException:
        """The error of a cell that is due to fail."""
        result = self.execute(cell)
        error = result.error_before_exec or result.error_in_exec
        assert isinstance(error, BaseException)
        return error

    def execute(self, cell: str) -> ExecutionResult:
        result: ExecutionResult = self.ip.run_cell(cell, store_history=True)
        return result

    def __getitem__(self, name: str) -> Any:
        """A variable."""
        return self.ip.user_ns[name]

    def __setitem__(self, name: str, value: object) -> None:
        self.ip.user_ns[name] = value


@contextmanager
def fresh_shell(config: Config | None = None, *, loaded: bool = True) -> Iterator[Shell]:
    """A shell that shares nothing with the one before; it writes no history."""
    config = config or Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    mm_magic.session.api.forget_session()
    main = sys.modules["__main__"]
    ip = InteractiveShell.instance(config=config)
    shell = Shell(ip)
    try:
        if loaded:
            shell.run("%load_ext mm_magic")
        yield shell
    finally:
        mm_magic.unload_ipython_extension(ip)
        shell.ip.displayhook.do_full_cache = False  # else its end collects garbage, each time anew
        shell.ip.atexit_operations()
        sys.modules["__main__"] = main
        _let_go(ip)
        InteractiveShell.clear_instance()
        mm_magic.session.api.forget_session()


def _let_go(ip: Any) -> None:
    """Leave nothing that keeps a shell: each garbage collection would look through it again."""
    atexit.unregister(ip.atexit_operations)
    if scripts := ip.magics_manager.registry.get("ScriptMagics"):
        atexit.unregister(scripts.kill_bg_processes)


def file_with_cell(folder: Path, kind: str, source: str) -> Path:
    """A file for `%run` that holds one cell: a notebook if `kind` is "ipynb", else its text."""
    path = folder / f"file.{kind}"
    if kind == "ipynb":
        cell: dict[str, Any] = {
            "cell_type": "code",
            "id": "a",
            "execution_count": None,
            "outputs": [],
        }
        cells = [cell | {"metadata": {}, "source": source}]
        source = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(source, "utf-8")
    return path
