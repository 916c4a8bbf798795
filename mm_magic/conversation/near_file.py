"""The file that a mistyped name may mean."""

from contextlib import suppress
from itertools import islice
from pathlib import Path

from mm_magic.wording import closest

_LOOKED_AT = 1000  # names in a folder


def near_file(path: Path) -> str | None:
    """The name of the file in its folder that is most like it; None if none is.

    It ends as `path` does (`.md`), or differs in that alone. A folder that can't be read has none.
    """
    with suppress(OSError, RuntimeError, ValueError):  # ~nobody; a NUL in the name
        names = [each.name for each in islice(path.expanduser().parent.iterdir(), _LOOKED_AT)]
        there = [Path(name) for name in sorted(names) if not name.startswith(".")]
        alike = {each.stem: each.name for each in there if each.suffix == path.suffix}
        if (stem := closest(path.stem, [*alike])) is not None:
            return alike[stem]
        return next((each.name for each in there if each.stem == path.stem), None)
    return None
