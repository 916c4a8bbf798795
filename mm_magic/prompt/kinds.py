"""A value's kind, told by the names of its types: no library is imported, no value is called."""

from functools import lru_cache
from typing import Any


def is_a(value: object, libraries: str, names: str) -> bool:
    """Whether a type of the value has one of the names and is of one of the libraries.

    Both are words with spaces between them; "*" stands for every name.
    """
    kind: Any = type(value)
    return _is_kind(kind, libraries, names)


@lru_cache(maxsize=1024)  # a list of 100,000 arrays asks the same of each
def _is_kind(kind: type, libraries: str, names: str) -> bool:
    known, wanted = libraries.split(), names.split()
    return any(
        _library(base) in known and (base.__name__ in wanted or names == "*")
        for base in kind.__mro__
    )


def _library(base: type) -> str:
    return str(base.__module__).split(".")[0]
