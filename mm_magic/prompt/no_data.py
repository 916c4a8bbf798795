"""Values that are no data, such as a line of a figure, a plan, an open file or an iterator.

Their text would tell a model nothing, so they are refused, with the line that makes data of them.
"""

import re
from collections.abc import Iterable
from inspect import isroutine
from types import FunctionType, ModuleType

from mm_magic.prompt.kinds import is_a
from mm_magic.prompt.pictures import NoPictureHereError, is_picture

_CALL = "Call it in a cell above, for example with `value = {0}()`, and write {{{{value}}}}."
_SOURCE = (
    "Call it in a cell above and use the name of the result. "
    "For its source: `import inspect; source = inspect.getsource({0})`."
)
_TEXT = "Turn it into text in a cell above, for example with `text = …`, and write {{{{text}}}}."
_SOME = (
    "Run `from itertools import islice; value = list(islice({0}, 20))` in a cell above, "
    "and write {{{{value}}}}."
)
_UNREAD = re.compile(r"dask\.array<|\[\d+ values with dtype=")
"""What xarray writes in place of values that were not computed or read yet."""
_NO_TEXT = re.compile(r"<.* at 0x[0-9A-Fa-f]+>", re.DOTALL)
"""The text of an object that has none of its own."""
_ADDRESS = re.compile(r"<.* at 0x[0-9A-Fa-f]+\b[^<>\n]*>", re.DOTALL)
"""The text of an iterator; some tell their state, too."""

HERE = "\0"
"""In the code of a value in a container, the container's own code. No key's repr holds it."""

_PLAN = "a computation that has not run yet"
_FILE = "an open file"
_DASK = "DaskMethodsMixin DataFrame Series Index Array Bag Delayed Scalar"
_CURSORS = "sqlite3 psycopg psycopg2 pymysql MySQLdb mysql oracledb cx_Oracle pyodbc"
_KINDS = (
    ("polars", "LazyFrame", _PLAN, "{0}.collect()"),
    ("polars", "GroupBy", _PLAN, "{0}.len()"),
    ("polars", "LazyGroupBy", _PLAN, "{0}.len().collect()"),
    ("dask dask_expr", _DASK, _PLAN, "{0}.compute()"),
    ("pyspark", "DataFrame", _PLAN, "{0}.toPandas()"),
    ("ibis", "Expr", _PLAN, "{0}.execute()"),
    ("pandas", "BaseGroupBy", _PLAN, "{0}.size()"),
    ("pandas", "BaseWindow", _PLAN, "{0}.mean()"),
    ("pandas", "Styler", "a styled table", "{0}.data"),
    ("xarray", "GroupBy", _PLAN, "{0}.mean()"),
    ("pyarrow", "Dataset Scanner", "a dataset on disk", "{0}.to_table()"),
    ("pyarrow", "RecordBatchReader", "a dataset on disk", "{0}.read_all()"),
    ("datasets", "Dataset", "a dataset on disk", "{0}.to_pandas()"),
    ("h5py zarr netCDF4", "Dataset Array Variable", "an array on disk", "{0}[:]"),
    ("_io", "StringIO BytesIO", _FILE, "{0}.getvalue()"),
    ("_io", "_IOBase", _FILE, "{0}.read()"),
    ("tempfile", "_TemporaryFileWrapper", _FILE, "{0}.read()"),
    ("zipfile", "ZipFile", _FILE, "{0}.namelist()"),
    ("requests httpx", "Response", "a response", "{0}.text"),
    ("aiohttp", "ClientResponse", "a response", "await {0}.text()"),
    (
        _CURSORS,
        "Cursor cursor BaseCursor AsyncCursor MySQLCursor MySQLCursorAbstract",
        "a database cursor",
        "{0}.fetchall()",
    ),
    ("sqlite3", "Row", "a database row", "dict({0})"),
    ("sqlalchemy", "Result", "a database result", "{0}.all()"),
    ("subprocess", "Popen", "a running program", "{0}.communicate()[0]"),
    ("concurrent distributed", "Future", "a result that is not ready yet", "{0}.result()"),
    ("asyncio _asyncio", "Future Task", "a result that is not ready yet", "await {0}"),
    ("builtins", "coroutine", "a coroutine", "await {0}"),
    ("builtins", "async_generator", "an iterator", "[item async for item in {0}]"),
    ("itertools", "count cycle repeat", "an iterator", _SOME),
)
"""Libraries, names of types, what such a value is, and the code or sentence that helps.

{0} stands for the code of the value.
"""
_PICTURES = (
    ("matplotlib", "Artist", "a part of a figure", "{0}.figure"),
    (
        "matplotlib",
        "BarContainer ErrorbarContainer StemContainer",
        "a group of figure parts",
        "{0}[0].figure",
    ),
    ("plotly", "BaseFigure", "a figure", "{0}.to_image()"),
)


