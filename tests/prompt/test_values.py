"""What a value is as text: whole, cut and told so, or refused with the line that helps."""

import concurrent.futures
import csv
import enum
import io
import itertools
import re
import sqlite3
from collections import Counter, UserDict, namedtuple
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import requests
from support import hostile
from support.shells import fresh_shell
from support.timing import calls_of

from mm_magic.errors import UsageError
from mm_magic.prompt.template import Filled, fill

LONG = np.arange(5000)
LONG_FRAME = pd.DataFrame({"a": range(200)})
LONG_TABLE = pl.DataFrame({"a": range(200)})
ENDS = "only the ends of 5,000 values"


def filled(value: object) -> Filled:
    """A prompt that is this value alone."""
    return fill("{{v}}", {"v": value})


def foreign(module: str, name: str, text: str, **attributes: object) -> object:
    """A value of a library that is not installed: its type's names, its text, its attributes."""
    body: dict[str, Any] = {"__module__": module, "__repr__": lambda _: text, **attributes}
    return type(name, (), body)()


def test_real_values() -> None:
    """Each value is sent whole, refused, or its cut is told to reader and model."""
    for case in hostile.load("real-world/values.json"):
        value = eval(case["value"], {"pd": pd, "pl": pl, "np": np})
        if case.get("refused"):
            with pytest.raises(UsageError):
                filled(value)
            continue
        prompt, notes = filled(value)
        assert all(re.search(each, prompt) for each in case.get("has", [])), case["id"]
        if case.get("noted"):
            assert prompt.endswith(f"({notes[0].removeprefix('Sent from v: ').removesuffix('.')})")


class Level(enum.IntEnum):
    """Equal to 0 and 1."""

    LOW = 0
    HIGH = 1


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (pd.Index([False, True]), ["False", "True"]),
        (pd.Index([0.0, 1.0]), ["0", "1"]),
        (pd.Index([Decimal(0), Decimal(1)], dtype=object), ["0", "1"]),
        (pd.Index([0, True], dtype=object), ["0", "True"]),
        (pd.Index([np.float64(0), np.bool_(True)], dtype=object), ["0", "True"]),
        (pd.Index([0j, 1 + 0j]), ["0j", "(1+0j)"]),
        (pd.Index([Level.LOW, Level.HIGH], dtype=object), ["0", "1"]),
        (pd.CategoricalIndex([0, 1]), ["0", "1"]),
        (pd.Index([False, True], dtype="boolean"), ["False", "True"]),
    ],
)
def test_labels_that_equal_a_count_stay(labels: "pd.Index[Any]", shown: list[str]) -> None:
    """Labels that equal 0, 1, … without being those numbers are in the table."""
    rows = filled(pd.Series(["x", "y"], index=labels)).prompt.splitlines()[2:]
    assert rows == [f"| {shown[0]} | x |", f"| {shown[1]} | y |"]


@pytest.mark.parametrize(
    "labels",
    [
        pd.RangeIndex(2),
        pd.Index([0, 1]),
        pd.Index([0, 1], dtype="uint8"),
        pd.Index([0, 1], dtype="Int64"),
        pd.Index([0, 1], dtype=object),
    ],
)
def test_labels_that_only_count_are_left_out(labels: "pd.Index[Any]") -> None:
    """Whole numbers from 0 on say nothing, whatever their type."""
    assert filled(pd.Series(["x", "y"], index=labels)).prompt.endswith("| --- |\n| x |\n| y |")


@dataclass
class Study:
    """Its text is made of its fields' texts."""

    name: str
    values: object


@dataclass(slots=True)
class Slotted:
    """Keeps its fields without a dict."""

    values: object


Pair = namedtuple("Pair", "left right")


class Quiet(dict[str, object]):
    """A dict whose text does not show its items."""

    def __repr__(self) -> str:
        return "a quiet dict"


