"""`python -m mm_magic autoload`: the extension is there in each new kernel, without `%load_ext`.

IPython runs the files in its start-up folder when a kernel or a terminal begins. Ours is for all
environments of this user, so it stays silent where mm_magic is not installed.
"""

from pathlib import Path

from mm_magic.cli.failure import fail
from mm_magic.cli.files import write_whole
from mm_magic.errors import UsageError

NAME = "50-mm_magic.py"
START_UP = """\
# Written by `python -m mm_magic autoload`; `python -m mm_magic autoload --off` removes it.
# It makes %%minimax known to each IPython session, and does nothing where mm_magic is missing.


def _load_mm_magic():
    try:
        get_ipython().extension_manager.load_extension("mm_magic")
    except Exception:
        pass


_load_mm_magic()
del _load_mm_magic
"""


def autoload(*, off: bool) -> int:
    """Write the start-up file, or take it away; return 0, or 1 if that could not be done.

    A file of that name that holds anything else stays as it is.
    """
    from mm_magic.jupyter.start_up import start_up_folder  # with IPython: only this needs it

    try:
        path = start_up_folder() / NAME
        print(_remove(path) if off else _write(path))
    except UsageError as error:
        return fail("autoload", error.card())
    except OSError as error:
        return fail("autoload", f"{error.filename}: {error.strerror}")
    return 0


def _write(path: Path) -> str:
    found = _content(path)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, START_UP.encode())
    elif found != START_UP:
        raise _other(path)
    return (
        f"{path} {'was created' if found is None else 'already exists'}.\n"
        "Each new kernel loads mm_magic by itself: `%%minimax` works without `%load_ext mm_magic`."
        "\nTo turn this off: python -m mm_magic autoload --off"
    )


def _remove(path: Path) -> str:
    found = _content(path)
    if found is None:
        return f"{path} does not exist, so there is nothing to turn off."
    if found != START_UP:
        raise _other(path)
    path.unlink()
    return f"{path} was removed. New kernels need `%load_ext mm_magic` again."


def _content(path: Path) -> str | None:
    """What is in the file, None if there is none."""
    try:
        return path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _other(path: Path) -> UsageError:
    return UsageError(
        f"{path} differs from what `autoload` writes, so it was left unchanged",
        next_steps=("Rename or delete it, then run this command again.",),
    )
