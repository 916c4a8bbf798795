"""Files that may hold prompts: written whole or not at all, and for their owner alone."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` into a file. A new one is for its owner alone; one that is there keeps its
    permissions, and its old content until all of the new one is on the disk. Raises OSError.
    """
    path = Path(os.path.realpath(path))  # a link stays a link; one to itself fails below
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):  # a device or a pipe takes it as it is
        path.write_bytes(content)
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            Path(name).chmod(stat.S_IMODE(mode))
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).chmod(stat.S_IWUSR)  # Windows removes nothing that is read-only
            Path(name).unlink()
        raise