@pytest.mark.parametrize(
    ("value", "left_out"),
    [
        ([LONG_FRAME, pd.DataFrame({"b": range(3)})], "only part of 200 values in [0]"),
        ({"x": LONG, "n": 3}, f"{ENDS} in ['x']"),
        ((1, {"deep": [LONG]}), f"{ENDS} in [1]['deep'][0]"),
        ([pd.Series(range(200))], "only part of 200 values in [0]"),
        ([pd.DataFrame({"a": ["x" * 99]})], "only part of 1 value in [0]"),
        ([LONG_TABLE], "only part of 200 values in [0]"),
        ([pl.Series(["x" * 99])], "only part of 1 value in [0]"),
        (Pair(1, LONG), f"{ENDS} in [1]"),
        (Study("tides", LONG), f"{ENDS} in .values"),
        (Slotted(LONG), f"{ENDS} in .values"),
        (UserDict(x=LONG), f"{ENDS} in .data['x']"),
        ({"x" * 99: LONG}, f"{ENDS} in ['{'x' * 57}…"),
        (SimpleNamespace(a=SimpleNamespace(b=LONG)), f"{ENDS} in .a.b"),
        (np.array([LONG, None], dtype=object), f"{ENDS} in [0]"),
        (np.array([LONG_FRAME, None], dtype=object), "only part of 200 values in [0]"),
        ([pd.Index(range(0, 10000, 2)).astype(str)], f"{ENDS} in [0]"),
        ({"x": LONG}.values(), f"{ENDS} in [0]"),
        ([LONG] * 7, f"{', '.join(f'{ENDS} in [{n}]' for n in range(5))} and 2 more"),
    ],
)
def test_a_cut_inside(value: object, left_out: str) -> None:
    """What a container's text leaves out of a table or array in it is told, and where it is."""
    assert filled(value) == (f"{value} ({left_out})", (f"Sent from v: {left_out}.",))


def circle() -> list[object]:
    """A list that holds itself."""
    items: list[object] = [1]
    items.append(items)
    return items


@pytest.mark.parametrize(
    "value",
    [
        [pd.DataFrame({"b": range(3)})],
        [pd.DataFrame({"b": ["wait ...", "and so on..."]})],
        [pl.DataFrame({"b": ["wait …"]})],
        {"x": np.arange(9), "y": [0.1 + 0.2, Decimal("1.10"), date(2026, 11, 20)]},
        np.array([np.arange(3), None], dtype=object),
        Study("tides", "1 ... 5000"),
        Quiet(x=LONG, y=pl.LazyFrame()),
        circle(),
        Counter("aab"),
        {1, 2},
        range(5000),
        {"a": 1}.keys(),
        Decimal("1.10"),
        date(2026, 11, 20),
        b"bytes",
        Path("a/b"),
        pl.col("a") + 1,
    ],
)
def test_a_whole_value(value: object) -> None:
    """A value that is whole goes in as its text, and no word more."""
    assert filled(value) == (str(value), ())


def test_a_cut_array_of_cut_arrays() -> None:
    """The middle of the outer array is told, and what its ends leave out."""
    many = np.empty(2000, dtype=object)
    many[:] = [np.arange(5000) for _ in range(2000)]
    _, notes = filled(many)
    assert notes[0].startswith(
        f"Sent from v: only the ends of 2,000 values, {ENDS} in [0], {ENDS} in [1]"
    )


@pytest.mark.parametrize(
    ("frame", "left_out"),
    [
        (pd.DataFrame({"a": [LONG, 1]}), "only part of what is in 1 cell"),
        (pd.Series([LONG, [LONG]]), "only part of what is in 2 cells"),
        (
            pl.DataFrame({"a": pl.Series([LONG], dtype=pl.Object)}),
            "only part of what is in 1 cell",
        ),
        # This was told already, and the text stays as it was.
        (pd.Series([LONG.reshape(50, 100)]), "cells cut at 60 characters"),
    ],
)
def test_a_cut_in_a_cell(frame: object, left_out: str) -> None:
    """An array in a cell whose text leaves out its middle is told."""
    prompt, notes = filled(frame)
    assert prompt.endswith(f"\n\n({left_out})")
    assert notes == (f"Sent from v: {left_out}.",)


ARROW = "pyarrow.Table\na: int64\n----\na: [[0,1,2,3,4,...,4995,4996,4997,4998,4999]]"
SPARSE = (
    "<Compressed Sparse Row sparse matrix>\n  Coords\tValues\n  (0, 2)\t0.6\n  :\t:\n  (9, 9)\t1.0"
)
ARRAY = "<xarray.DataArray (dim_0: 5000)> Size: 40kB\narray([   0,    1, ..., 4998, 4999])"
DATASET = "<xarray.Dataset> Size: 40kB\nDimensions:  (x: 5000)\n    a  (x) int64 0 1 ... 4998 4999"
MODIN = "       a\n0      0\n..   ...\n199  199\n\n[200 rows x 1 columns]"
RELATION = "│ 0 │\n│ · │\n├───┤\n│ 5000 rows (20 shown) │"