class NoDataError(Exception):
    """A value that is no data; `what` is its kind, as "an open file (TextIOWrapper)"."""

    def __init__(self, what: str, way_out: str, place: str) -> None:
        super().__init__(what)
        self.what = what
        self._way_out = way_out
        self.place = place
        """Code of a value in a container, where HERE is the container's; HERE is the value."""

    def step(self, code: str) -> str:
        """What to do in order to send the data of the value that `code` names."""
        way_out = self._way_out.format(self.place.replace(HERE, code))
        if way_out.endswith("."):
            return way_out
        if re.fullmatch(r"[\w.]+", way_out):
            return f"Write {{{{{way_out}}}}}."
        return f"Run `value = {way_out}` in a cell above, and write {{{{value}}}}."


def refuse_handle(value: object) -> None:
    """Raise NoDataError for a part of a picture, a plan or a handle; its text is not asked for.

    Raises NoPictureHereError for a whole picture.
    """
    if is_picture(value):
        raise NoPictureHereError
    if found := _found(value, _PICTURES) or _handle(value):
        raise NoDataError(*found, HERE)


def refuse(value: object, text: str) -> None:
    """Raise NoDataError for another value whose `text` would tell a model nothing."""
    if found := _unread(value, text) or _bare(value, text):
        raise NoDataError(*found, HERE)


def refuse_inside(value: object, text: str, place: str) -> None:
    """Raise NoDataError for a plan, a handle or an iterator at this `place` in a container.

    So for an object without a text, whose address differs each time, and for a part of a figure.
    A picture or a function may stay: the others there are data.
    """
    bare = _bare(value, text) if _has_no_text(value) else None
    if (
        found := _handle(value)
        or _found(value, _PICTURES)
        or _unread(value, text)
        or _iterator(value, text)
        or bare
    ):
        raise NoDataError(*found, place)


def may_be_no_data(value: object) -> bool:
    """Whether `refuse_inside` has a look at values of this type."""
    is_part = is_a(value, "matplotlib", "Artist")
    is_known = is_part or _handle(value) is not None or is_a(value, "xarray", "*")
    return is_known or _has_next(value) or _has_no_text(value)


def _handle(value: object) -> tuple[str, str] | None:
    """What a plan or a handle is, and the way out; None for any other value."""
    return _found(value, _KINDS)


def _found(value: object, kinds: Iterable[tuple[str, str, str, str]]) -> tuple[str, str] | None:
    for libraries, names, what, way_out in kinds:
        if is_a(value, libraries, names):
            return f"{what} ({type(value).__name__})", way_out
    return None


def _has_no_text(value: object) -> bool:
    kind = type(value)
    return kind.__repr__ is object.__repr__ and kind.__str__ is object.__str__


def _has_next(value: object) -> bool:
    return any("__next__" in vars(base) for base in type(value).__mro__)


def _iterator(value: object, text: str) -> tuple[str, str] | None:
    if not _has_next(value) or _ADDRESS.fullmatch(text) is None:
        return None
    return f"an iterator ({type(value).__name__})", "list({0})"


def _unread(value: object, text: str) -> tuple[str, str] | None:
    if is_a(value, "xarray", "*") and _UNREAD.search(text):
        return f"{_PLAN} ({type(value).__name__})", "{0}.compute()"
    return None


def _bare(value: object, text: str) -> tuple[str, str] | None:
    """A function, module or class, and an object with no text form of its own."""
    if isinstance(value, str):
        return None
    if isinstance(value, FunctionType):
        return "a function", _SOURCE
    if isroutine(value):
        owner = getattr(value, "__self__", None)  # a built-in function's is its module
        is_bound = owner is not None and not isinstance(owner, ModuleType)
        return ("a method", _CALL) if is_bound else ("a built-in function", _TEXT)
    if isinstance(value, ModuleType):
        return "a module", _TEXT
    if isinstance(value, type):
        return "a class", _TEXT
    if found := _iterator(value, text):
        return found
    has_none = _NO_TEXT.fullmatch(text) is not None
    return (f"an object with no text form ({type(value).__name__})", _TEXT) if has_none else None
