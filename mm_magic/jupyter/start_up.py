"""Where IPython looks for what it runs when a kernel or a terminal begins."""

import warnings
from contextlib import suppress
from pathlib import Path

from IPython.paths import get_ipython_dir

from mm_magic.errors import UsageError


def start_up_folder() -> Path:
    """IPython's start-up folder for its usual profile. Raises UsageError where none can be kept."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder = Path(get_ipython_dir())
    for warning in caught:
        if "temp directory" in str(warning.message):  # which a kernel would not look into
            with suppress(OSError):
                folder.rmdir()
            raise UsageError(
                "IPython has no folder here that it can write to",
                next_steps=(
                    "Set the environment variable IPYTHONDIR to a writable folder, both here and "
                    "where you start Jupyter.",
                ),
            )
    return folder / "profile_default" / "startup"
