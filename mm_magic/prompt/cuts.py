"""What the text of a table or an array leaves out of it, as its library writes it."""

import re
from math import prod
from typing import Any

from mm_magic.prompt.kinds import is_a
from mm_magic.wording import counted

_ARRAYS = (
    ("numpy", "ndarray"),
    ("pandas", "Index ExtensionArray"),  # an ExtensionArray is what unique() gives
    ("torch", "Tensor"),
)
_LIBRARIES = "xarray pyarrow scipy tensorflow jax jaxlib cupy cudf modin awkward duckdb"
_QUOTED = re.compile(r"""'[^'\n]*'|"[^"\n]*\"""")
_GAP = re.compile(
    r"(?<![^\s\[,])\.\.\.(?=[,\s\]]|$)"  # 0 1 ... 8 9 and [0,1,...,8,9]
    r"|^ *:\s+: *$"  # the middle of a sparse matrix
    r"|\(\d+ shown\)|^│ *·"  # rows of DuckDB
    r"|\[\d+ rows x \d+ columns\]\s*$",
    re.MULTILINE,
)
"""What stands in place of the middle."""
_PANDAS_SIZE = re.compile(r"\[\d+ rows x \d+ columns\]$|^(Name: .*, )?Length: \d+", re.MULTILINE)
_MOST = 100_000
"""Values that a table may have to be looked at one by one."""


def cut_of(value: object, text: str) -> str:
    """What `text` leaves out of a table or array; "" if nothing, and for any other value."""
    if is_a(value, "pandas", "DataFrame Series"):
        return _part(value) if _pandas_is_cut(value, text) else ""
    if is_a(value, "polars", "DataFrame Series"):
        return _part(value) if _polars_is_cut(value, text) else ""
    count = _count(value) if _is_array(value) else None
    if is_a(value, "scipy", "*") and count and "\n" not in text.strip():
        return f"none of {counted(count, 'value')}"  # as an item it is its type and its shape
    if not _is_array(value) or not gaps(text):
        return ""
    return f"only the ends of {counted(count, 'value')}" if count else _part(value)


def may_be_cut(value: object) -> bool:
    """Whether it is a table or an array, as `cut_of` knows them."""
    return is_a(value, "pandas polars", "DataFrame Series") or _is_array(value)


def _is_array(value: object) -> bool:
    is_foreign = is_a(value, _LIBRARIES, "*") and not is_a(value, "pyarrow", "Scalar")
    return is_foreign or any(is_a(value, library, names) for library, names in _ARRAYS)


def gaps(text: str) -> int:
    """How often the text of an array leaves out a middle."""
    values = text.partition("\nCategories")[0]
    return len(_GAP.findall(_QUOTED.sub("", values)))


def _part(value: object) -> str:
    count = _count(value)
    return f"only part of {counted(count, 'value') if count else 'its values'}"


def _count(value: Any) -> int | None:
    """How many values it has; None if it doesn't say."""
    try:
        if hasattr(value, "nnz"):  # of a sparse matrix only those are written
            return int(value.nnz)
        if hasattr(value, "shape"):
            return prod(map(int, value.shape))
        return len(value) if is_a(value, "pyarrow", "*") else None  # elsewhere it counts rows
    except Exception:  # not every library has these, or knows them in advance
        return None


def _pandas_is_cut(value: Any, text: str) -> bool:
    """Whether rows, columns or ends of long cells are missing, as pandas' own options have it."""
    if ".." not in text:
        return False
    if _PANDAS_SIZE.search(text) or prod(value.shape) > _MOST:
        return True
    frame = value.to_frame("") if is_a(value, "pandas", "Series") else value
    whole = frame.to_string(max_colwidth=None)
    return not set(whole.split()) <= set(text.split())


def _polars_is_cut(value: Any, text: str) -> bool:
    """Whether its text has an ellipsis that is none of its values'."""
    if "…" not in text:
        return False
    if prod(value.shape) > _MOST:
        return True
    frame = value if is_a(value, "polars", "DataFrame") else value.to_frame()
    own = sum(str(cell).count("…") for row in (frame.columns, *frame.rows()) for cell in row)
    return text.count("…") != own
