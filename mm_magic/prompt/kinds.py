"""A value's kind, told by the names of its types: no library is imported, no value is called."""


def is_a(value: object, libraries: str, names: str) -> bool:
    """Whether a type of the value has one of the names and is of one of the libraries.

    Both are words with spaces between them; "*" stands for every name.
    """
    known, wanted = libraries.split(), names.split()
    return any(
        _library(base) in known and (base.__name__ in wanted or names == "*")
        for base in type(value).__mro__
    )


def _library(base: type) -> str:
    return str(base.__module__).split(".")[0]
