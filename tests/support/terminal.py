"""IPython in a terminal, as a process of its own."""

import subprocess
import sys
from pathlib import Path

from support.kernels import clean_environment


def in_terminal(code: str, folder: Path, url: str) -> str:
    """What IPython prints when it runs this file, asking the server at `url`."""
    (folder / "cell.ipy").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=nocolor", "cell.ipy"],
        cwd=folder,
        env=clean_environment(folder) | {"MINIMAX_BASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout
