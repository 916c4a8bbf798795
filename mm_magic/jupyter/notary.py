"""Whether Jupyter was told to keep its decisions on trust in another way than it does by itself.

`NotebookNotary` takes another database, secret or algorithm from Jupyter's configuration, or from
the server's command line. What is in the usual database then is old, and nobody decides by it.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

_NAME = b"NotebookNotary"


def is_configured() -> bool:
    """Whether a configuration file or the server's command line names it, whatever it says there.

    Configuration in Python is not run to find out. Raises OSError and psutil's errors, and
    ImportError where the kernel's environment lacks what can tell.
    """
    import psutil  # a dependency of ipykernel; 8 ms

    server = psutil.Process(os.getppid())
    words: list[str] = server.cmdline()
    files = [*_config_files(), *_files_in(words, Path(server.cwd()))]
    return any(_NAME in part for part in (*map(os.fsencode, words), *map(Path.read_bytes, files)))


def _config_files() -> Iterator[Path]:
    """All configuration that a Jupyter application may read, in each of its folders."""
    from jupyter_core.paths import jupyter_config_path

    for folder in map(Path, jupyter_config_path()):
        for pattern in ("*.py", "*.json", "*.d/*.json"):
            yield from folder.glob(pattern)


def _files_in(words: Sequence[str], folder: Path) -> Iterator[Path]:
    """Configuration that a command line names, as in `--config=FILE`; `folder` is its own."""
    for word, following in pairwise([*words, ""]):
        option, _, value = word.partition("=")
        if option == "--config" or option.endswith(".config_file"):
            yield folder / (value or following)