@pytest.mark.parametrize(
    ("value", "left_out"),
    [
        (foreign("pyarrow.lib", "Table", ARROW, shape=(5000, 1)), ENDS),
        (foreign("pyarrow.lib", "Array", "[\n  0,\n  ...\n  9\n]", __len__=lambda _: 5000), ENDS),
        (foreign("xarray.core.dataarray", "DataArray", ARRAY, shape=(5000,)), ENDS),
        (foreign("xarray.c", "Dataset", DATASET, __len__=lambda _: 1), "only part of its values"),
        (foreign("scipy.sparse._csr", "csr_matrix", SPARSE, nnz=5000, shape=(99, 99)), ENDS),
        (foreign("modin.pandas", "DataFrame", MODIN, shape=(200, 25)), ENDS),
        (foreign("duckdb", "DuckDBPyRelation", RELATION), "only part of its values"),
    ],
)
def test_other_libraries(value: object, left_out: str) -> None:
    """The text of another library's table or array goes in, and its cut is told."""
    assert filled(value) == (f"{value} ({left_out})", (f"Sent from v: {left_out}.",))
    assert filled([value]) == (
        f"[{value}] ({left_out} in [0])",
        (f"Sent from v: {left_out} in [0].",),
    )


def test_other_libraries_whole() -> None:
    """A small table of another library is its text, and so is a long text in one."""
    for text in ("pyarrow.Table\na: int64\n----\na: [[0,1]]", 'a: [["1 ... 5000"]]'):
        assert filled(foreign("pyarrow.lib", "Table", text)).prompt == text


async def coroutine() -> None:
    """Nobody waits for it."""


def closed_coroutine() -> object:
    """A coroutine that never runs, and warns of nothing."""
    made = coroutine()
    made.close()
    return made


def closed_cursor() -> object:
    """A cursor whose connection is closed: it warns of nothing."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.cursor()


LAZY_ARRAY = "<xarray.DataArray (x: 9)>\ndask.array<xarray-a, shape=(9,), chunksize=(9,)>"
UNREAD_ARRAY = "<xarray.DataArray (x: 9)>\n[9 values with dtype=float64]"
REFUSED: Mapping[str, tuple[Callable[[], object], str, str]] = {
    "lazy": (lambda: LONG_TABLE.lazy(), "a computation", "`value = v.collect()`"),
    "in list": (lambda: [1, LONG_TABLE.lazy()], "a computation", "`value = v[1].collect()`"),
    "in dict": (lambda: {"a": {"b": map(str, [])}}, "an iterator", "list(v['a']['b'])"),
    "in set": (lambda: {iter("a")}, "an iterator", "list(list(v)[0])"),
    "in cell": (
        lambda: pd.DataFrame({"a": [LONG_TABLE.lazy()]}),
        "a computation",
        "v.iat[0, 0].coll",
    ),
    "in series": (lambda: pd.Series([1, zip()]), "an iterator", "list(v.iat[1])"),
    "in field": (lambda: Study("a", zip()), "an iterator", "list(v.values)"),
    "dask": (
        lambda: foreign("dask.dataframe", "DataFrame", "Dask"),
        "a computation",
        "v.compute()",
    ),
    "dask array": (
        lambda: foreign("dask.array.core", "Array", "x"),
        "a computation",
        "v.compute()",
    ),
    "delayed": (lambda: foreign("dask.delayed", "Delayed", "x"), "a computation", "v.compute()"),
    "dask expr": (lambda: foreign("dask_expr._x", "Series", "x"), "a computation", "v.compute()"),
    "spark": (lambda: foreign("pyspark.sql.d", "DataFrame", "x"), "a computation", "v.toPandas()"),
    "chunked": (
        lambda: foreign("xarray.c", "DataArray", LAZY_ARRAY),
        "a computation",
        "v.compute()",
    ),
    "unread": (
        lambda: foreign("xarray.c", "DataArray", UNREAD_ARRAY),
        "a computation",
        "v.compute()",
    ),
    "reader": (lambda: foreign("pyarrow.lib", "RecordBatchReader", "x"), "a data", "v.read_all()"),
    "window": (lambda: LONG_FRAME.rolling(2), "a computation", "`value = v.mean()`"),
    "groups": (lambda: LONG_FRAME.groupby("a"), "a computation", "`value = v.size()`"),
    "styled": (lambda: LONG_FRAME.style, "a styled table", "Write {{v.data}}."),
    "text": (lambda: io.StringIO("a"), "an open file", "`value = v.getvalue()`"),
    "file": (lambda: io.TextIOWrapper(io.BytesIO()), "an open file", "`value = v.read()`"),
    "binary": (lambda: io.BufferedReader(io.BytesIO()), "an open file", "`value = v.read()`"),
    "response": (requests.Response, "a response", "Write {{v.text}}."),
    "cursor": (closed_cursor, "a database", "v.fetchall()"),
    "another cursor": (lambda: foreign("psycopg2.x", "cursor", "x"), "a database", "v.fetchall()"),
    "generator": (lambda: (n for n in "a"), "an iterator", "`value = list(v)`"),
    "zip": (lambda: zip("a", "b", strict=True), "an iterator", "`value = list(v)`"),
    "rows": (lambda: csv.reader([]), "an iterator", "`value = list(v)`"),
    "matches": (lambda: re.finditer("a", "a"), "an iterator", "`value = list(v)`"),
    "count": (lambda: itertools.count(5), "an iterator", "list(islice(v, 20))"),
    "repeat": (lambda: itertools.repeat(5, 2), "an iterator", "list(islice(v, 20))"),
    "coroutine": (closed_coroutine, "a coroutine", "`value = await v`"),
    "future": (concurrent.futures.Future, "a result that is not ready yet", "`value = v.result()`"),
    "hdf": (lambda: foreign("h5py._hl.dataset", "Dataset", "x"), "an array on disk", "= v[:]`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_data(name: str) -> None:
    """A plan, a handle or an iterator is an error that gives the line which makes data of it."""
    make, what, step = REFUSED[name]
    with pytest.raises(
        UsageError, match=f"(is|holds) {what}.*only text and pictures can be sent"
    ) as caught:
        filled(make())
    assert step in caught.value.next_steps[0]


def test_nothing_is_used_up() -> None:
    """A refused iterator or file still has all that it had."""
    steps, file = iter([1, 2]), io.StringIO("text")
    for value in (steps, file, [steps]):
        with pytest.raises(UsageError):
            filled(value)
    assert (list(steps), file.read()) == ([1, 2], "text")


def test_the_line_that_helps_works() -> None:
    """What the error says to type is a value that goes in."""
    with fresh_shell() as shell:
        shell["lazy"] = pl.LazyFrame({"a": [7]})
        error = shell.error("%%minimax\nSum {{lazy}}")
        assert isinstance(error, UsageError)
        line = re.findall("`(value = .*?)`", error.next_steps[0])[0]
        shell.run(line)
        assert filled(shell["value"]).prompt == "| a |\n| --- |\n| 7 |"


class Plain:
    """An object without a text of its own."""


class Row:
    """One whose text tells its data, and its address."""

    def __repr__(self) -> str:
        return "<Row at 0x7f00aa name='Ada' age=3>"


@pytest.mark.parametrize("value", [[Plain()], {"m": Plain()}, pd.DataFrame({"a": [Plain()]})])
def test_an_object_without_a_text_is_refused_inside(value: object) -> None:
    """Its address differs in each kernel, and tells nothing."""
    with pytest.raises(UsageError, match="an object with no text form"):
        fill("{{v}}", {"v": value})


def test_an_object_that_tells_its_data_goes_in() -> None:
    """The address beside them does not matter."""
    assert fill("{{v}}", {"v": Row()})[0] == "<Row at 0x7f00aa name='Ada' age=3>"


def test_keys_with_braces() -> None:
    """The line and the note name the key as it is."""
    with pytest.raises(UsageError) as raised:
        fill("{{v}}", {"v": {"{0}": iter([1])}})
    assert "list(v['{0}'])" in " ".join(raised.value.next_steps)
    _, notes = fill("{{v}}", {"v": {"list({0})": np.arange(5000)}})
    assert "in ['list({0})']" in notes[0]


def test_plain_values_are_not_looked_into() -> None:
    """A list of numbers costs its text, and a few calls for each item."""
    assert calls_of(lambda: fill("{{v}}", {"v": list(range(20_000))})) < 5 * 20_000
